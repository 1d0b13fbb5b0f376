"""Rows of lock_outs.py about `refresh`: what a name of the policy in force means by now, and what has
expired."""

import os
import subprocess
import sys

from live_guard import ND, RULES, SSH, run
from lock_outs import CLIENT_4, CLIENT_6, LeftOut, Trial
from lock_out_beside import BESIDE
from lock_out_words import NEIGHBOURS, V6, named


def says(*addresses):
    """What the name server says of it from now on."""
    def step(_stage):
        with open("zone", "w", encoding="utf-8") as zone:
            zone.write("bastion.example " + " ".join(addresses) + "\n")
    return step


def name_server(stage):
    server = os.path.join(os.path.dirname(os.path.abspath(__file__)), "dns_server.py")
    stage.processes.append(subprocess.Popen([sys.executable, server, "zone"], stdout=subprocess.PIPE))
    if stage.processes[-1].stdout.readline().strip() != b"ready":
        raise LeftOut("no name server")
    with open("resolv.conf", "w", encoding="utf-8") as file:
        file.write("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    if run("mount", "--bind", "resolv.conf", "/etc/resolv.conf", check=False).returncode != 0:
        raise LeftOut("no resolv.conf of its own")


def moves(before, after):
    """From some addresses to others, and back before the harmless change."""
    return {"verb": ("refresh",), "site": named(*before), "set_up": (says(*after), name_server),
            "mended": (says(*before), "refresh")}


def trials():
    kind = "refresh"
    away = moves([CLIENT_4], ["192.0.2.9"])
    yield Trial(kind, "management's name moves away", **away)
    yield Trial(kind, "management's name moves away, ufw's", then=(BESIDE["ufw's"],), **away)
    yield Trial(kind, "of two addresses one is left", **moves([CLIENT_4, "192.0.2.9"], ["192.0.2.9"]))
    yield Trial(kind, "IPv6, management's name moves away", come=V6, later=NEIGHBOURS + (
        "flush_connections",), **moves([CLIENT_6], ["2001:db8:77::7"]))
    yield Trial(kind, "a network that management is not, by name",
                before=ND + SSH.replace('"management"', '"bastion"'), **{
                    **away, "site": away["site"].replace(
                        "[networks]\n", '[networks]\nbastion = { names = ["bastion.example"] }\n')})
    expires = RULES + "expires = 2130-03-01\n"
    yield Trial(kind, "what lets in management has expired", before=expires,
                verb=("refresh", "--date", "2131-01-01"))
