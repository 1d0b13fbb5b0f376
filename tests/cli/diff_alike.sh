# diff goes into hosts that are alike once: what it says of each is what it says when asked of that
# host alone. Some of these look alike and are not.
. "$(dirname "$0")/prelude.sh"
mkdir before
cat >before/site.toml <<'TOML'
[site]
name = "alike"
management = "10.0.0.0/24"

[interfaces]
lan = { device = "eth*" }

[networks]
inside = ["10.0.1.1", "10.0.1.2", "10.0.1.3", "10.0.2.0/24"]
outside = ["198.51.100.0/24"]

[hosts.a1]
addresses = ["10.0.1.1"]
role = "a"
[hosts.a2]
addresses = ["10.0.1.2"]
role = "a"
[hosts.a3]
addresses = ["10.0.1.3"]
role = "a"
[hosts.a4]
addresses = ["10.0.1.4"]
role = "a"
[hosts.a5]
addresses = ["10.0.1.5"]
role = "a"
interfaces = { lan = ["eth9"] }
[hosts.a6]
addresses = ["10.0.1.6"]
virtual = ["10.0.1.60"]
role = "a"
[hosts.b1]
addresses = ["10.0.2.1", "2001:db8::1"]
role = "b"
[hosts.b2]
addresses = ["10.0.2.2", "2001:db8::2"]
role = "b"
TOML
cat >before/a.toml <<'TOML'
role = "a"
description = "several alike"

[[inbound]]
id = "web"
service = "tcp/443"
from = "outside"

[[inbound]]
id = "among"
service = "tcp/7000"
from = "inside"

[[inbound]]
id = "own"
service = "tcp/7100"
from = ["self", "a1"]

[[outbound]]
id = "out"
service = "tcp/8000"
to = ["inside", "!a2"]
TOML
cat >before/b.toml <<'TOML'
role = "b"
description = "the others"

[[inbound]]
id = "from-a"
service = "udp/514"
from = "a"
TOML

# What is said of a host: each class by its kind, its service and who decides.
cat >said.py <<'PY'
import json, sys
host = sys.argv[2]
for one in json.load(open(sys.argv[1]))["classes"]:
    if host not in one["hosts"]:
        continue
    example = one["example"]
    rules = [example[side].get("decided_by", {}).get("rule", "") for side in ("before", "after")]
    print(one["change"], one["packets"].split()[0], *rules)
PY
compare_each() {
  rolewall diff before after --format json
  cp "$scratch/out" whole.json
  for host in a1 a2 a3 a4 a5 a6 b1 b2; do
    rolewall diff before after --host "$host" --format json
    cp "$scratch/out" alone.json
    python3 said.py whole.json "$host" | sort >whole
    python3 said.py alone.json "$host" | sort >alone
    checks=$((checks + 1))
    cmp -s whole alone || complain "$1: of $host alone it says $(cat alone), of all $(cat whole)"
  done
  rm -r after
}

cp -r before after
sed -i 's/"tcp\/443"/["tcp\/443", "tcp\/8443"]/' after/a.toml
rolewall diff before after
expect_out "https-alt outside > a   (a1, a2, a3 and 3 more)"
expect_out "6 hosts compared, 2 with the same ruleset"
compare_each "a service more"

cp -r before after
sed -i 's/"10.0.1.2", //' after/site.toml
compare_each "a network without one of them"

cp -r before after
sed -i 's/\["self", "a1"\]/["self"]/' after/a.toml
compare_each "a list of itself and another"

cp -r before after
sed -i 's/\["inside", "!a2"\]/"inside"/' after/a.toml
compare_each "a list without one"

cp -r before after
sed -i 's/10\.0\.1\.4/10.0.1.44/; s/eth9/eth8/' after/site.toml
compare_each "other addresses and devices"

cp -r before after
sed -i '/hosts.a3/,/role/ s/role = .*/role = ["a", "b"]/' after/site.toml
compare_each "a role more"
