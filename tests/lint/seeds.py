"""Mistakes in the example site, by the finding that must tell of them, and changes that are right.

Each is a list of edits (file, what stands there, what comes in its place); "" adds at the end. `#@` ends the line that must
be named; `#@@` stands in a file that is named as a whole.
"""


def rule(kind: str, **keys: object) -> str:
    lines = [f"[[{kind}]] #@"]
    for key, value in keys.items():
        text = str(value).lower() if isinstance(value, bool) else value if str(value).startswith(("[", "{")) else f'"{value}"'
        lines.append(f"{key.strip('_').replace('_', '-')} = {text}")
    return "\n".join(lines)


def add(file: str, kind: str, **keys: object) -> tuple[str, str, str]:
    return file, "", rule(kind, **keys)


def plain(edit: tuple[str, str, str]) -> tuple[str, str, str]:
    """The same without a mark."""
    return edit[0], edit[1], edit[2].replace(" #@", "")


def with_lines(kind: str, *lines: str) -> str:
    """A rule whose mark is at one of its keys."""
    return "\n".join([f"[[{kind}]]", *lines])


def mark_host(name: str) -> tuple[str, str, str]:
    return "site.toml", f"[hosts.{name}]\n", f"[hosts.{name}] #@\n"


SITE = "site.toml"
ALLOW_WRITER = ('[hosts.db-01.allow-finding]\nsingle-writer = "fail-over is by hand, and tried every quarter; five minutes '
                'without writes are agreed with the shop"\n')
ALLOW_GATEWAY = ('[hosts.gw-01.allow-finding]\nsingle-host = "users do not need it: without it builds and logs wait, and '
                 'administrators use the console"\n')
LB_02 = """[hosts.lb-02]
role       = "lb"
addresses  = ["203.0.113.11", "2001:db8:1::11", "10.0.1.11", "fd00:db8:0:1::11"]
virtual    = ["203.0.113.9", "2001:db8:1::9"]
interfaces = ["public", "private"]
"""
MANAGEMENT = 'management = "office"                   # where administrators log in from\n'
WRITERS = 'writers    = "db-primary"               # the database that takes the writes,\n'
REPLICAS = 'replicas   = "db-replica"               # and its copies: `check` warns if others may write to them\n'
COLLECTOR = 'collector  = "collector"                # where the agents send: `check` warns of a host that may not\n'
WEB_01 = '[hosts.web-01]\nrole      = "web"\n'
DEFAULT_IN = 'inbound  = "drop"\n'
DEFAULT_OUT = 'outbound = "reject"\n'
LOG = 'log      = { limit = "10/second in all", to = "kernel" }\n'
PARTNER = "partner       = ["
OWN_SERVICE = 'haproxy-metrics = "tcp/8405"'

