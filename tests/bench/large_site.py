#!/usr/bin/env python3
"""Writes a large site for timing the front end and the compiler.

usage: large_site.py DIR [HOSTS [RULES [ROLES]]]       defaults: 1000 hosts, 10000 rules, 20 roles
  large_site.py /tmp/site && time build/rolewall compile /tmp/site --host h0 >/tmp/h0.nft
"""
import pathlib
import random
import sys


def main() -> None:
    directory = pathlib.Path(sys.argv[1])
    hosts, rules, roles = (
        int(sys.argv[i]) if len(sys.argv) > i else default
        for i, default in ((2, 1000), (3, 10000), (4, 20))
    )
    rng = random.Random(1)
    directory.mkdir(parents=True, exist_ok=True)
    networks = 200
    site = ['[site]\nname = "large"\nmanagement = "net0"\ninternal = "inside"\n\n[networks]\n']
    site.append('inside = ["10.0.0.0/8", "fd00::/16"]\n')
    for n in range(networks):
        site.append(f'net{n} = ["10.{n}.0.0/16", "fd00:{n:x}::/32"]\n')
    for h in range(hosts):
        site.append(
            f'\n[hosts.h{h}]\nrole = "r{h % roles}"\n'
            f'addresses = ["10.{h // 250}.{h % 250}.1", "fd00:{h // 250:x}:{h % 250:x}::1"]\n'
        )
    (directory / "site.toml").write_text("".join(site))
    for role in range(roles):
        text = [f'role = "r{role}"\ndescription = "generated"\n']
        for i in range(rules // roles):
            inbound = rng.random() < 0.7
            port = rng.randrange(1, 65000)
            service = rng.choice([f"tcp/{port}", f"udp/{port}", f"tcp/{port}-{port + 20}"])
            other = rng.choice([f"net{rng.randrange(networks)}", f"r{rng.randrange(roles)}",
                                f"10.{rng.randrange(200)}.{rng.randrange(250)}.0/24", "any"])
            text.append(
                f'\n[[{"inbound" if inbound else "outbound"}]]\nid = "rule-{i}"\n'
                f'service = "{service}"\n{"from" if inbound else "to"} = "{other}"\n'
            )
            if inbound and rng.random() < 0.1:
                text.append('limit = "100/second burst 200"\n')
        (directory / f"r{role}.toml").write_text("".join(text))
    print(f"{hosts} hosts, {rules} rules in {roles} roles: {directory}")


if __name__ == "__main__":
    main()
