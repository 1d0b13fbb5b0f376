# eval --file: questions from a file or standard input, what was expected of each, and a summary.
. "$(dirname "$0")/prelude.sh"
site="$ROLEWALL_SOURCE/policies"

cat >questions.txt <<'TXT'
# What the site must do.
https internet > lb-01 => accept
mysql web-01 > db-01   => accept   # the application's own
mysql lb-01 > db-01    => deny

  ssh internet > lb-01
TXT
rolewall eval -p "$site" --file questions.txt
expect_status 0
expect_out "questions.txt:2: accept  https internet > lb-01"
expect_out "lb.inbound.https"
expect_out "questions.txt:6: drop    ssh internet > lb-01"
expect_out "4 questions: 3 as expected, 0 not"
[ "$(wc -l <"$scratch/out")" = 5 ] || complain "a line a question, and one more"

rolewall eval -p "$site" --file questions.txt --format json
expect_status 0
expect_json 'len(d["questions"]) == 4 and d["summary"] == {"questions": 4, "as_expected": 3, "not_as_expected": 0}'
expect_json 'd["questions"][2]["expected"] == "deny" and d["questions"][2]["as_expected"] is True'
expect_json 'd["questions"][3]["line"] == 6 and "expected" not in d["questions"][3]'
expect_json 'd["questions"][0]["question"] == "https internet > lb-01"'

# One that is wrong is said, and the exit status too.
printf '%s\n' 'mysql lb-01 > db-01 => accept' 'https internet > lb-01 => accept' >wrong.txt
rolewall eval -p "$site" --file wrong.txt
expect_status 1
expect_out "not as expected: "
expect_out "2 questions: 1 as expected, 1 not"
rolewall eval -p "$site" --file wrong.txt --format json
expect_status 1
expect_json 'd["summary"]["not_as_expected"] == 1 and d["questions"][0]["as_expected"] is False'

# Words that stand for several packets: all of them are judged.
printf '%s\n' 'https internet > lb => accept' 'tcp/443 web-01,lb-01 > web-02 => accept' >several.txt
rolewall eval -p "$site" --file several.txt
expect_status 2
printf '%s\n' 'http web > web => deny' 'app lb > web => accept' >several.txt
sed -i 's/^app /tcp\/8080 /' several.txt
rolewall eval -p "$site" --file several.txt
expect_out "2 questions: "

# What is wrong in any line is said at its place, and nothing is asked.
printf '%s\n' 'https internet > lb-01 => accept' 'htps internet > lb-01' '' \
  '  https internet > lb-01 => acept' 'https internet lb-01' >errors.txt
rolewall eval -p "$site" --file errors.txt
expect_status 2
expect_err 'errors.txt:2:1: '
expect_err 'did you mean `https`?'
expect_err 'errors.txt:4:29: `acept` is not a verdict'
expect_err 'did you mean `accept`?'
expect_err 'errors.txt:5:1: '
[ ! -s "$scratch/out" ] || complain "nothing is asked before every line is understood"

: >empty.txt
rolewall eval -p "$site" --file empty.txt
expect_status 2
expect_err "there is no question in it"
rolewall eval -p "$site" --file missing.txt
expect_status 2
expect_err "missing.txt"
rolewall eval -p "$site" --file questions.txt 'https internet > lb-01'
expect_status 2
rolewall eval -p "$site" --file questions.txt --expect accept
expect_status 2

# From standard input, of a ruleset as well.
status=0
"$ROLEWALL_PROGRAM" eval -p "$site" --file - <questions.txt >"$scratch/out" 2>"$scratch/err" || status=$?
ran="rolewall eval --file -"
expect_status 0
expect_out "4 questions: 3 as expected, 0 not"
"$ROLEWALL_PROGRAM" compile -p "$site" --host lb-01 --format json -o lb-01.json || complain "compile"
status=0
printf 'tcp 192.0.2.7:40000 > 203.0.113.10:443 => accept\n' |
  "$ROLEWALL_PROGRAM" eval --ruleset lb-01.json --file - >"$scratch/out" 2>"$scratch/err" || status=$?
expect_status 0
expect_out "1 question: 1 as expected, 0 not"
status=0
"$ROLEWALL_PROGRAM" eval --ruleset - 'tcp 192.0.2.7 > 203.0.113.10:443' <lb-01.json \
  >"$scratch/out" 2>"$scratch/err" || status=$?
expect_status 0
expect_out "accept"

# The shipped services and `self` are known there, too; a rule without a name is shown as nft has it.
rolewall eval --ruleset lb-01.json 'https 192.0.2.7 > self' --expect accept
expect_status 0
rolewall eval --ruleset lb-01.json 'https 192.0.2.7 > self' --explain
expect_status 0
expect_out 'iif lo return'
refuse_out "- rule 1"
rolewall eval --ruleset lb-01.json 'https 192.0.2.7 > self' --explain --format json
expect_json 'all(("text" in t) == t["rule"].startswith("rule ") for h in d["hops"] for t in h.get("tried", []))'
expect_json 'any("text" in t for h in d["hops"] for t in h.get("tried", []))'

# What nft prints is no snapshot: what to do instead is said.
printf 'table inet t {\n}\n' >nft.txt
rolewall eval --ruleset nft.txt 'tcp 192.0.2.7 > 203.0.113.10:443'
expect_status 2
expect_err "rolewall dump"
printf '{"nftables": [{"metainfo": {}}]}\n' >nft.json
rolewall eval --ruleset nft.json 'tcp 192.0.2.7 > 203.0.113.10:443'
expect_status 2
expect_err "rolewall dump"

# Without --file, too, all that the words stand for are judged, and what differs is said.
rolewall eval -p "$site" 'https internet > lb-01'
refuse_out "of the "
rolewall eval -p "$site" 'tcp/22 any > site'
expect_out "of the "
rolewall eval -p "$site" 'tcp/22 management > site' --expect drop
expect_status 1
expect_err "expected drop, got accept"
rolewall eval -p "$site" 'tcp/22 any > site' --format json
expect_json 'sum(d["verdicts"].values()) > 2 and len(d["verdicts"]) > 1'

# Where both ends are asked, the line says who denied; an arrow of another kind gets advice.
printf '%s\n' 'https web-01 > lb-01' 'https internet > lb-01' >ends.txt
rolewall eval -p "$site" --file ends.txt
expect_status 0
expect_out "web-01 (default)"
refuse_out "lb-01 lb.inbound.https"
printf '%s\n' 'https internet > lb-01 -> accept' 'https internet -> lb-01' >arrows.txt
rolewall eval -p "$site" --file arrows.txt
expect_status 2
expect_err "write \`=>\` before the verdict"
expect_err "write \`>\` between the ends"
# Of a device whose number the policies do not say, an explanation says the name.
rolewall eval -p "$site" 'ssh internet > lb-01' --explain
expect_out "iif is eth0, not lo"
refuse_out "is none"
