# Every block of commands in README, docs and man pages is run, and prints what the page shows.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
need_namespaces
unshare -rnmu sh -c 'mkdir o && mount -t tmpfs t o && mkdir o/u o/w && hostname h &&
  mount -t overlay o -o userxattr,lowerdir=/etc,upperdir=o/u,workdir=o/w /etc' 2>/dev/null ||
  { echo "skipped: no overlay mounts here"; exit 77; }
mkdir blocks
python3 "$ROLEWALL_SOURCE/tests/support/command_blocks.py" blocks || exit $?
