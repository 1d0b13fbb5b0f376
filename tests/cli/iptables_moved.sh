# The commands of docs/iptables.md that move rules from iptables-legacy to iptables-nft, as they stand there: the same
# rules, which eval reads; and nothing of the old ones is left, no policy either.
. "$(dirname "$0")/prelude.sh"
for program in nft iptables-legacy-save ip6tables-legacy-save iptables-nft-restore ip6tables-nft-restore; do
  command -v $program >/dev/null || { echo "skipped: no $program"; exit 77; }
done
in_namespaces "$@"
ip link set lo up
ip link add eth0 type veth peer name other
ip address add 192.0.2.10/24 dev eth0
ip link set eth0 up; ip link set other up
iptables-legacy -L >/dev/null 2>&1 || { echo "skipped: the kernel has no iptables-legacy"; exit 77; }

# What would choose the programs of this machine is only noted.
mkdir bin
printf '#!/bin/sh\necho "$*" >>%s/chosen\n' "$PWD" >bin/update-alternatives
chmod +x bin/update-alternatives
PATH="$PWD/bin:$PATH"

# The blocks of the chapter, in order: what status says, moving, taking away.
awk '/^## /{ on = $0 == "## iptables-legacy" } on && /^    /{ if (!within) n++; within = 1; print substr($0, 5) >("block." n) }
  !/^    /{ within = 0 }' "$ROLEWALL_SOURCE/docs/iptables.md"
[ -e block.3 ] && [ ! -e block.4 ] || complain "the chapter has other blocks than three"

iptables-legacy-restore <<'RULES' || complain "the rules are not taken"
*mangle
:POSTROUTING DROP [0:0]
-A PREROUTING -i eth0 -j MARK --set-xmark 0x7/0xff
COMMIT
*nat
-A PREROUTING -p tcp -m tcp --dport 8080 -j DNAT --to-destination 192.0.2.20:80
COMMIT
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT DROP [0:0]
:banned - [0:0]
-A INPUT -s 198.51.100.66/32 -j banned
-A INPUT -p tcp -m multiport --dports 22,443 -m comment --comment "the doors" -j ACCEPT
-A banned -m limit --limit 5/min -j LOG --log-prefix "banned "
-A banned -j REJECT --reject-with icmp-port-unreachable
COMMIT
RULES
ip6tables-legacy -A INPUT -s 2001:db8::66 -j DROP || complain "the rules of IPv6 are not taken"

rules_of() { "$1" | grep -v '^#' | sed 's/\[[0-9:]*\]//' | LC_ALL=C sort; }
rules_of iptables-legacy-save >before
rules_of ip6tables-legacy-save >before6
rolewall eval --live 'tcp 198.51.100.66 > 192.0.2.10:22 in=eth0' --format json
expect_json 'd["verdict"] == "accept"'  # legacy rules are not seen

sh -e block.2 || complain "the commands that move fail"
rules_of iptables-nft-save >after
rules_of ip6tables-nft-save >after6
checks=$((checks + 2))
# A table of nft has chains only where there is something: all that was said is there, policies and rules.
lacks() { grep -v ' ACCEPT $' "$1" | LC_ALL=C comm -23 - "$2"; }
[ -z "$(lacks before after)" ] || complain "not moved: $(lacks before after)"
[ -z "$(lacks before6 after6)" ] || complain "not moved: $(lacks before6 after6)"
grep -q -- '--set iptables .*/iptables-nft' chosen || complain "iptables-nft is not chosen"

sh block.3
for family in ip ip6; do
  ${family}tables-legacy-save >left
  checks=$((checks + 1))
  grep -Eq '^-A| DROP |^:.* - ' left && complain "left of the old rules: $(cat left)"
done
rolewall eval --live 'tcp 198.51.100.66 > 192.0.2.10:22 in=eth0' --format json
expect_json 'd["verdict"] == "reject" and d["hops"][-1]["decided_by"]["chain"] == "banned"'
rolewall eval --live 'tcp 192.0.2.7 > 192.0.2.10:22 in=eth0' --format json
expect_json 'd["verdict"] == "accept"'
rolewall eval --live 'tcp 192.0.2.7 > 192.0.2.10:25 in=eth0' --format json
expect_json 'd["verdict"] == "drop"'
echo "$checks checks"
