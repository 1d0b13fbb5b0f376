"""Rows of lock_outs.py beside other programs' tables, and with what these do to a session: translate
it, leave it untracked."""

from live_guard import ND, RULES, SSH
from lock_outs import CLIENT_4, CLIENT_6, OWN_4, OWN_6, Trial
from lock_out_words import ELSEWHERE, NEIGHBOURS, V6, chain, dropped, nft, office


BESIDE = {
    "Docker's": nft("""
table ip nat {
  chain DOCKER {
    iifname "docker0" return
    iifname != "docker0" tcp dport 8080 dnat to 172.17.0.2:80
  }
  chain PREROUTING { type nat hook prerouting priority -100; fib daddr type local jump DOCKER; }
  chain OUTPUT {
    type nat hook output priority -100;
    ip daddr != 127.0.0.0/8 fib daddr type local jump DOCKER
  }
  chain POSTROUTING {
    type nat hook postrouting priority 100;
    ip saddr 172.17.0.0/16 oifname != "docker0" masquerade
  }
}
table ip filter {
  chain DOCKER-USER { return; }
  chain FORWARD {
    type filter hook forward priority 0; policy drop;
    jump DOCKER-USER
    oifname "docker0" ct state established,related accept
  }
}
"""),
    "ufw's": nft("""
table ip filter {
  chain ufw-log { log prefix "[UFW BLOCK] "; }
  chain ufw-not-local {
    fib daddr type local return
    fib daddr type multicast return
    fib daddr type broadcast return
    limit rate 3/minute burst 10 packets jump ufw-log
    drop
  }
  chain ufw-user-input {
    tcp dport 22 ct state new limit rate over 6000/minute burst 600 packets reject
    tcp dport { 22, 2022, 2222, 8000 } accept
  }
  chain ufw-before-input {
    iifname "lo" accept
    ct state established,related accept
    ct state invalid drop
    icmp type echo-request accept
    udp sport 67 udp dport 68 accept
    jump ufw-not-local
    jump ufw-user-input
  }
  chain INPUT { type filter hook input priority 0; policy drop; jump ufw-before-input; }
  chain OUTPUT { type filter hook output priority 0; policy accept; }
}
table ip6 filter {
  chain INPUT {
    type filter hook input priority 0; policy drop;
    iifname "lo" accept
    rt type 0 drop
    ct state established,related accept
    meta l4proto ipv6-icmp accept
    tcp dport { 22, 2022, 2222, 8000 } accept
  }
}
"""),
    "fail2ban's": nft("""
table inet f2b-table {
  set addr-set-sshd { type ipv4_addr; elements = { 192.0.2.66, 192.0.2.67 }; }
  set addr6-set-sshd { type ipv6_addr; elements = { 2001:db8:bad::1 }; }
  chain f2b-chain {
    type filter hook input priority -1;
    tcp dport 22 ip saddr @addr-set-sshd reject
    tcp dport 22 ip6 saddr @addr6-set-sshd reject
  }
}
"""),
    "firewalld's": nft("""
table inet firewalld {
  chain raw {
    type filter hook prerouting priority -290;
    icmpv6 type { nd-router-advert, nd-neighbor-solicit } accept
    meta nfproto ipv6 fib saddr . mark . iif oif missing drop
  }
  chain zone {
    tcp dport { 22, 2022, 2222, 8000 } accept
    meta l4proto { icmp, ipv6-icmp } accept
  }
  chain input {
    type filter hook input priority 10;
    ct state { established, related } accept
    ct status dnat accept
    iifname "lo" accept
    ct state invalid drop
    jump zone
    reject
  }
}
"""),
    "a scrubbing table's": chain("inet scrub", "filter hook prerouting priority -300",
                                 "tcp flags & (fin | syn) == (fin | syn) drop",
                                 "numgen random mod 100000 99999 drop"),
    "a later table's": chain("inet later", "filter hook input priority 100", "tcp dport 23 drop",
                             'meta hour "03:00"-"03:01" drop'),
    "an ingress chain's": nft("""
table netdev at-the-door {
  chain c {
    type filter hook ingress device "eth0" priority -500;
    ether type arp accept
    ip saddr 192.0.2.66 drop
    ip6 saddr 2001:db8:bad::/48 drop
  }
}
"""),
    "a bridge's": nft("""
table bridge between {
  chain c {
    type filter hook input priority 0;
    ether type arp accept
  }
}
"""),
    "a zone's": nft("""
table inet zones {
  chain in { type filter hook prerouting priority raw; iifname "eth0" ct zone set 7; }
  chain out { type filter hook output priority raw; oifname "eth0" ct zone set 7; }
}
"""),
    "a marking table's": nft("""
table inet marks {
  chain in {
    type filter hook prerouting priority mangle;
    ct state new ct mark set 9
    meta mark set ct mark
  }
  chain out { type route hook output priority mangle; meta mark set ct mark; }
}
"""),
    "a synproxy's": nft("""
table inet shield {
  chain c {
    type filter hook input priority -5;
    tcp dport 8022 ct state invalid,untracked synproxy mss 1460 wscale 7 timestamp sack-perm
  }
}
"""),
}

