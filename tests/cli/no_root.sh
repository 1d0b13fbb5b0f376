# Without root, each verb that needs it says so, whatever it is that it may not: the commonest slip at
# the verbs that matter most. None says that there is nothing to do where it could not look.
. "$(dirname "$0")/prelude.sh"
[ "$(id -u)" = 0 ] || { echo "skipped: not root"; exit 77; }
command -v setpriv >/dev/null || { echo "skipped: no setpriv"; exit 77; }
chmod 755 "$scratch" "$scratch/work"
example_site site
cat >"$scratch/as_nobody" <<W
#!/bin/sh
exec setpriv --reuid=65534 --regid=65534 --clear-groups "$ROLEWALL_PROGRAM" "\$@"
W
chmod 755 "$scratch/as_nobody"
"$scratch/as_nobody" --version >/dev/null 2>&1 || { echo "skipped: others cannot run the program"; exit 77; }
ROLEWALL_PROGRAM="$scratch/as_nobody"
mkdir -m 700 "$scratch/private"

for where in "$scratch/private" "$scratch/nowhere"; do
  for verb in "apply site --host web-01" "plan site --host web-01" rollback "rollback --expired" confirm disable \
    "boot -p site --host web-01" "ban 192.0.2.7" "unban 192.0.2.7" "allow tcp/22 from 192.0.2.7 --for 1h" \
    "unallow tcp/22 from 192.0.2.7" status stats bans history; do
    [ "$where" = "$scratch/nowhere" ] && case $verb in history | "rollback --expired") continue ;; esac
    # shellcheck disable=SC2086 # words
    rolewall $verb --state-dir "$where"
    [ "$status" != 0 ] || complain "it says that all is well"
    expect_err "(run it as root)"
    refuse_out "nothing to"
  done
done
rolewall log --group 5 --for 1s --state-dir "$scratch/nowhere"
expect_status 3
expect_err "CAP_NET_ADMIN"
echo "$checks checks"
