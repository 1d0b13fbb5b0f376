# Each match of iptables on the way of ssh, and each target: what only notes or asks changes no answer,
# gives plan nothing to tell and no drift; for what may deny, as it did before, nothing is refused.
. "$(dirname "$0")/prelude.sh"
for program in nft iptables-nft ip6tables-nft ipset; do
  command -v $program >/dev/null || { echo "skipped: no $program"; exit 77; }
done
iptables -V 2>/dev/null | grep -q nf_tables || { echo "skipped: iptables is not iptables-nft"; exit 77; }
in_namespaces "$@"
ip link set lo up
ip link add eth0 type veth peer name far
ip address add 192.0.2.10/24 dev eth0
ip address add 2001:db8::10/64 dev eth0 nodad
ip link set eth0 up
ip link set far up
mkdir site
cat >site/site.toml <<'T'
[site]
name = "s"
management = "office"
[defaults]
inbound = "drop"
outbound = "accept"
[networks]
office = ["192.0.2.0/28", "2001:db8::/64"]
[interfaces.public]
device = "eth0"
[hosts.srv]
role = "server"
addresses = ["192.0.2.10", "2001:db8::10"]
interfaces = ["public"]
T
cat >site/server.toml <<'T'
role = "server"
use = ["baseline"]
[[inbound]]
id = "ssh"
service = "ssh"
from = "any"
T
state="$scratch/state"
rolewall apply site --host srv --state-dir "$state"
expect_status 0
ipset create s hash:ip 2>/dev/null

# add TABLE CHAIN WORDS: of both families, those that this kernel and iptables take
taken=0 refused=""
add() {
  table=$1 chain=$2
  shift 2
  for program in iptables-nft ip6tables-nft; do
    # shellcheck disable=SC2294 # words with quotes
    eval "$program -t $table -A $chain $*" 2>/dev/null && { taken=$((taken + 1)); added=1; }
  done
  [ -n "$added" ] || refused="$refused ${*##*-p tcp --dport 22 }"
  added=""
}
added=""
# Nothing of it decides: the rules have no target, or one that notes something.
while read -r words; do add filter INPUT "-p tcp --dport 22 $words"; done <<'MATCHES'
-m comment --comment 'two words'
-m tcp --tcp-flags SYN,ACK SYN --tcp-option 2
-m multiport --dports 22,80:90
-m conntrack --ctstate NEW,RELATED --ctproto tcp
-m state --state NEW
-m mark ! --mark 5/0xf
-m connmark --mark 0
-m connlabel --label 1
-m connbytes --connbytes 0:5 --connbytes-dir both --connbytes-mode packets
-m connlimit --connlimit-upto 100
-m limit --limit 5/min
-m hashlimit --hashlimit-upto 5/min --hashlimit-name each --hashlimit-mode srcip
-m addrtype --dst-type LOCAL
-m iprange --src-range 192.0.2.1-192.0.2.9
-m iprange --src-range 2001:db8::1-2001:db8::9
-m mac ! --mac-source 02:00:00:00:00:77
-m cgroup ! --cgroup 5
-m devgroup --src-group 0
-m length --length 40:1500
-m tcpmss --mss 500:1500
-m ttl --ttl-gt 1
-m hl --hl-gt 1
-m tos --tos 0/0xff
-m dscp --dscp 0
-m ecn --ecn-tcp-cwr
-m set --match-set s src
-m recent --name each --set
-m recent --name each --rcheck --seconds 60 --hitcount 4
-m statistic --mode nth --every 3
-m statistic --mode random --probability 0.5
-m pkttype --pkt-type unicast
-m physdev --physdev-in port0
-m socket --nowildcard
-m policy --dir in --pol none
-m rt --rt-type 0
-m ipv6header --header none --soft
-m helper --helper ftp
-m string --algo bm --string needle
-m time --timestart 08:00 --timestop 17:00
-m quota --quota 100000
-m realm --realm 5
-m cpu --cpu 0
-m u32 --u32 '0>>22&0x3C@12>>26&0x3C@0>>24=0'
-j LOG --log-prefix each
-j NFLOG --nflog-group 3
-j AUDIT --type accept
-j SET --add-set s src
-j RATEEST --rateest-name each --rateest-interval 1s --rateest-ewmalog 4s
-j IDLETIMER --timeout 60 --label each
MATCHES
add filter INPUT '-p sctp -m sctp --dport 22'
add filter INPUT '-p dccp -m dccp --dport 22'
add filter INPUT '-p icmp -m icmp --icmp-type 8'
add filter INPUT '-p esp -m esp --espspi 5'
add filter INPUT '-p ah -m ah --ahspi 5'
add filter INPUT '-p icmpv6 -m icmp6 --icmpv6-type 128'
add filter INPUT '-p 135 -m mh --mh-type 1'
for header in hbh dst frag; do add filter INPUT "-m $header"; done
add filter INPUT '-f'
add filter OUTPUT '-m owner --uid-owner 0'
add raw PREROUTING '-m rpfilter --invert'
add raw PREROUTING '-p tcp --dport 22 -j TRACE'
while read -r words; do add mangle PREROUTING "-p tcp --dport 22 $words"; done <<'TARGETS'
-j MARK --set-xmark 0x10/0xf0
-j CONNMARK --save-mark
-j DSCP --set-dscp 8
-j TOS --set-tos 0x10
-j TTL --ttl-set 60
-j HL --hl-set 60
-j ECN --ecn-tcp-remove
-j TCPOPTSTRIP --strip-options 8
-j CHECKSUM --checksum-fill
-j TEE --gateway 192.0.2.99
TARGETS
add mangle POSTROUTING '-j CLASSIFY --set-class 1:5'
add mangle POSTROUTING '-p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu'
# What decides, for other ports.
while read -r words; do add filter INPUT "-p tcp --dport 9 $words"; done <<'DECIDE'
-j REJECT --reject-with tcp-reset
-j NFQUEUE --queue-num 3
DECIDE
add filter INPUT '-p tcp --dport 9 -m conntrack --ctstate INVALID,UNTRACKED -j SYNPROXY --mss 1460'
add mangle PREROUTING '-p tcp --dport 9 -j TPROXY --on-port 1111'
add raw PREROUTING '-p tcp --dport 9 -j CT --zone 5'
add raw PREROUTING '-p tcp --dport 10 -j NOTRACK'
add nat PREROUTING '-p tcp --dport 9 -j DNAT --to-destination 192.0.2.10:99'
add nat PREROUTING '-p tcp --dport 9 -j REDIRECT --to-ports 99'
add nat POSTROUTING '-p tcp --dport 9 -j MASQUERADE'
add nat POSTROUTING '-p tcp --dport 9 -j NETMAP --to 192.0.2.0/28'
add nat INPUT '-p tcp --dport 9 -j SNAT --to-source 192.0.2.9'
[ $taken -ge 60 ] || { echo "skipped: of these rules this kernel takes $taken alone, not$refused"; exit 77; }

