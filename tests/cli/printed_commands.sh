# A command that is printed works as it is printed, from another directory, too.
. "$(dirname "$0")/prelude.sh"
web_01 "$@"
mv site "it's a site"

# printed VERB: the command in the last output, run from elsewhere.
printed() {
  command=$(cat "$scratch/out" "$scratch/err" | grep -o "rolewall $1[^\`]*" | head -n 1 |
    sed 's/    .*//; s/ (.*//')
  [ -n "$command" ] || complain "no command \`rolewall $1\`"
  ran=$command
  status=0
  (cd / && eval "timeout 120 \"\$ROLEWALL_PROGRAM\" ${command#rolewall }") \
    >"$scratch/out" 2>"$scratch/err" </dev/null || status=$?
  checks=$((checks + 1))
}

relative=$(realpath --relative-to=. "$state")
rolewall apply "it's a site" --host web-01 --state-dir "$relative"
expect_status 0
cp "it's a site/web.toml" .
printf '\n[[inbound]]\nid = "more"\nservice = "tcp/8001"\nfrom = "office"\n' >>"it's a site/web.toml"
rolewall apply "it's a site" --host web-01 --state-dir "$relative" --confirm 1h
expect_out "sudo rolewall confirm --state-dir $state"
printed confirm
expect_status 0
expect_out "confirmed"
rolewall status --state-dir "$relative"
printed rollback
expect_status 0
expect_out "generation 1 is in force again"

# With the policies and the host, where the verb takes them.
rolewall boot -p "it's a site" --host web-01 --state-dir "$relative"
expect_err "see \`rolewall plan -p '"
printed plan
expect_status 0
expect_out "web-01: policy rules"
# Where nothing was given, nothing is added.
rolewall bans
refuse_out "--state-dir"
rolewall unban 192.0.2.7
refuse_err "--state-dir"
echo "$checks checks"