REDIRECT = nft("""
table inet door {
  chain c { type nat hook prerouting priority dstnat; tcp dport 2022 redirect to :22; }
}
""")
TO_OTHER_ADDRESS = nft("""
table ip door {
  chain c {
    type nat hook prerouting priority dstnat;
    ip daddr 203.0.113.10 tcp dport 2022 dnat to 10.0.2.10:22
  }
}
""")
UNTRACKED = nft("""
table inet untracked {
  chain in { type filter hook prerouting priority raw; tcp dport 22 notrack; }
  chain out { type filter hook output priority raw; tcp sport 22 notrack; }
}
""")
SOURCE_CHANGED = nft("""
table ip hidden {
  chain c {
    type nat hook input priority 100;
    ip saddr 198.51.100.7 tcp dport 22 snat to 203.0.113.250
  }
}
""")


def others():
    """Each of the well-known neighbours: what takes the session away beside it, what does not."""
    for name, table in BESIDE.items():
        yield Trial("beside other programs' tables", f"{name}, ssh for others", ELSEWHERE,
                    then=(table,))
        yield Trial("beside other programs' tables", f"{name}, IPv6, ssh for IPv4 alone",
                    ND + SSH.replace('"management"', '"198.51.100.0/24"'), then=(table,), come=V6)
    for name in ["Docker's", "ufw's", "fail2ban's"]:
        yield Trial("beside other programs' tables", f"{name}, no neighbour discovery", SSH,
                    then=(BESIDE[name],), come=V6, later=NEIGHBOURS)
        yield Trial("beside other programs' tables", f"{name}, an early drop",
                    RULES + dropped(early="true", **{"from": '"198.51.100.0/28"'}),
                    then=(BESIDE[name],), later=())


FORWARDS = '[[forward]]\nid = "f"\nservice = "http"\nfrom = "office"\nto = "elsewhere"\n'


def translations():
    kind = "translated"
    red = {"come": (CLIENT_4, OWN_4, 2022), "then": (REDIRECT,)}
    yield Trial(kind, "redirected, ssh for others", ELSEWHERE, **red)
    yield Trial(kind, "redirected, the port is dropped early", RULES + dropped(
        early="true", service='"tcp/2022"'), later=(), **red)
    yield Trial(kind, "redirected, and a [[forward]]", RULES + FORWARDS, **red)
    yield Trial(kind, "redirected, IPv6, the port is dropped early", RULES + dropped(
        early="true", service='"tcp/2022"'), later=(), come=(CLIENT_6, OWN_6, 2022),
                then=(REDIRECT,))
    yield Trial(kind, "to another address, ssh for others", ELSEWHERE,
                come=(CLIENT_4, OWN_4, 2022), then=(TO_OTHER_ADDRESS,))
    yield Trial(kind, "to another address, dropped early", RULES + dropped(
        early="true", service='"tcp"', to='"203.0.113.10"'), later=(),
                come=(CLIENT_4, OWN_4, 2022), then=(TO_OTHER_ADDRESS,))
    own = '[[nat]]\nid = "door"\nservice = "tcp/2022"\n' \
          'new-destination = "203.0.113.10:22"\n'
    yield Trial(kind, "our own redirect goes", RULES, before=RULES + own,
                come=(CLIENT_4, OWN_4, 2022))
    yield Trial(kind, "our own redirect takes port 22", RULES +
                own.replace("tcp/2022", "tcp/22").replace(":22", ":8022"), later=(), ends="new")
    yield Trial(kind, "our own redirect takes it elsewhere", RULES +
                own.replace("tcp/2022", "tcp/22").replace("203.0.113.10:22", "10.0.2.77:22"))
    hidden = {"then": (SOURCE_CHANGED,), "site": office("198.51.100.0/24", "203.0.113.250")}
    yield Trial(kind, "its source is changed, ssh for that alone",
                ND + SSH.replace('"management"', '"203.0.113.250"'), **hidden)
    yield Trial(kind, "its source is changed, dropped early", RULES + dropped(
        early="true", **{"from": '"198.51.100.7"'}), later=(), **hidden)
    hidden = {"then": (SOURCE_CHANGED,), "site": office("203.0.113.250"),
              "before": ND + SSH.replace('"management"', '["management", "198.51.100.0/24"]')}
    yield Trial(kind, "its source is changed, management is what it comes to", RULES, **hidden)
    yield Trial(kind, "its source is changed, dropped in front", ND + dropped(
        **{"from": '"198.51.100.7"'}) + SSH.replace('"management"',
                                                    '["management", "198.51.100.0/24"]'), **hidden)
    kind = "without tracking"
    both = ND + SSH + '[[outbound]]\nid = "answers"\nservice = "tcp from 22"\nto = "office"\n'
    yield Trial(kind, "answers have no rule", RULES, before=both, then=(UNTRACKED,), later=())
    yield Trial(kind, "ssh for others", both.replace('from = "management"', 'from = "elsewhere"'),
                before=both, then=(UNTRACKED,), later=())
    yield Trial(kind, "IPv6, answers have no rule", RULES, before=both, then=(UNTRACKED,), later=(),
                come=V6)
    yield Trial(kind, "answers to others alone", both.replace('to = "office"', 'to = "elsewhere"'),
                before=both, then=(UNTRACKED,), later=())


def trials():
    for some in [translations, others]:
        yield from some()