MISTAKES = {
    "unused-role": [
        [("cache.toml", "", 'role = "cache" #@')],
        [("mail.toml", "", 'role = "mail" #@\n[[inbound]]\nservice = "smtp"\n[[test]]\nname = "t"\naccept = "smtp internet > self"')],
        [(SITE, '[hosts.gw-01]\nrole       = "gateway"', '[hosts.gw-01]\nrole       = "lb"'),
         ("gateway.toml", 'role        = "gateway"', 'role        = "gateway" #@')],
    ],
    "whole-family": [
        [("web.toml", "", with_lines("inbound", 'id = "a"', 'service = "https"', 'from = "0.0.0.0/0" #@'))],
        [("web.toml", "", with_lines("outbound", 'id = "a"', 'service = "https"', 'to = "::/0" #@'))],
        [("db.toml", "", with_lines("inbound", 'id = "a"', 'service = "https"', 'from = ["office", "0.0.0.0/0"] #@'))],
    ],
    "no-host-has-interface": [
        [add("web.toml", "inbound", id="a", service="https", from_="office", in_="public")],
        [add("db.toml", "inbound", id="a", service="https", from_="office", in_="public")],
        [add("web.toml", "outbound", id="a", service="https", to="office", out="public")],
    ],
    "management-open": [
        [(SITE, MANAGEMENT, 'management = "internet" #@\n')],
        [(SITE, MANAGEMENT, 'management = "0.0.0.0/1" #@\n')],
        [(SITE, MANAGEMENT, 'management = ["office", "8000::/1"] #@\n')],
    ],
    "expired": [
        [("web.toml", "", with_lines("inbound", 'id = "a"', 'service = "https"', 'from = "office"', "expires = 2026-05-31 #@"))],
        [("lb.toml", "", with_lines("outbound", 'id = "a"', 'service = "https"', 'to = "office"', "expires = 2025-01-01 #@"))],
        [("db.toml", "", with_lines("inbound", 'id = "a"', 'service = "ssh"', 'from = "office"', "expires = 2026-01-01 #@"))],
    ],
    "not-locked": [
        [(SITE, PARTNER, 'cdn = { names = ["cdn.example"] } #@\n' + PARTNER)],
        [(SITE, PARTNER, 'relay = { names = ["intake.collector.example", "relay.example"] } #@\n' + PARTNER)],
        [(SITE, PARTNER, 'mirrors = { names = ["mirror.example"], keep = "7d" } #@\n' + PARTNER)],
    ],
    "plain-behind-tls": [
        [("web.toml", '[[inbound]]\nid      = "app-from-lb"\nservice = "https"',
          '[[inbound]] #@\nid      = "app-from-lb"\nservice = "http"')],
        [add("web.toml", "inbound", id="alt", service="http-alt", from_="lb")],
        [add("web.toml", "inbound", id="all", from_="lb")],
        [("apps.toml", '[[forward]]\nid      = "shop"\nservice = "https"', '[[forward]] #@\nid      = "shop"\nservice = "tcp/80"')],
    ],
    "plain-from-internet": [
        [("lb.toml", '[[inbound]]\nservice       = "http"', '[[inbound]] #@\nservice       = "http"'),
         ("lb.toml", 'redirect-only = "HAProxy answers each request by a redirect to https"\n', "")],
        [add("web.toml", "inbound", service="http", from_="internet")],
        [add("lb.toml", "inbound", id="alt", service="tcp/8080")],
    ],
    "single-writer": [
        [(SITE, ALLOW_WRITER, ""), (SITE, WRITERS, 'writers = "db-primary" #@\n')],
        [(SITE, WRITERS, 'writers = "db-02" #@\n')],
        [(SITE, WRITERS, 'writers = "10.0.3.11" #@\n')],
    ],
    "writable-replica": [
        [("db.toml", '[[inbound]]\nid      = "writes"', '[[inbound]] #@\nid      = "writes"'),
         ("db.toml", 'on      = "db-primary"\n\n# Both', "\n# Both")],
        [add("db.toml", "inbound", service="postgresql", from_="apps")],
        [add("db.toml", "inbound", id="reads", service="tcp/3306", from_="inside", on="db-replica")],
        [add("db.toml", "inbound", id="all", from_="apps")],
    ],
    "tiers-on-one-host": [
        [plain(add("web.toml", "inbound", service="mysql", from_="web")), mark_host("web-01")],
        [plain(add("db.toml", "inbound", service="https", from_="office")), mark_host("db-01")],
        [(SITE, '[hosts.db-02]\nrole      = "db"\n', '[hosts.db-02] #@\nrole      = ["db", "web"]\n')],
    ],
    "single-host": [
        [(SITE, ALLOW_GATEWAY, ""), mark_host("gw-01")],
        [(SITE, LB_02, ""), mark_host("lb-01")],
        [(SITE, WEB_01, WEB_01 + 'tags = "cache" #@\n'), plain(add("lb.toml", "outbound", service="redis", to="cache"))],
        [(SITE, LB_02, LB_02.replace('virtual    = ["203.0.113.9", "2001:db8:1::9"]\n', "")), mark_host("lb-01")],
    ],
    "no-way-to-collector": [
        [("web.toml", ', "monitoring-agent"]', "]"), mark_host("web-01")],
        [("db.toml", 'role        = "db"\n', 'role        = "db"\nskip = "monitoring-agent.outbound.ship"\n'), mark_host("db-01")],
        [("lb.toml", 'role        = "lb"\n', 'role        = "lb"\nskip = "monitoring-agent.outbound.ship"\n'), mark_host("lb-01")],
    ],
    "open-to-internet": [
        [add("db.toml", "inbound", id="open", service="mysql", from_="internet")],
        [add("web.toml", "inbound", id="login", service="tcp/22")],
        [add("web.toml", "inbound", id="shared-port", service="tcp/9090", from_="internet")],
        [add("gateway.toml", "nat", id="db", service="tcp/13306", from_="internet", to="self", in_="public",
             new_destination="db-01:3306")],
        [add("apps.toml", "forward", id="data", service="postgresql", from_="internet", to="self")],
        [add("web.toml", "inbound", id="all", from_="!abusers")],
        [add("gateway.toml", "forward", id="in", service="ssh", in_="public", out="private")],
        [add("gateway.toml", "forward", id="in", service="mysql", in_="public")],
    ],
    "unrestricted-egress": [
        [(SITE, DEFAULT_OUT, 'outbound = "accept" #@\n')],
        [add("web.toml", "outbound", id="all")],
        [add("gateway.toml", "forward", id="web-out", service="tcp", from_="web", to="internet", out="public")],
    ],
    "database-dials-out": [
        [(SITE, 'mirror        = ["10.0.0.80", "fd00:db8::80"]\n', ""),
         ("db.toml", '"monitoring-agent", "backup"]\n', '"monitoring-agent", "backup"] #@\n'),
         (SITE, '  "http site > mirror",\n  "https site > mirror",\n', "")],
        [add("db.toml", "outbound", service="https", to="internet")],
        [add("db.toml", "outbound", service="smtp", to="partner")],
    ],
    "undeclared": [
        [(SITE, COLLECTOR, ""), ("lb.toml", '"monitoring-agent", "acme"]\n', '"monitoring-agent", "acme"] #@\n')],
        [(SITE, WRITERS, ""), ("db.toml", '[[inbound]]\nid      = "writes"', '[[inbound]] #@\nid      = "writes"')],
        [(SITE, REPLICAS, ""), ("db.toml", '[[inbound]]\nid      = "replication"', '[[inbound]] #@\nid      = "replication"')],
    ],
    "unused-network": [
        [(SITE, PARTNER, 'nobody = "192.0.2.9" #@\n' + PARTNER)],
        [(SITE, PARTNER, 'old = { file = "lists/abusers.txt" } #@\n' + PARTNER)],
        [(SITE, PARTNER, 'vendors = { names = ["intake.collector.example"] } #@\n' + PARTNER)],
    ],
    "unused-service": [
        [(SITE, OWN_SERVICE, 'mine = "tcp/99" #@\n' + OWN_SERVICE)],
        [("rules/services.toml", "", '[services]\nmine = ["udp/99", "tcp/99"] #@')],
        [(SITE, OWN_SERVICE, 'varnish = "tcp/6083" #@\n' + OWN_SERVICE)],
    ],
    "unused-tag": [
        [(SITE, WEB_01, WEB_01 + 'tags = "canary" #@\n')],
        [(SITE, 'tags      = "db-primary"\n', 'tags      = ["db-primary", "old"] #@\n')],
        [(SITE, '[hosts.gw-01]\n', '[hosts.gw-01]\ntags = "edge" #@\n')],
    ],
    "unused-interface": [
        [(SITE, "", '[interfaces.spare] #@\ndevice = "eth7"')],
        [(SITE, "", '[interfaces.dmz] #@\ndevice = "eth2"\nbehind = "partner"')],
        [(SITE, "", '[interfaces.vpn] #@\ndevice = "wg*"')],
    ],
    "one-family": [
        [(SITE, WEB_01 + 'addresses = ["10.0.2.10", "fd00:db8:0:2::10"]', WEB_01 + 'addresses = "10.0.2.10"'), mark_host("web-01")],
        [add("web.toml", "inbound", id="old-partner", service="https", from_="192.0.2.48/28")],
        [add("web.toml", "inbound", id="echo", service="icmp/timestamp-request", from_="prometheus")],
    ],
    "path-mtu-dropped": [
        [add("web.toml", "inbound", id="no-icmp", service='["icmp", "icmpv6"]', action="drop", early=True)],
        [add("lb.toml", "inbound", id="big", service="icmpv6/packet-too-big", from_="internet", action="drop", early=True)],
        [add("db.toml", "inbound", id="outside", from_="internet", action="drop", early=True)],
    ],
    "log-without-limit": [
        [("web.toml", "", '[[inbound]]\nid = "a"\nservice = "redis"\nfrom = "lb"\nlog = true\nlog-limit = "10/second" #@')],
        [("lb.toml", "", '[[inbound]]\nid = "a"\nservice = "redis"\nfrom = "web"\nlog = true\nlog-limit = "99999/second in all" #@')],
        [(SITE, LOG, 'log = { limit = "5000/second in all" } #@\n')],
    ],
    "audit-mode": [
        [(SITE, DEFAULT_IN, DEFAULT_IN + 'mode = "audit" #@\n')],
        [("web.toml", "", '[defaults]\nmode = "audit" #@')],
        [("gateway.toml", "", '[defaults]\nmode = "audit" #@')],
    ],
    "default-accept": [
        [(SITE, DEFAULT_IN, 'inbound  = "accept" #@\n')],
        [("gateway.toml", "", '[defaults]\nforward = "accept" #@')],
        [("web.toml", "", '[defaults]\ninbound = "accept" #@')],
    ],
    "allows-nothing": [
        [("web.toml", 'role        = "web"\n', 'role        = "web"\nallow-finding.no-tests = "there are" #@\n')],
        [("lb.toml", 'redirect-only = "HAProxy', 'allow-finding = { plain-behind-tls = "no" } #@\nredirect-only = "HAProxy')],
        [(SITE, COLLECTOR, COLLECTOR + 'allow-finding = { audit-mode = "no more" } #@\n')],
    ],
    "expires-soon": [
        [("web.toml", "", '[[inbound]]\nid = "a"\nservice = "https"\nfrom = "office"\nexpires = 2026-06-02 #@')],
        [("db.toml", "", '[[outbound]]\nid = "a"\nservice = "ssh"\nto = "prometheus"\nexpires = 2026-07-01 #@')],
        [("gateway.toml", "", '[[forward]]\nid = "a"\nservice = "ssh"\nfrom = "builders"\nto = "office"\nexpires = 2026-06-15 #@')],
    ],
    "shadowed-rule": [
        [plain(add("web.toml", "inbound", id="low", service="tcp/7000-7500", from_="office")),
         plain(add("web.toml", "inbound", id="high", service="tcp/7501-8000", from_="office")),
         add("web.toml", "inbound", id="both", service="tcp/7400-7600", from_="office")],
        [plain(add("db.toml", "inbound", id="wide", service="tcp/9000-9999", from_="office")),
         add("db.toml", "inbound", id="narrow", service="tcp/9100", from_="office")],
        [plain(add("gateway.toml", "forward", id="one", service="tcp/7000-7001", from_="builders", to="office")),
         add("gateway.toml", "forward", id="two", service="tcp/7001", from_="builders", to="office")],
    ],
    "contradicted-rule": [
        [add("web.toml", "inbound", id="union", service="https", from_="lb", action="drop")],
        [plain(add("web.toml", "inbound", id="low", service="tcp/7000-7500", from_="office")),
         plain(add("web.toml", "inbound", id="high", service="tcp/7501-8000", from_="office", action="drop")),
         add("web.toml", "inbound", id="both", service="tcp/7400-7600", from_="office", action="drop")],
        [plain(add("db.toml", "inbound", id="first", service="tcp/9100", from_="office", action="drop")),
         add("db.toml", "inbound", id="second", service="tcp/9100", from_="office",
             allow_finding='{ shadowed-rule = "stands here for readers" }')],
    ],
    "redundant-rule": [
        [add("db.toml", "inbound", id="narrow", service="tcp/9100", from_="office"),
         plain(add("db.toml", "inbound", id="wide", service="tcp/9000-9999", from_="office"))],
        [add("web.toml", "outbound", id="narrow", service="tcp/7000", to="partner"),
         plain(add("web.toml", "outbound", id="wide", service="tcp/7000-7009", to="partner"))],
        [add("web.toml", "inbound", id="narrow", service="tcp/7000", from_="office", action="drop"),
         plain(add("web.toml", "inbound", id="wide", service="tcp/7000-7009", from_="office", action="drop"))],
    ],
    "half-flow": [
        [add("web.toml", "outbound", id="cache", service="redis", to="db-01")],
        [add("db.toml", "inbound", id="cache", service="redis", from_="web")],
        [add("lb.toml", "outbound", id="other", service="tcp/7000", to="web")],
        [plain(add("gateway.toml", "nat", id="cache", service="tcp/6380", from_="web", to="self", new_destination="db-01:6379")),
         add("db.toml", "inbound", id="cache", service="redis", from_="web", on="db-primary")],
    ],
    "unmet-rule": [
        [add("web.toml", "outbound", id="foreign", service="https", from_="internet", to="partner")],
        [add("web.toml", "inbound", id="other", service="tcp/7000", from_="office", to="db-01")],
        [add("db.toml", "outbound", id="as-web", service="tcp/7000", from_="web", to="partner")],
        [add("web.toml", "inbound", id="replies", service='["icmp/echo-reply", "icmpv6/echo-reply"]', from_="lb")],
        [add("web.toml", "outbound", id="itself", service="redis", to="self")],
        [add("lb.toml", "inbound", id="inside", service="https", from_="web", in_="public")],
    ],
}

