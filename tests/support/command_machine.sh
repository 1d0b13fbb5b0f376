# The machine on which command_blocks.py runs a block: web-01 of the example site, in namespaces of its
# own. Sourced in an empty directory, which becomes the current directory of the commands:
#
#   policies/, /etc/rolewall    the example site          talk.pcap, eth0.pcap   a conversation with web-01
#   web-01.json                 its ruleset               questions.txt          two questions
#   open PORT                   one more rule in both copies of the site
#   metrics_for_office          another `from` of one that is there
here=$PWD
mkdir over bin
mount -t tmpfs tmpfs over || exit 1
for place in /etc /var/lib /usr/share; do
  mkdir -p "over$place/upper" "over$place/work"
  mount -t overlay overlay -o "userxattr,lowerdir=$place,upperdir=$here/over$place/upper,workdir=$here/over$place/work" \
    "$place" || exit 1
done
hostname web-01
ip link set lo up
ip link add eth0 type veth peer name beyond
ip link set beyond up
ip link set eth0 up
ip address add 10.0.2.10/16 dev eth0
ip -6 address add fd00:db8:0:2::10/48 dev eth0 nodad
ip route add default via 10.0.0.1

printf '#!/bin/sh\nexec "%s" "$@"\n' "$ROLEWALL_PROGRAM" >bin/rolewall
printf '#!/bin/sh\nexec "$@"\n' >bin/sudo
printf '#!/bin/sh\nshift\nexec "$@"\n' >bin/ssh
printf '#!/bin/sh\nsed -i "s/^from    = \\"lb\\"$/from    = \\"lbs\\"/" "$1"\n' >bin/editor
chmod +x bin/*
PATH="$here/bin:$PATH"
export EDITOR=editor GIT_CONFIG_GLOBAL=/dev/null
unset SSH_CONNECTION SSH_CLIENT

# What the package installs, and what the site's names resolve to.
rm -rf /etc/rolewall /var/lib/rolewall /usr/share/doc/rolewall
mkdir -p /usr/share/doc/rolewall/examples /usr/share/rolewall
cp -r "$ROLEWALL_SOURCE/rules" /usr/share/rolewall
chown -R 0:0 /usr/share/rolewall
chmod -R go-w /usr/share/rolewall
export ROLEWALL_RULES_DIR=/usr/share/rolewall/rules
cp -r "$ROLEWALL_SOURCE/policies" "$ROLEWALL_SOURCE/docs/examples/one-server" /usr/share/doc/rolewall/examples
cp -r "$ROLEWALL_SOURCE/policies" /etc/rolewall
cp -r "$ROLEWALL_SOURCE/policies" policies
chown -R 0:0 /etc/rolewall policies
chmod -R go-w /etc/rolewall policies
for name in intake.collector.example acme.authority.example; do
  sed -n "s/^\"$name\" = \[\"\(.*\)\", \"\(.*\)\"\]$/\1 $name $name.\n\2 $name $name./p" policies/rolewall.lock
done >>/etc/hosts
git init -q . 2>/dev/null && git add policies 2>/dev/null

rolewall compile policies --host web-01 --format json -o web-01.json
printf 'https lb-01 > web-01 => accept\nmysql lb-01 > db-01  => deny\n' >questions.txt
PYTHONPATH="$ROLEWALL_SOURCE/tests/cli" python3 - <<'PYTHON'
from packets import tcp, write

peer, host = "10.0.1.10", "10.0.2.10"
write("talk.pcap", [
    tcp(peer, 40000, host, 443, 2, 100, 0),
    tcp(host, 443, peer, 40000, 18, 500, 101),
    tcp(peer, 40000, host, 443, 16, 101, 501, b"hello"),
    tcp(peer, 40000, host, 443, 16, 900000, 501),
    tcp(peer, 443, host, 40001, 18, 1, 1),
    None,
])
PYTHON
cp talk.pcap eth0.pcap

open() {
  for site in policies /etc/rolewall; do
    printf '\n[[inbound]]\nid = "port-%s"\nservice = "tcp/%s"\nfrom = "office"\n' "$1" "$1" >>"$site/web.toml"
  done
}
metrics_for_office() {
  sed -i 's/^from    = "prometheus"$/from    = ["prometheus", "office"]/
          s/, "nginx-exporter office > self"//' policies/web.toml /etc/rolewall/web.toml
}
