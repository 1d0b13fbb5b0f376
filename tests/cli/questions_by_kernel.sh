# 300 questions about the example site, from a file: the live kernel says of each what eval says.
. "$(dirname "$0")/prelude.sh"
need_namespaces
example_site site

python3 - >questions.txt <<'PYTHON'
import random
random.seed(16)
hosts = ["lb-01", "web-01", "web-02", "db-01", "db-02", "db-03", "apps-01", "gw-01"]
others = ["internet", "management", "192.0.2.7", "2001:db8:ffff::7", "198.51.100.66"]
services = ["https", "ssh", "mysql", "ping", "ntp", "tcp/8080", "udp/53", "tcp/80", "tcp/4567", "udp/40000",
            "sctp/2905", "icmp/3", "icmpv6/2", "protocol/47"]
options = ["", "", "", "flags=rst", "flags=syn,ack", "flags=ack", "length=1400", "ttl=1", "dscp=ef", "df=1"]
asked = set()
while len(asked) < 1200:
    service = random.choice(services)
    ends = random.sample(hosts, 2)
    ends[random.randrange(2)] = random.choice(others + hosts)
    option = random.choice(options)
    if option.startswith("flags") and service not in ("https", "ssh", "mysql") and "tcp" not in service:
        option = ""
    if ends[0] != ends[1]:
        asked.add(f"{service} {ends[0]} > {ends[1]} {option}".strip())
print("\n".join(sorted(asked)))
PYTHON

# What describes no packet of both ends' families is left out, and so is what has several verdicts.
while :; do
  rolewall eval -p site --file questions.txt --format json
  [ "$status" = 2 ] || break
  lines=$(sed -n 's/^rolewall: questions.txt:\([0-9]*\):.*/\1d/p' "$scratch/err")
  [ -n "$lines" ] || complain "errors without a line"
  printf '%s\n' "$lines" >wrong.sed
  sed -i -f wrong.sed questions.txt
done
expect_status 0
python3 - "$scratch/out" >>site/site.toml <<'PYTHON' || complain "too few questions with one verdict"
import collections, json, sys
with open(sys.argv[1], encoding="utf-8") as file:
    answers = json.load(file)["questions"]
by_verdict = collections.defaultdict(list)
for answer in answers:
    verdict = answer["verdict"]
    if list(answer["verdicts"]) == [verdict] and verdict in ("accept", "drop", "reject"):
        by_verdict[verdict].append(answer["question"])
count = sum(map(len, by_verdict.values()))
taken = 0
print('\n[[test]]\nname = "questions"')
for verdict, questions in sorted(by_verdict.items()):
    questions = questions[: -(-300 * len(questions) // count)]
    taken += len(questions)
    print(f"{verdict} = {json.dumps(questions)}")
sys.exit(taken < 300)
PYTHON
rolewall test site
expect_status 0
# Each of them can be put to the kernel: what is not are tests of the site's own.
left_out() {
  sed -n 's/.* samples (\(.*\) not asked).*/\1/p' "$scratch/out"
}
rolewall test "$ROLEWALL_SOURCE/policies" --kernel
expect_status 0
own=$(left_out)
rolewall test site --kernel
expect_status 0
expect_out "all as expected"
[ "$(left_out)" = "$own" ] || complain "$(left_out) samples were not asked, of the site's own $own"