ANEW = (".", "", "")  # not the example site
CACHE = '[hosts.cache-01]\nrole = "cache"\naddresses = ["10.0.6.10", "fd00:db8:0:6::10"]\n'
TWO_ROLES = '[hosts.both-01] #@\nrole = ["web", "cache"]\naddresses = ["10.0.6.10", "fd00:db8:0:6::10"]\n'
CACHE_SKIPS = 'role = "cache"\nuse = ["hardening", "baseline", "monitoring-agent"]\nskip = "%s"\n[[test]]\ndeny = "redis office > self"'

MISTAKES |= {
    "management-unset": [
        [ANEW, (SITE, "", CACHE), ("cache.toml", "", 'role = "cache"\nuse = "baseline" #@')],
        [(SITE, MANAGEMENT, ""), ("web.toml", "", with_lines("inbound", 'id = "a"', 'service = "cockpit"', 'from = "management" #@'))],
        [(SITE, MANAGEMENT, ""),
         ("db.toml", "", with_lines("inbound", 'id = "a"', 'service = "redis"', 'from = ["office", "management"] #@'))],
    ],
    "unused-block": [
        [("rules/spare.toml", "", '#@@\n[[inbound]]\nservice = "redis"\nfrom = "office"')],
        [("rules/old.toml", "", "not even TOML #@@")],
        [("rules/cache.toml", "", '#@@\n[[outbound]]\nservice = "redis"\nto = "web"')],
    ],
    "replaces-shipped": [
        [("rules/no-ping.toml", "", '#@@\n[[inbound]]\nservice = "ping"\naction = "drop"'),
         ("web.toml", 'use         = ["hardening"', 'use         = ["no-ping", "hardening"')],
        [("rules/syslog-out.toml", "", '#@@\n[[outbound]]\nservice = "syslog"\nto = "collector"'),
         ("db.toml", 'use         = ["hardening"', 'use         = ["syslog-out", "hardening"')],
        [("rules/acme.toml", "", '#@@\n[[outbound]]\nservice = "https"\nto = "acme-authority"')],
    ],
    "wide-translation": [
        [add("gateway.toml", "nat", id="proxy", service="http", from_="inside", new_destination="web-01:3128")],
        [add("gateway.toml", "nat", id="all", new_source="masquerade")],
        [add("gateway.toml", "nat", id="names", service="dns", from_="builders", new_destination="web-01:53")],
    ],
    "skip-differs": [
        [(SITE, "", TWO_ROLES), ("cache.toml", "", CACHE_SKIPS % rule)]
        for rule in ("baseline.inbound.ping", "baseline.outbound.ntp", "monitoring-agent.outbound.ship")
    ],
    "no-tests": [
        [ANEW, (SITE, "", CACHE), ("cache.toml", "", 'role = "cache" #@\n[[inbound]]\nservice = "redis"\nfrom = "any"')],
        [ANEW, (SITE, "", CACHE.replace("cache", "mail")), ("mail.toml", "", 'role = "mail" #@\n[[inbound]]\nservice = "smtp"')],
        [ANEW, (SITE, "", CACHE.replace("cache", "out")), ("out.toml", "", 'role = "out" #@\n[[outbound]]\nservice = "https"')],
    ],
    "overlapping-behind": [
        [(SITE, "", '[interfaces.third]\ndevice = "eth2"\nbehind = "builders"\n[hosts.gw-02]\nrole = "gateway"\n'
          'addresses = ["203.0.113.13", "10.0.0.2", "2001:db8:1::13", "fd00:db8::2"]\ninterfaces = ["public", "private", "third"] #@')],
        [(SITE, "", '[interfaces.third]\ndevice = "eth2"\nbehind = "10.0.2.0/24"\n[hosts.lb-03]\nrole = "lb"\n'
          'addresses = ["203.0.113.14", "2001:db8:1::14"]\ninterfaces = ["public", "private", "third"] #@')],
        [(SITE, "", '[interfaces.a]\ndevice = "eth2"\nbehind = "partner"\n[interfaces.b]\ndevice = "eth3"\nbehind = "192.0.2.0/24"\n'
          '[hosts.web-03]\nrole = "web"\naddresses = ["10.0.2.12", "fd00:db8:0:2::12"]\ninterfaces = ["a", "b"] #@')],
    ],
}

