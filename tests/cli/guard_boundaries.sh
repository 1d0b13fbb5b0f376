# The rules tell more addresses of management apart than the guard asks about: plan and apply say so.
. "$(dirname "$0")/prelude.sh"
command -v nft >/dev/null || { echo "skipped: no nft"; exit 77; }
in_namespaces "$@"
state="$scratch/state"
ip link set lo up
two_devices
ip address add 203.0.113.10/24 dev eth0
ip route add default via 203.0.113.1 dev eth0
site_of_srv '"203.0.113.10"'
sed -i 's|^office = .*|office = ["198.51.0.0/16"]\nsome = { file = "lists/some.txt" }|' site/site.toml
mkdir site/lists
export SSH_CONNECTION="198.51.100.7 50022 203.0.113.10 22"
rules() {
  printf 'role = "server"\nuse = ["baseline"]\n[[inbound]]\nid = "some"\nservice = "tcp/8000"\nfrom = "some"\n' >site/server.toml
}
rules

# Few: each is asked about.
echo 198.51.3.7 >site/lists/some.txt
with_state plan site --host srv
expect_status 0
refuse_out "the rules draw boundaries"

for i in $(seq 0 99); do seq -f "198.51.$i.%g" 2 2 200; done >site/lists/some.txt
with_state plan site --host srv
expect_status 0
expect_out "ssh from management: the rules draw boundaries at 20100 addresses of management, of which one in 14 was checked; all at once would take too long"
with_state plan site --host srv --format json
expect_json 'any("boundaries" in n["how"] for n in d["notes"]) and d["lost"] == []'
with_state apply site --host srv
expect_status 0
expect_err "the rules draw boundaries at 20100 addresses of management"
