# At boot: what was confirmed last, as it was compiled; else the policies; else ssh and ICMP.
. "$(dirname "$0")/prelude.sh"
web_01 "$@"
boot() { rolewall boot -p site --host web-01 --state-dir "$state" "$@"; }
boot
expect_status 0
expect_out "nothing was loaded"

apply
expect_status 0
first=$(table)
rolewall ban 192.0.2.7 --for 1h --state-dir "$state"
expect_status 0
play_reboot
boot
expect_status 0
expect_out "generation 1 is in force"
for chain in input output forward; do
  nft list chain inet rolewall $chain | grep -q "jump banned-$chain" || complain "$chain does not look up the ban that came back"
done
[ "$(table)" = "$first" ] || nft list set inet rolewall banned/4 | grep -q 192.0.2.7 || complain "another table"
rolewall bans
expect_out "192.0.2.7"
rolewall status --state-dir "$state" --format json
expect_json 'd["same_boot"] and d["drift"] == []'
boot
expect_status 0
apply
expect_out "nothing to do"

# Switched off at the console.
play_reboot
echo "root=/dev/sda1 rolewall=off quiet" >cmdline
boot --kernel-parameters cmdline --as-unit
expect_status 0
expect_out "nothing was loaded"
[ -z "$(table)" ] || complain "it was loaded all the same"
# By hand, as status advises, it is loaded.
rolewall status --state-dir "$state"
expect_out "load it again: sudo rolewall boot"
boot --kernel-parameters cmdline
expect_status 0
expect_out "generation 1 is in force"
expect_out "rolewall=off is on the kernel command line"
[ -n "$(table)" ] || complain "it was not loaded"
play_reboot

# Not confirmed before the restart: the former policy.
boot
printf '\n[[inbound]]\nid = "more"\nservice = "tcp/8001"\nfrom = "office"\n' >>site/web.toml
apply --confirm 1h
expect_status 0
play_reboot
boot
expect_status 0
expect_err "generation 2 was not confirmed"
expect_out "generation 1 is in force"
expect_err "changed since they were applied"
rolewall status --state-dir "$state" --format json
expect_json 'd["generation"] == 1 and "restarted" in d["rolled_back"]["why"] and d["drift"] == []'
rolewall confirm --state-dir "$state"
expect_status 1

# Policies that do not compile any more change nothing.
play_reboot
echo 'this is no TOML' >>site/web.toml
boot
expect_status 0
expect_err "the policies cannot be compiled now"
expect_out "generation 1 is in force"

# A record that cannot be read: the policies; and where these cannot either, the least that lets
# the administrator in. Who is banned is so there too.
play_reboot
echo '{ damaged' >"$state/boot/snapshot.json"
boot
expect_status 0
expect_out "minimal"
nft list chain inet rolewall minimal.inbound.ssh >/dev/null || complain "no ssh"
nft list table inet rolewall | grep -q '198.51.100.0/24' || complain "ssh is not from the management networks"
rolewall bans
expect_out "192.0.2.7"
rolewall status --state-dir "$state"
expect_status 1
expect_out "fallback"
expect_out "cannot be read"
rolewall history --state-dir "$state"
expect_status 0
expect_out "could not be loaded"
sed -i '$ d' site/web.toml
play_reboot
boot
expect_status 0
expect_out "the current policy is in force"
# By itself it finds those that were applied last, and both say how they are applied again.
again="sudo rolewall apply -p $(pwd -P)/site --host web-01 --state-dir $state"
play_reboot
rolewall boot --state-dir "$state"
expect_status 0
expect_out "the current policy is in force"
expect_out "$again"
rolewall status --state-dir "$state"
expect_out "$again"
rolewall bans
expect_out "192.0.2.7"
# The damage is no reason to refuse what is new, and the next boot loads that.
apply
expect_status 0
expect_err "is ignored"
expect_out "is in force"
rolewall status --state-dir "$state"
expect_status 0
refuse_out "fallback"
play_reboot
boot
expect_status 0
expect_out "generation"
rolewall disable --state-dir "$state"
expect_status 0
play_reboot
boot
expect_out "nothing was loaded"
