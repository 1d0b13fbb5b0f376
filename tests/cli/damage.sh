# Any byte of what boot loads is another: what was applied comes into force, or a fallback that says
# so; never another ruleset. And the damage keeps nobody from applying.
. "$(dirname "$0")/prelude.sh"
web_01 "$@"
boot() { rolewall boot -p site --host web-01 --state-dir "$state"; }

apply
expect_status 0
applied=$(table)
(cd "$state/boot" && sha256sum --quiet -c seal) || complain "sha256sum does not find the seal right"
# What the policies say now is told apart from what was applied.
printf '\n[[inbound]]\nid = "more"\nservice = "tcp/8001"\nfrom = "office"\n' >>site/web.toml
cp -a "$state" "$scratch/kept"

# change FILE AT: one bit of one byte.
change() {
  python3 - "$1" "$2" <<'P'
import sys
name, at = sys.argv[1], int(sys.argv[2])
data = bytearray(open(name, "rb").read())
data[at % len(data)] ^= 1 << (at % 7)
open(name, "wb").write(data)
P
}
restore() {
  rm -rf "$state"
  cp -a "$scratch/kept" "$state"
  nft flush ruleset
}
fell_back=0
beside=0
for file in snapshot.json applied.json elements.json seal; do
  for at in 1 77 1009 4001 17011; do
    restore
    change "$state/boot/$file" "$at"
    ran="boot with $file changed at $at"
    boot
    expect_status 0
    if holds out "the current policy is in force"; then
      expect_err "is damaged"
      nft list chain inet rolewall web.inbound.more >/dev/null || complain "neither"
      fell_back=$((fell_back + 1))
    else
      [ "$(table)" = "$applied" ] || complain "another ruleset is in force, and nothing is said"
      # Of policies.json, which boot does not load, its checksum alone.
      diff "$scratch/kept/generations/1/seal" "$state/generations/1/seal" | grep -q policies.json && beside=$((beside + 1))
    fi
  done
done
[ "$((fell_back + beside))" = 20 ] && [ "$beside" -le 2 ] || complain "a change went unseen: $fell_back of 20 fell back"

# Each file missing, empty, a directory, a link to the very same.
for file in snapshot.json applied.json elements.json seal; do
  for how in 'rm "$f"' ': >"$f"' 'rm "$f"; mkdir "$f"' 'mv "$f" "$f.moved"; ln -s "$file.moved" "$f"'; do
    restore
    f="$state/boot/$file"
    f=$(realpath "$state/boot")/$file
    eval "$how"
    ran="boot with $file: $how"
    boot
    expect_status 0
    expect_out "the current policy is in force"
    rolewall status --state-dir "$state"
    expect_status 1
    expect_out "cannot be read"
    apply --force --read-all
    expect_status 0
    expect_err "is ignored"
    rolewall status --state-dir "$state"
    expect_status 0
  done
done

# What was in force while its record was damaged is there to go back to.
restore
boot
before=$(table)
change "$state/current/snapshot.json" 500
apply --confirm 1h
expect_status 0
[ "$(table)" != "$before" ] || complain "nothing was changed"
rolewall rollback --state-dir "$state"
expect_status 0
[ "$(table)" = "$before" ] || complain "not what the kernel held before"
rolewall status --state-dir "$state"
expect_status 0

# Drift is told from what was sealed: a record that somebody edited is no policy.
restore
boot
sed -i 's/"accept"/"drop"/' "$state/current/snapshot.json"
rolewall status --state-dir "$state"
expect_status 1
expect_out "is damaged"
rolewall rollback --to 1 --state-dir "$state"
[ "$status" != 0 ] || complain "a damaged generation was put in force"
[ "$(table)" = "$applied" ] || complain "a damaged generation was put in force"

# A ban of which one digit is another bans nobody, and is reported.
restore
boot
for address in 192.0.2.7 192.0.2.8; do rolewall ban "$address" --state-dir "$state"; done
sed -i 's/192\.0\.2\.7/192.0.2.6/' "$state/bans.log"
nft flush ruleset
boot
expect_out "generation 1 is in force"
expect_err "bans.log: 1 line is damaged and left out"
rolewall bans
expect_out "192.0.2.8"
refuse_out "192.0.2.6"

# A link that leads to another generation by one changed byte is damaged: the history says where it led.
restore
boot
apply
expect_status 0
applied=$(table)
for link in current boot; do
  ln -sfn "$(readlink "$state/$link" | sed 's/[0-9]*$/1/')" "$state/$link"
done
rolewall status --state-dir "$state"
expect_status 1
expect_out "boot: does not lead to a generation; where it led is taken from history.log"
nft flush ruleset
boot
expect_status 0
expect_out "generation 2 is in force"
expect_err "does not lead to a generation"
[ "$(table)" = "$applied" ] || complain "a changed byte led to another generation"
rolewall status --state-dir "$state"
expect_status 0