# What `check` tells alone.
MISTAKES_OF_CHECK = {
    "block-tests-not-run": [
        [("web.toml", 'role        = "web"\n', 'role        = "web" #@@\nskip = "baseline.outbound.ntp"\n')],
        [("db.toml", 'role        = "db"\n', 'role        = "db" #@@\nskip = "baseline.outbound.dns"\n')],
        [("lb.toml", 'role        = "lb"\n', 'role        = "lb" #@@\nskip = "baseline.inbound.ping"\n')],
    ],
    "management-shut-out": [
        [("web.toml", 'role        = "web"\n', 'role        = "web"\nskip = "baseline.inbound.ssh"\n'), mark_host("web-01")],
        [plain(add("db.toml", "inbound", id="no", service="ssh", from_="office", action="drop", early=True)), mark_host("db-02")],
        [("cache.toml", "", 'role = "cache"\n[[inbound]]\nservice = "redis"\nfrom = "web"\n[[test]]\naccept = "redis web > self"'),
         (SITE, "", CACHE.replace("[hosts.cache-01]", "[hosts.cache-01] #@"))],
    ],
    "neighbours-shut-out": [
        [("cache.toml", "", 'role = "cache"\n[[inbound]]\nservice = "ssh"\nfrom = "management"\n[[test]]\naccept = "ssh office > self"'),
         (SITE, "", CACHE.replace("[hosts.cache-01]", "[hosts.cache-01] #@"))],
        [("web.toml", 'role        = "web"\n', 'role        = "web"\nskip = "baseline.inbound.ndp"\n'), mark_host("web-02")],
        [("db.toml", 'role        = "db"\n', 'role        = "db"\nskip = "baseline.outbound.ndp"\n'), mark_host("db-01")],
    ],
    "management-limited": [
        [("web.toml", 'role        = "web"\n', 'role        = "web"\nskip = "baseline.inbound.ssh"\n'),
         add("web.toml", "inbound", id="ssh", service="ssh", from_="management", limit="30/minute")],
        [("db.toml", 'role        = "db"\n', 'role        = "db"\nskip = "baseline.inbound.ssh"\n'),
         ("db.toml", "", '[[inbound]] #@\nid = "ssh"\nservice = "ssh"\nfrom = "office"\nconnections = 10')],
        [("lb.toml", 'role        = "lb"\n', 'role        = "lb"\nskip = "baseline.inbound.ssh"\n'),
         add("lb.toml", "inbound", id="ssh", service="ssh", from_="office", limit="10/second in all")],
    ],
}

