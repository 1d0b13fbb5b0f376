"""What the rows of lock_outs.py are written with: rules, sites, tables for nft."""

from live_guard import ND, SITE, SSH
from lock_outs import CLIENT_6, LOCK, OWN_6


ELSEWHERE = ND + SSH.replace('"management"', '"elsewhere"')
HALF = ND + SSH.replace('"management"', '"198.51.100.128/25"')
V6 = (CLIENT_6, OWN_6, 22)
LINK_LOCAL = ("-", "fe80::a%eth0", 22)
NEIGHBOURS = ("neighbours_expire",)


def rule(name, **keys):
    return f'[[inbound]]\nid = "{name}"\n' + "".join(
        f"{key} = {value}\n" for key, value in keys.items())


def dropped(**keys):
    return rule("gone", action='"drop"', **keys)


def nft(text):
    return lambda stage: stage.nft(text)


def chain(table, hook, *rules):
    family, name = table.split()
    lines = "\n".join(rules)
    return nft(f"table {family} {name} {{\n  chain c {{\n    type {hook}; policy accept;\n{lines}\n"
               "  }\n}\n")


def office(*networks):
    listed = ", ".join(f'"{each}"' for each in networks)
    return SITE.replace('office = ["198.51.100.0/24", "2001:db8:0ff1::/64", "link-local"]',
                        f"office = [{listed}]")


def named(*addresses):
    """Management is a name, and rolewall.lock says what it means."""
    listed = ", ".join(f'"{each}"' for each in addresses)
    site = SITE.replace('office = ["198.51.100.0/24", "2001:db8:0ff1::/64", "link-local"]',
                        'office = { names = ["bastion.example"] }')
    return f'{site}{LOCK}[names]\n"bastion.example" = [{listed}]\n'
