# Each verb once, in a row, on a small site: what sanitizers look at unless the tests are run --long.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
two_devices
ip address add 192.0.2.1/24 dev eth0
state="$scratch/state"
mkdir site
cat >site/site.toml <<'TOML'
[site]
name = "one"
management = "office"

[networks]
office = ["198.51.100.0/24", "2001:db8:7::/64"]

[hosts.www]
role = "web"
addresses = ["192.0.2.1"]
TOML
cat >site/web.toml <<'TOML'
role = "web"
use = ["baseline"]

[[inbound]]
id = "https"
service = "https"
from = "any"

[[test]]
name = "https is open, a database is not"
accept = ["https internet > self"]
deny = ["mysql internet > self"]
TOML

asked=""
# The verb, its exit status, a text that it prints, what else it is given.
verb() {
  asked="$asked $1"
  name=$1 expected=$2 text=$3
  shift 3
  rolewall "$name" "$@"
  expect_status "$expected"
  expect_out "$text"
}
on_server() { name=$1 expected=$2 text=$3; shift 3; verb "$name" "$expected" "$text" "$@" --state-dir "$state"; }

verb check 0 "site: ok" site
verb lint 0 "no findings" site
verb reach 0 "internet" -p site
verb report 0 "</html>" site
verb schema 0 "json-schema.org"
verb test 0 "as expected" site
verb compile 0 "table inet rolewall" site
verb explain 0 "web.inbound.https" web.inbound.https -p site
verb eval 0 "web.inbound.https" 'https 203.0.113.5 > www' -p site
verb eval 0 "drop" 'mysql 203.0.113.5 > www' -p site --explain
verb prove 0 "proven" 'never mysql any > www' -p site
verb lock 0 "" site
verb diff 0 "no packet's fate differs" site site
on_server plan 0 "added" site
on_server apply 0 "generation 1 is in force" site
printf '\n[[inbound]]\nid = "http"\nservice = "http"\nfrom = "any"\n' >>site/web.toml
on_server apply 0 "generation 2" site --confirm 1h
on_server confirm 0 "" 
on_server ban 0 "banned 203.0.113.9" 203.0.113.9 --for 1h
verb bans 0 "203.0.113.9"
on_server allow 0 "opened" ssh from 203.0.113.8 --for 10m -p site
on_server status 0 "in force"
on_server stats 0 "web.inbound.https" --once --all
asked="$asked log"
rolewall log --state-dir "$state"
expect_status 1
expect_err "to = 5"
verb dump 0 "rolewall-snapshot"
on_server trace 0 "no packet of these words came" 'tcp any > self:9' --for 1s
rolewall eval 'tcp 203.0.113.9 > 192.0.2.1:80 in=eth0' --live --state-dir "$state"
expect_out "(banned)"
on_server unallow 0 "" ssh from 203.0.113.8 -p site
on_server unban 0 "" 203.0.113.9
on_server rollback 0 "generation 1"
on_server history 0 "rollback"
on_server refresh 0 "no DNS names"
play_reboot
on_server boot 0 "generation 1"
on_server disable 0 ""

# None is forgotten.
rolewall --help
sed -n 's/^  \([a-z]\{3,\}\)  .*/\1/p' "$scratch/out" | sort >verbs
[ "$(wc -l <verbs)" -gt 20 ] || complain "its help names no verbs"
for known in $(cat verbs); do
  case " $asked " in *" $known "*) ;; *) complain "$known was not asked" ;; esac
done
