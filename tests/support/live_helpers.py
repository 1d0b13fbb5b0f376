"""Scenes for tests/cli/helpers_live.sh: FTP, active and passive, and TFTP, through a gateway and to it,
with and without a helper in the policy, translated and not."""

import gateway
from ftp_and_tftp import fetch_by_ftp, fetch_by_tftp, serve_ftp, serve_tftp
from gateway import GATEWAY, GATEWAY6, INSIDE, INSIDE6, PEER, PEER6
from live_guard import Client, run
from scene import NEIGHBOURS, apply, check, finish, same_by_nft, write_site

FTP, TFTP = 21, 69
KINDS = ["active", "passive", "tftp"]


class Host(Client):
    def do(self, what, words, held):
        if what == "serve":
            for address in words:
                serve(address)
            return "done"
        if what == "fetch":
            return fetch(*words)
        return super().do(what, words, held)


def serve(address):
    serve_ftp(FTP, address)
    serve_tftp(TFTP, address)


def fetch(kind, address):
    if kind == "tftp":
        return fetch_by_tftp(address, TFTP)
    return fetch_by_ftp(address, FTP, kind == "passive")


def rules(direction, *keys, helpers=True):
    """FTP and TFTP, with the keys."""
    text = ""
    for service in ("ftp", "tftp"):
        helper = [f'helper = "{service}"'] if helpers else []
        text += "\n".join([f"[[{direction}]]", f'service = "{service}"', *keys, *helper, ""])
    return text


def translated(destination=False):
    if not destination:
        return '[[nat]]\nid = "out"\nfrom = "inside"\nout = "public"\nnew-source = "masquerade"\n'
    return "".join(f'[[nat]]\nid = "to-{service}"\nservice = "{service}"\nto = "self"\nin = "public"\n'
                   f'new-destination = "{address}"\n'.replace("to-", f"to-{number}-")
                   for service in ("ftp", "tftp")
                   for number, address in enumerate((INSIDE, INSIDE6)))


def put_in_force(text):
    """From the beginning: no connection is open."""
    run("nft", "flush", "ruleset")
    write_site(server=f'role = "server"\n{NEIGHBOURS}{text}')
    apply()


def all_are(who, addresses, expected, what):
    ask = fetch if who is None else lambda *words: who.ask("fetch", *words)
    for address in addresses:
        for kind in KINDS:
            answer = ask(kind, address)
            check((answer == "fetched") == expected, f"{what}: {kind}, {address}: {answer}")


def main():
    peer, inside = Host(), Host()
    gateway.join(peer, inside)
    peer.ask("serve", PEER, PEER6)
    inside.ask("serve", INSIDE, INSIDE6)
    for address in (GATEWAY, GATEWAY6):
        serve(address)
    write_site(site=gateway.SITE)
    outwards = ['from = "inside"', 'in = "private"', 'out = "public"']
    inwards = ['in = "public"']

    put_in_force(rules("forward", *outwards))
    all_are(inside, (PEER, PEER6), True, "through the gateway")
    put_in_force(rules("forward", *outwards) + translated())
    all_are(inside, (PEER, PEER6), True, "behind the gateway's address")
    same_by_nft()
    put_in_force(rules("forward", 'to = "self"', *inwards) + translated(destination=True))
    all_are(peer, (GATEWAY, GATEWAY6), True, "to a server behind the gateway")
    put_in_force(rules("inbound", *inwards))
    all_are(peer, (GATEWAY, GATEWAY6), True, "to the gateway itself")
    put_in_force(rules("outbound"))
    all_are(None, (PEER, PEER6), True, "from the gateway itself")

    put_in_force(rules("forward", *outwards, helpers=False))
    all_are(inside, (PEER, PEER6), False, "without a helper")
    # Another program's helper opens nothing: what it makes related meets the policy's rules.
    run("nft", "add table inet other { ct helper ftp { type \"ftp\" protocol tcp; }; "
        "ct helper tftp { type \"tftp\" protocol udp; }; "
        "chain f { type filter hook forward priority -5; "
        "tcp dport 21 ct helper set \"ftp\"; udp dport 69 ct helper set \"tftp\"; }; }")
    all_are(inside, (PEER, PEER6), False, "by another program's helper")
    finish(peer, inside)


main()
