# What somebody else could write is not put in force: files, directories on the way, links, lists.
. "$(dirname "$0")/prelude.sh"
# Others are not known in a user namespace of one user: it takes root itself, and a network of its own.
if [ "${1:-}" != inside ]; then
  [ "$(id -u)" = 0 ] || { echo "skipped: not root"; exit 77; }
  unshare -n true 2>/dev/null || { echo "skipped: no network namespaces here"; exit 77; }
  unshare -n sh "$script" inside
  exit $?
fi
cp -r "$ROLEWALL_SOURCE/rules" rules
chmod -R go-w rules
export ROLEWALL_RULES_DIR="$PWD/rules"
site="$PWD/site"
example_site site
chmod -R go-w site
plan() { rolewall plan -p "$1" --host web-01 --state-dir "$scratch/state"; }
ours() { plan "$site"; expect_status 0; }
# $1: what is said. Nothing that applies or plans goes on.
refused() {
  plan "$site"
  expect_status 2
  expect_err "$1"
  rolewall apply "$site" --host web-01 --state-dir "$scratch/state" --force
  expect_status 2
  expect_err "$1"
}

ours
chmod g+w site/web.toml
refused "its group can write the file $site/web.toml: what others can change is not used (chmod g-w $site/web.toml)"
chmod 666 site/web.toml
refused "everybody can write the file $site/web.toml"
chmod 644 site/web.toml
ours
chown 65534 site/db.toml
refused "the file $site/db.toml belongs to user 65534"
chown 0 site/db.toml
ours
list=$(find site/lists -type f | head -n 1)
chmod g+w "$list"
refused "its group can write the file $PWD/$list"
chmod g-w "$list"
chmod o+w site/lists
refused "everybody can write the directory $site/lists"
chmod o-w site/lists
chmod g+w rules/services.toml
refused "its group can write the file $PWD/rules/services.toml"
chmod -R go-w rules
# A directory above, and a sticky one, in which nobody renames what is ours.
chmod 777 .
refused "everybody can write the directory $PWD: what others can change"
chmod 1777 .
ours
chmod 755 .
# By way of a link: what it leads over counts, too.
mkdir -m 777 open
mv site open/site
ln -s open/site site
refused "everybody can write the directory $PWD/open: what others can change"
chmod 755 open
ours
ln -s loop loop
plan "$PWD/loop"
expect_status 2
# Who only reads does not mind, and neither does a sandbox.
chmod g+w open/site/web.toml
rolewall check "$site"
expect_status 0
rolewall apply --sandbox "$site" --host web-01
expect_status 0
# `log --suggest` looks up what a rule would open in what `apply` would read, and nowhere else.
opens() { rolewall log --suggest --for 1s --group 9 --format json -p "$site" --state-dir "$scratch/state"; }
chmod g-w open/site/web.toml
rolewall apply "$site" --host web-01 --state-dir "$scratch/state" --force
expect_status 0
opens
expect_json "d['file'].endswith('/web.toml')"
chmod g+w open/site/web.toml
opens
expect_json "'file' not in d"
# Boot, with nothing else to load, falls back on what it carries.
mkdir "$scratch/broken"
echo '{' >"$scratch/broken/format"
rolewall boot -p "$site" --host web-01 --state-dir "$scratch/broken" --kernel-parameters /dev/null
expect_status 0
expect_err "its group can write the file"
expect_out "the built-in minimal ruleset"
echo "$checks checks"
