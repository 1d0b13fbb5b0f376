# What a large set holds is read again where its count of elements is another, or on demand; a program
# that changes something else does not have it read.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
state="$scratch/state"
cp -R "$ROLEWALL_SOURCE/tests/large-site" site
mkdir site/lists
awk 'BEGIN { for (i = 0; i < 5000; i++) printf "11.0.%d.%d\n", i / 100, i % 100 * 2 }' > site/lists/abusers.txt
on_web() { verb=$1; shift; rolewall "$verb" site --host web-01 --state-dir "$state" "$@"; }
elements() { nft list set inet rolewall net/abusers/4 | tr -d ' \n' | tr ',' '\n' | grep -oE '1?[0-9]?[0-9]\.[0-9.]+' | sort; }
wanted() { sort site/lists/abusers.txt; }
as_wanted() { checks=$((checks + 1)); [ "$(elements)" = "$(wanted)" ] || complain "the set is not the list"; }

on_web apply
expect_status 0
as_wanted
on_web plan --exit-code
expect_status 0

# One element less: its count says so.
nft delete element inet rolewall net/abusers/4 '{ 11.0.0.0 }'
on_web plan --exit-code
expect_status 1
expect_out "11.0.0.0"
on_web apply
expect_status 0
as_wanted

# As many taken out as put in: only who reads everything sees it.
nft delete element inet rolewall net/abusers/4 '{ 11.0.0.0 }'
nft add element inet rolewall net/abusers/4 '{ 99.0.0.1 }'
on_web plan --exit-code
if [ "$status" = 0 ]; then
  rolewall status --state-dir "$state"
  expect_status 1
  expect_out "99.0.0.1"
else
  echo "this kernel does not count a set's elements: everything is read"
fi
on_web plan --exit-code --read-all
expect_status 1
expect_out "11.0.0.0"
expect_out "99.0.0.1"
on_web apply --read-all
expect_status 0
as_wanted

# What the kernel refuses because the set holds something else is made of what it holds.
nft delete element inet rolewall net/abusers/4 '{ 11.0.0.0 }'
nft add element inet rolewall net/abusers/4 '{ 99.0.0.1 }'
echo 99.0.0.1 >> site/lists/abusers.txt
on_web apply
expect_status 0
as_wanted

# Another program at work on a table of its own.
nft add table ip other
sed -i '$d' site/lists/abusers.txt
on_web apply
expect_status 0
as_wanted
on_web plan --read-all --exit-code
expect_status 0
echo "$checks checks"
