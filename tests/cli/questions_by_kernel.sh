# 300 questions about the example site, from a file, in words of each kind: the live kernel says of each what eval says. A
# question with `state=` meets a connection there that makes it so, entered in connection tracking's table before; `time=`
# changes nothing, since no policy's rule reads the clock (clock_live.sh asks rules that do).
. "$(dirname "$0")/prelude.sh"
need_namespaces
example_site site

python3 - >questions.txt <<'PYTHON'
import random
random.seed(16)
hosts = ["lb-01", "web-01", "web-02", "db-01", "db-02", "db-03", "apps-01", "gw-01"]
others = ["internet", "management", "192.0.2.7", "2001:db8:ffff::7", "198.51.100.66", "web", "builders", "partner", "inside",
          "db-primary", "internet,!partner", "10.0.3.0/24", "10.0.9.77", "192.0.2.33", "255.255.255.255", "224.0.0.18",
          "ff02::1", "fe80::7", "127.0.0.1", "10.0.2.255"]
services = ["https", "ssh", "mysql", "ping", "ntp", "dns", "tcp/8080", "tcp/80-90", "udp/53", "tcp/80", "tcp/4567", "udp/40000",
            "sctp/2905", "icmp", "icmp/3", "icmp/redirect", "icmp/timestamp-request", "icmpv6/2",
            "icmpv6/neighbour-solicitation", "protocol/47", "protocol/50", "tcp", "udp", "sctp"]
anywhere = ["", "", "length=1400", "length=100", "ttl=1", "ttl=2", "ttl=255", "dscp=ef", "dscp=10", "dscp=cs6", "df=1", "df=0",
            "frag=first", "frag=later", "frag=1480", "family=4", "family=6", "user=root", "user=33", "at=gw-01",
            "at=lb-01", "in=public", "in=private", "out=public", "out=private", "in=docker",
            "time=2026-12-24T03:30", "time=2027-06-06T12:00+02:00"]
of_tcp = ["flags=rst", "flags=syn,ack", "flags=ack", "flags=fin,ack", "flags=syn,fin", "flags=psh,ack,urg"]

def states_of(service, is_tcp, options):
    """Those that some packet of the words has in a kernel: nothing invalid can be sent but TCP and UDP."""
    if service == "icmpv6/neighbour-solicitation":
        return ["untracked"]
    if service in ("icmp/3", "icmp/redirect", "icmpv6/2"):
        return ["related", "related", "invalid", "untracked"]
    states = ["established", "established", "related", "related", "untracked"]
    if is_tcp or service.startswith(("udp", "dns", "ntp")):
        states.append("invalid")
    if "flags=syn,fin" in options:
        return ["invalid", "untracked"]
    return states if options & {"flags=rst", "flags=syn,ack", "flags=fin,ack"} else [*states, "new"]

def an_end(name, ports):
    """A name, of which some get a port: of a bare protocol alone."""
    return f"{name}:{random.choice([22, 80, 443, 3306, 40000])}" if ports and ":" not in name and random.random() < 0.4 else name

asked = set()
while len(asked) < 2000:
    service = random.choice(services)
    ends = random.sample(hosts, 2)
    ends[random.randrange(2)] = random.choice(others + hosts)
    if ends[0] == ends[1]:
        continue
    bare = service in ("tcp", "udp", "sctp")
    ends = [an_end(end, bare) for end in ends]
    is_tcp = service in ("https", "ssh", "mysql") or service.startswith("tcp")
    options = set(random.choices(anywhere + (of_tcp if is_tcp else []), k=random.choice([1, 1, 2])))
    if random.random() < 0.4:
        options.add("state=" + random.choice(states_of(service, is_tcp, options)))
    asked.add(" ".join([f"{service} {ends[0]} > {ends[1]}", *sorted(options)]).strip())
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
cp "$scratch/out" answers.json
cp site/site.toml site.toml
: >wider.txt
# A test is about every packet of its words, an answer about samples of them: where one is decided otherwise, eval's
# answer is no test of all.
while :; do
  python3 - answers.json wider.txt >tests.toml <<'PYTHON' || complain "too few questions with one verdict"
import collections, json, sys
with open(sys.argv[1], encoding="utf-8") as file:
    answers = json.load(file)["questions"]
with open(sys.argv[2], encoding="utf-8") as file:
    wider = set(file.read().split("\n"))
by_verdict = collections.defaultdict(list)
for answer in answers:
    verdict = answer["verdict"]
    if answer["question"] in wider:
        continue
    if list(answer["verdicts"]) == [verdict] and verdict in ("accept", "drop", "reject"):
        by_verdict[verdict].append(answer["question"])
count = sum(map(len, by_verdict.values()))
taken = 0
print('\n[[test]]\nname = "questions"')
for verdict, questions in sorted(by_verdict.items()):
    questions = questions[: -(-330 * len(questions) // count)]
    taken += len(questions)
    print(f"{verdict} = {json.dumps(questions)}")
sys.exit(taken < 300)
PYTHON
  cat site.toml tests.toml >site/site.toml
  rolewall test site
  [ "$status" = 1 ] || break
  sed -n 's/.*: failed: [a-z]* "\([^"]*\)" is .* though no sample is.*/\1/p' "$scratch/out" >new.txt
  [ -s new.txt ] || complain "a test fails of which eval says the same"
  cat new.txt >>wider.txt
done
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