expect_nothing_to_tell() {
  for question in 'tcp 192.0.2.7 > 192.0.2.10:22 in=eth0' 'tcp 2001:db8::7 > [2001:db8::10]:22 in=eth0'; do
    rolewall eval --live --state-dir "$state" "$question" --format json
    expect_json 'd["verdict"] == "accept"'
  done
  rolewall plan site --host srv --state-dir "$state" --format json
  expect_status 0
  expect_json 'd.get("notes", []) == [] and d.get("lost", []) == []'
  rolewall status --state-dir "$state" --format json
  expect_status 0
  expect_json 'd["drift"] == []'
}
expect_nothing_to_tell
rolewall dump -o dump.json
expect_status 0
rolewall eval --ruleset dump.json 'tcp 192.0.2.7 > 192.0.2.10:22 in=eth0' --format json
expect_json 'd["verdict"] == "accept"'
# Which it came by, in iptables' words.
rolewall eval --live --state-dir "$state" 'tcp 192.0.2.7 > 192.0.2.10:22 in=eth0' --explain
for words in '-m recent ' '-m hashlimit ' '-m statistic --mode random' '-m u32 ' '-m cpu --cpu 0' '-j LOG --log-prefix each'; do
  expect_out "$words"
done
# A change of ours beside them passes: the guard has nothing against it.
sed -i 's/^service = "ssh"/service = ["ssh", "http"]/' site/server.toml
rolewall apply site --host srv --state-dir "$state" -y
expect_status 0

# What may deny ssh, and does so now: our change makes it no worse, and is not refused for it.
sed -i 's/^service = .*/service = ["ssh", "http", "https"]/' site/server.toml
for words in '-m cpu --cpu 0' '-m statistic --mode random --probability 0.5' '-m length --length 0:9999'; do
  iptables-nft -I INPUT -p tcp --dport 22 $words -j DROP
  rolewall plan site --host srv --state-dir "$state" --format json
  expect_json 'd.get("lost", []) == []'
  iptables-nft -D INPUT 1
done
rolewall apply site --host srv --state-dir "$state" -y
expect_status 0
expect_nothing_to_tell
echo "$checks checks, $taken rules; not taken:${refused:- none}"
