# Who reaches whom on what, by the lines of both ends.
. "$(dirname "$0")/prelude.sh"
site="$ROLEWALL_SOURCE/policies"

rolewall reach -p "$site"
expect_status 0
expect_out "  mysql            db*"
expect_out "  haproxy-metrics  lb"
expect_out '* from some of the hosts'

# Two ends: the lines, and who where not all do.
rolewall reach web db -p "$site"
expect_status 0
expect_out "mysql  web-01 > db-01, web-02 > db-01"
expect_out "web.outbound.mysql  $site/web.toml:"
expect_out "db.inbound.writes  $site/db.toml:"
rolewall reach web-01 db-01 -p "$site" --format json
expect_json '{r["service"] for r in d["reach"]} == {"mysql", "ping"}'
expect_json 'all(r["all"] and r["pairs"] == 1 for r in d["reach"])'
expect_json '[h["decided_by"]["rule"] for r in d["reach"] if r["service"] == "mysql" for o in r["open"] for h in o["hops"] if "line" in h.get("decided_by", {})] == ["web.outbound.mysql", "db.inbound.writes"]'

# One end.
rolewall reach internet -p "$site" --format json
expect_json '{(r["to"], r["service"]) for r in d["reach"] if r["service"] != "ping"} == {("lb", "http"), ("lb", "https")}'
rolewall reach --to db -p "$site" --format json
expect_json '{r["from"] for r in d["reach"] if r["service"] == "mysql"} == {"web", "db"}'
rolewall reach web-01 lb-01 -p "$site" --format json
expect_json '{r["service"] for r in d["reach"]} == {"ping"}'

# A rule for every service shows as all that no rule names.
example_site open
printf '\n[[inbound]]\nid = "all"\nfrom = "internet"\n' >>open/db.toml
rolewall reach internet db -p open
expect_out "every other TCP port"
expect_out "every other UDP port"
expect_out "every other protocol"
expect_out "ping"
refuse_out "40001"
expect_out "db.inbound.all"
rolewall reach internet db -p open --format dot
expect_out "every other TCP port"
rolewall reach internet db -p open --format json
expect_json '"every other TCP port" in {r["service"] for r in d["reach"]}'
# Nor are ports below a wide range said to be open.
example_site wide
printf '\n[[inbound]]\nid = "wide"\nservice = "tcp/1024-65535"\nfrom = "internet"\n' >>wide/db.toml
rolewall reach internet db -p wide
expect_out "tcp/1024-65535"
refuse_out "every other"

# What a rule opens to a part of a network only, and what has no ports.
example_site literal
printf '\n[[inbound]]\nid = "half"\nservice = "tcp/3306"\nfrom = ["203.0.113.0/25", "2001:db8:9::/48"]\n' >>literal/web.toml
printf '\n[[outbound]]\nid = "tunnel"\nservice = ["protocol/47", "icmp/13"]\nto = "db"\n' >>literal/web.toml
printf '\n[[inbound]]\nid = "tunnel"\nservice = ["protocol/47", "icmp/13"]\nfrom = "web"\n' >>literal/db.toml
printf '\n[[outbound]]\nid = "far"\nservice = "tcp/7443"\nto = "2001:db8:8::7"\n' >>literal/web.toml
rolewall reach internet web-01 -p literal
expect_status 0
expect_out "tcp/3306"
expect_out "web.inbound.half"
rolewall reach web-01 internet -p literal
expect_out "tcp/7443"
rolewall reach internet db-01 -p literal
refuse_out "tcp/3306"
rolewall reach -p literal
expect_out "tcp/3306"
rolewall reach web-01 db-01 -p literal
expect_out "protocol/47"
expect_out "icmp/13"

# Of hosts that are alike one is asked; web-01, which the partner reaches, is not like the others, nor is one that a rule
# names.
example_site alike
for i in 3 4 5 6 7 8 9; do
  printf '\n[hosts.web-0%d]\nrole = "web"\naddresses = ["10.0.2.2%d", "fd00:db8:0:2::2%d"]\n' $i $i $i >>alike/site.toml
done
printf '\n[[inbound]]\nid = "nine"\nservice = "redis"\nfrom = "web-09"\n' >>alike/web.toml
printf '\n[[outbound]]\nid = "nine"\nservice = "redis"\nto = "web"\n' >>alike/web.toml
rolewall reach web db -p alike
expect_out "mysql  web-01 > db-01, web-02 (and 6 like it) > db-01, web-09 > db-01"
rolewall reach web web -p alike
expect_out "redis  web-09 > web-01, web-09 > web-03 (and 6 like it)"

# Past the gateway.
rolewall reach web collector -p "$site" --through gw-01
expect_status 0
expect_out "gateway.forward.logs-out"
rolewall reach web internet -p "$site" --through gw-01
expect_status 1
expect_out "nothing"
expect_err "asked were samples"
rolewall reach builders internet -p "$site" --through gw-01 --format json
expect_json '{r["service"] for r in d["reach"]} == {"http", "https"}'

rolewall reach -p "$site" --format dot
expect_status 0
expect_out 'digraph reach {'
expect_out '"lb" -> "web"'
for ends in "nobody" "nobody web-01" "web-01 nobody" "--to nobody"; do
  rolewall reach $ends -p "$site"
  expect_status 2
  expect_err "rolewall: there is no host, role, tag or network \`nobody\`"
done
rolewall reach web-01 db-01 --through nobody -p "$site"
expect_status 2
expect_err "rolewall: there is no host \`nobody\`"

# What the gateway translates comes to its own address.
rolewall reach partner web-01 --through gw-01 -p "$site"
expect_status 1
expect_out "nothing"
expect_err "gw-01 translates to web-01 what is sent to its own address (tcp/8443): \`rolewall reach partner gw-01"
rolewall reach partner web-01 --through gw-01 -p "$site" --format json
expect_json 'd["translated"] == ["tcp/8443"]'
rolewall reach partner db-01 --through gw-01 -p "$site"
expect_status 1
refuse_err "translates"

# Two names of the same addresses have their rows once.
example_site twice
sed -i 's/^management = .*/management = ["office"]/' twice/site.toml
rolewall reach -p twice
[ "$(grep -cE '^(management, .*office|management|office)' "$scratch/out")" = 1 ] || complain "management and office are not one"
rolewall reach prometheus collector -p "$site"
expect_status 2
expect_err "neither end of this packet is a host of the site"
rolewall reach lb db -p "$site" --format json
expect_status 0
expect_json '{r["service"] for r in d["reach"]} == {"ping"}'
