# diff of a git revision: from the object store alone, whatever the repository has beside it.
. "$(dirname "$0")/prelude.sh"
command -v git >/dev/null || { echo "skipped: no git"; exit 77; }
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
commit() { git -C repo add -A && git -C repo -c user.name=a -c user.email=a@example.org commit -qm "$1"; }
git init -q -b main repo
example_site repo/policies
commit one
git -C repo tag -a v1 -m v1 2>/dev/null || git -C repo -c user.name=a -c user.email=a@b tag -a v1 -m v1
cd repo || exit 99

rolewall diff HEAD
expect_status 0
expect_out "equivalent"
refuse_err "not committed"
printf '\n[[inbound]]\nid = "metrics"\nservice = "tcp/9999"\nfrom = "internet"\n' >>policies/web.toml
rolewall diff main
expect_status 1
expect_err "the work tree has changes that are not committed"
expect_out "tcp/9999 internet,!abusers > web"
cd .. && commit two && cd repo || exit 99
for revision in v1 HEAD~1 'HEAD^' main~1 "$(git rev-parse HEAD~1)" "$(git rev-parse --short HEAD~1)" git:v1; do
  rolewall diff "$revision"
  expect_status 1
  refuse_err "not committed"
  expect_out "more permissive: 1 newly accepted"
done
rolewall diff v1 main~1
expect_status 0
# Packed, references and objects.
git gc -q
rolewall diff v1
expect_status 1
expect_out "more permissive"

rolewall diff origin/main
expect_status 2
expect_err "neither a directory or file, nor a revision of the git repository here"
mkdir ../empty && cd ../empty || exit 99
rolewall diff a.json b.json
expect_status 2
expect_err "a.json: neither a directory or file, nor a git revision: no policies found"
cd ../repo || exit 99
rolewall diff HEAD~7
expect_status 2
expect_err "there is no commit so far back"
rolewall diff 'HEAD@{1}'
expect_status 2
expect_err "no git revision"
rolewall diff '../../etc/passwd'
expect_status 2

# A shallow clone says what it lacks.
git clone -q --depth 1 "file://$PWD" ../shallow
cd ../shallow || exit 99
rolewall diff HEAD
expect_status 0
rolewall diff HEAD~1
expect_status 2
expect_err "a shallow clone: \`git fetch --unshallow\` gets the rest"
rolewall diff v1
expect_status 2
expect_err "shallow clone"
cd ../repo || exit 99

# Nothing of a hostile repository runs.
mkdir -p .git/hooks
printf '#!/bin/sh\ntouch %s/ran\n' "$scratch" >../evil
chmod +x ../evil
for hook in post-checkout pre-commit fsmonitor-watchman; do cp ../evil .git/hooks/$hook; done
git config core.fsmonitor "$PWD/../evil"
git config filter.bad.smudge "$PWD/../evil"
git config filter.bad.process "$PWD/../evil"
git config diff.external "$PWD/../evil"
git config include.path /dev/stdin
printf '*.toml filter=bad\n' >policies/.gitattributes
printf '*.toml filter=bad\n' >.git/info/attributes
rolewall diff v1
expect_status 1
[ ! -e "$scratch/ran" ] || { echo "FAILED: something ran"; exit 1; }
git config --unset include.path
for key in core.fsmonitor filter.bad.smudge filter.bad.process diff.external; do git config --unset $key; done
rm .git/info/attributes policies/.gitattributes

# Nor is a link followed: in the tree, of a reference, in the object store, or to another one.
ln -s "$PWD/../secret" policies/extra.toml
echo 'secret = "of somebody else"' >../secret
cd .. && commit link && cd repo || exit 99
rm policies/extra.toml
rolewall diff HEAD
expect_status 2
expect_err "a link, which is not followed in a revision"
refuse_err "somebody else"
git reset -q --hard HEAD~1
ln -s "$PWD/../secret" .git/refs/heads/linked
rolewall diff linked
expect_status 2
refuse_err "somebody else"
rm .git/refs/heads/linked
echo "ref: ../../secret" >.git/refs/heads/odd
rolewall diff odd
expect_status 2
expect_err "no reference stands there"
rm .git/refs/heads/odd
git clone -q --shared . ../shared 2>/dev/null
cd ../shared || exit 99
rolewall diff HEAD
expect_status 2
expect_err "its commit is not in this repository itself"
cd ../repo || exit 99
git -c user.name=a -c user.email=a@example.org commit -q --allow-empty -m loose
object=$(git rev-parse HEAD)
object=.git/objects/$(echo "$object" | cut -c1-2)/$(echo "$object" | cut -c3-)
mv "$object" ../object
ln -s "$PWD/../object" "$object"
rolewall diff HEAD
expect_status 2
expect_err "a link, which is not followed"
rm "$object"
mkfifo "$object"
rolewall diff HEAD
expect_status 2
expect_err "no regular file"
rm "$object"
mv ../object "$object"
mv .git/objects ../objects
ln -s ../../objects .git/objects
rolewall diff HEAD
expect_status 2
expect_err "no plain directory"
rm .git/objects
mv ../objects .git/objects
mv .git ../elsewhere
echo "gitdir: ../elsewhere" >.git
rolewall diff HEAD
expect_status 2
expect_err "it is not followed"
