# A directory that is none of ours: nothing in it is changed, and nothing beyond a link of it.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
example_site site
apply() { rolewall apply site --host web-01 --state-dir "$1"; }
files() { (cd "$1" && find . | sort); }

# Holds other things.
for thing in "mkdir -p DIR/generations/photos; : >DIR/generations/photos/1.jpg" "mkdir -p DIR/1; : >DIR/1/photo" \
  ": >DIR/README" "mkdir DIR/.hidden" "mkdir -p DIR/generations/1"; do
  rm -rf strange
  mkdir strange
  eval "$(echo "$thing" | sed 's/DIR/strange/g')"
  before=$(files strange)
  for verb in "apply site --host web-01" "confirm" "rollback" "disable"; do
    # shellcheck disable=SC2086 # words
    rolewall $verb --state-dir strange
    expect_status 2
    expect_err "no state directory of rolewall's"
    [ "$(files strange)" = "$before" ] || complain "something in it was changed: $(files strange)"
  done
  nft list table inet rolewall >/dev/null 2>&1 && complain "it was applied all the same"
done

# Empty, new, or an empty filesystem: taken.
mkdir empty mounted mounted/lost+found
for place in empty new/deeper mounted; do
  apply "$place"
  expect_status 0
done
[ -d mounted/lost+found ] || complain "lost+found is gone"

# What others keep among our generations stays, however many come and go.
mkdir -p empty/generations/photos empty/generations/1.jpg
: >empty/generations/photos/a; : >empty/generations/notes; : >empty/generations/1/my-notes
i=0
while [ $i -lt 25 ]; do
  printf '\n[[inbound]]\nid = "port-%s"\nservice = "tcp/%s"\nfrom = "office"\n' $((8000 + i)) $((8000 + i)) >>site/web.toml
  apply empty
  expect_status 0
  i=$((i + 1))
done
# A folder of theirs may have any number for its name: ours go on where they were.
mkdir empty/generations/4294967295
: >empty/generations/4294967295/b
last=$(readlink empty/current)
last=${last##*/}
printf '\n[[inbound]]\nid = "one-more"\nservice = "tcp/9999"\nfrom = "office"\n' >>site/web.toml
apply empty
expect_status 0
expect_out "generation $((last + 1)) is in force"
for kept in 4294967295/b photos/a notes 1.jpg 1/my-notes; do
  [ -e "empty/generations/$kept" ] || complain "$kept is gone"
done
[ ! -e empty/generations/1/snapshot.json ] || complain "old generations stay for ever"

# Links are not followed, wherever they lead.
mkdir elsewhere elsewhere/2 elsewhere/photos
: >elsewhere/photos/a; : >elsewhere/2/b
before=$(files elsewhere)
mv empty/generations empty-generations
ln -s "$PWD/elsewhere" empty/generations
apply empty
expect_status 2
expect_err "is a link"
rolewall boot -p site --host web-01 --state-dir empty
expect_out "the current policy is in force"
[ "$(files elsewhere)" = "$before" ] || complain "followed: $(files elsewhere)"
rm empty/generations
mv empty-generations empty/generations
newest=$(readlink empty/current)
newest=${newest%%/..*}
mv "empty/$newest" "empty/$newest.aside"
ln -s "$PWD/elsewhere/2" "empty/$newest"
rolewall status --state-dir empty
expect_status 1
expect_out "is a link"
[ "$(files elsewhere)" = "$before" ] || complain "followed: $(files elsewhere)"
for file in bans.log history.log lock; do
  rm -rf linked
  apply linked
  expect_status 0
  rm -f "linked/$file"
  : >victim
  ln -s "$PWD/victim" "linked/$file"
  rolewall ban 192.0.2.7 --state-dir linked
  apply linked
  [ ! -s victim ] || complain "written through the link $file"
done
# The way to the directory may be a link that root made.
ln -s "$PWD/mounted" way
apply way
expect_status 0