# What no edit of the example site gives, and the test that has it.
ELSEWHERE = {
    "names-unanswered": "cases/policy-errors/names-unanswered.toml",
    "not-decided": "unit/ask/rule_lint_test.cc",
    "dropped-by-other-table": "cli/lint_beside.sh",
}

SECOND_APPS = ('[hosts.apps-02]\nrole = "apps"\naddresses = ["10.0.4.11", "fd00:db8:0:4::11"]\n'
               'interfaces = { private = "eth0", docker = "docker0" }')
ALLOW_APPS = '[hosts.apps-01.allow-finding]\nsingle-host = "the shop may be down for an hour: its images start on any other machine"\n'
KINDS = '[kinds]\ndatabase = ["mysql", "mysqlx", "mysql-admin"]\nmanagement = "ssh"'
MYSQL = '[[inbound]]\nid      = "writes"\nservice = "mysql"'

RIGHT = {
    "as it is": [],
    "fail-over": [(SITE, 'tags      = "db-primary"', 'tags      = "x"'), (SITE, 'tags      = "db-replica"', 'tags      = "db-primary"'),
                  (SITE, 'tags      = "x"', 'tags      = "db-replica"'), (SITE, "[hosts.db-01.allow-finding]", "[hosts.db-02.allow-finding]")],
    "a second host for the shop": [(SITE, ALLOW_APPS, SECOND_APPS + "\n")],
    "a pool of web servers": [(SITE, "", '[hosts.web-pool]\nrole = "web"\naddresses = ["10.0.5.0/24", "fd00:db8:0:5::/64"]')],
    "PostgreSQL": [("db.toml", MYSQL, MYSQL.replace("mysql", "postgresql")),
                   ("web.toml", 'service = "mysql"', 'service = "postgresql"')],
    "a literal port": [("db.toml", MYSQL, MYSQL.replace("mysql", "tcp/3306"))],
    "kinds of its own": [(SITE, "", KINDS)],
    "kinds in services.toml": [("rules/services.toml", "", KINDS)],
    "levels": [(SITE, ALLOW_GATEWAY, ""), (SITE, ALLOW_APPS, ""), (SITE, "", '[lint.level]\nsingle-host = "off"')],
    "allowed on the site": [(SITE, ALLOW_GATEWAY, ""), (SITE, ALLOW_APPS, ""),
                            (SITE, COLLECTOR, COLLECTOR + 'allow-finding = { single-host = "a small site" }\n')],
    "allowed for the role": [(SITE, ALLOW_GATEWAY, ""),
                             ("gateway.toml", 'role        = "gateway"\n',
                              'role        = "gateway"\nallow-finding.single-host = "it can wait"\n')],
    "a log with a limit": [plain(add("web.toml", "inbound", id="a", service="statsd", from_="lb", log=True,
                                     log_limit="10/second in all")),
                           plain(add("lb.toml", "outbound", id="a", service="statsd", to="web"))],
    "the cache beside the primary": [plain(add("db.toml", "inbound", service="redis", from_="web", on="db-primary")),
                                      plain(add("web.toml", "outbound", service="redis", to="db-primary"))],
    "a shared port by its service's name": [plain(add("web.toml", "inbound", id="metrics", service="prometheus",
                                                      from_="internet"))],
    "QUIC": [plain(add("lb.toml", "inbound", service="http3"))],
    "management from the office": [plain(add("web.toml", "inbound", id="panel", service="cockpit", from_="management"))],
    "a bastion, with its reason": [plain(add("gateway.toml", "inbound", id="bastion", service="ssh", limit="10/minute",
                                             allow_finding='{ open-to-internet = "keys only" }'))],
    "no answer to ping": [plain(add("lb.toml", "inbound", id="quiet", service="ping", from_="internet", action="drop", early=True))],
    "a translation of what goes to a loopback address": [plain(add("gateway.toml", "nat", id="lo", service="tcp/8443", to="127.0.0.1", in_="public",
                                                                   from_="partner", new_destination="web-01:443"))],
    "a translation of what is denied": [plain(add("gateway.toml", "nat", id="db", service="tcp/3306", to="self", in_="public",
                                                  new_destination="db-01")),
                                        plain(add("gateway.toml", "forward", id="no-db", service="tcp/3306", to="self", action="drop"))],
    "a flow by a gateway's translation": [
        plain(add("gateway.toml", "nat", id="cache", service="tcp/6380", from_="web", to="self", new_destination="db-01:6379")),
        plain(add("web.toml", "outbound", id="cache", service="tcp/6380", to="gw-01")),
        plain(add("db.toml", "inbound", id="cache", service="redis", from_="web", on="db-primary"))],
    "a flow that is another's behind a gateway": [
        plain(add("gateway.toml", "nat", id="as-me", from_="web", to="db", out="private", new_source="masquerade")),
        plain(add("gateway.toml", "forward", id="cache", service="redis", from_="web", to="db")),
        plain(add("web.toml", "outbound", id="cache", service="redis", to="db")),
        plain(add("db.toml", "inbound", id="cache", service="redis", from_="gw-01", on="db-primary"))],
    "a flow to a published port": [plain(add("web.toml", "outbound", id="v", service="tcp/7000", to="apps")),
                                   plain(add("apps.toml", "forward", id="v", service="tcp/7000", from_="web", to="self"))],
    "a network in a table": [(SITE, PARTNER, 'guests = { addresses = "192.0.2.96/28", allow-finding = { unused-network = '
                                             '"next month" } }\n' + PARTNER)],
    "a known partner asks the database": [plain(add("db.toml", "inbound", id="partner", service="mysql", from_="partner",
                                                    on="db-primary"))],
    "outbound to a partner": [plain(add("web.toml", "outbound", id="partner", service="https", to="partner"))],
    "an office interface": [(SITE, "", '[hosts.web-03]\nrole = "web"\naddresses = ["10.0.2.12", "fd00:db8:0:2::12"]\n'
                             'interfaces = { office = "eth2" }'),
                            plain(add("web.toml", "inbound", id="desk", service="https", from_="office", in_="office"))],
    "expires next year": [plain(add("web.toml", "inbound", id="a", service="https", from_="office")),
                          ("web.toml", 'id = "a"', 'id = "a"\nexpires = 2027-06-02')],
}
