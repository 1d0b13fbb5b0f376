#!/usr/bin/env python3
"""Rules that read the clock, asked by the live kernel and by eval. No kernel's clock is set for one
packet, nor in a namespace of its own (a time namespace leaves the real time alone). So each question
is about a moment, by `time=`, and a rule with windows around it; and the kernel is asked, now, about
the same rule with its windows moved so that now stands in them where the moment stood.

usage: live_clock.py ROLEWALL SCRATCH [QUESTIONS]     in a network namespace, as its root
"""

import datetime
import json
import os
import random
import re
import socket
import subprocess
import sys

UTC = datetime.timezone.utc
ENVIRONMENT = {**os.environ, "TZ": "UTC"}
NEVER_NEAR = 180  # seconds: no window's edge is as near to the moment
PER_MOMENT = 30


def window(random):
    """Two offsets from the moment, in seconds, whose order says where the window lies."""
    edges = [random.choice([-1, 1]) * random.randrange(NEVER_NEAR, 11 * 3600) for _ in range(2)]
    return tuple(sorted(edges))


def at(moment, offset):
    return moment + datetime.timedelta(seconds=offset)


def hour(moment):
    return f'"{moment:%H:%M:%S}"'


def time(moment):
    return f'"{moment:%Y-%m-%d %H:%M:%S}"'


def day(moment):
    return f'"{moment:%A}"'


def a_condition(random):
    """A function of the moment: nft's text with windows around it."""
    first, last = window(random)
    unless = random.choice(["", "", "!= "])
    shift = random.randrange(-6, 7) * 86400
    today = random.choice([0, 0, 86400])
    return random.choice([
        lambda m: f"meta time {unless}{time(at(m, first * 40))}-{time(at(m, last * 40))}",
        lambda m: f"meta time {random_of(first, ['<', '>=', '>', '<='])} {time(at(m, last * 900))}",
        lambda m: f"meta hour {unless}{hour(at(m, first))}-{hour(at(m, last))}",
        lambda m: f"meta day {unless}{day(at(m, shift))}",
        lambda m: f"meta day {unless}{{ {day(at(m, shift))}, {day(at(m, shift + 2 * 86400))} }}",
        lambda m: f"meta day {day(at(m, today))} meta hour {hour(at(m, first))}-{hour(at(m, last))}",
    ])


def random_of(seed, choices):
    """The same each time that the condition is written."""
    return choices[seed % len(choices)]


def load(conditions, moment):
    rules = "\n".join(f"udp dport {2000 + i} {condition(moment)} counter accept"
                      for i, condition in enumerate(conditions))
    text = ("flush ruleset\ntable ip clock {\nchain in {\ntype filter hook input priority 0; policy drop\n"
            f"{rules}\n}}\n}}\n")
    loaded = subprocess.run(["nft", "-f", "-"], input=text, text=True, capture_output=True, env=ENVIRONMENT)
    if loaded.returncode != 0:
        sys.exit(f"nft refuses: {loaded.stderr}\n{text}")


def of_kernel(conditions):
    load(conditions, datetime.datetime.now(UTC))
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for i in range(len(conditions)):
        sender.sendto(b"x", ("10.9.0.1", 2000 + i))
    listed = subprocess.run(["nft", "list", "ruleset"], check=True, text=True, capture_output=True, env=ENVIRONMENT)
    counts = [int(count) for count in re.findall(r"counter packets (\d+)", listed.stdout)]
    return ["accept" if count else "drop" for count in counts], listed.stdout


def of_eval(rolewall, scratch, conditions, moment):
    load(conditions, moment)
    dump = os.path.join(scratch, "clock.json")
    subprocess.run([rolewall, "dump", "-o", dump], check=True)
    asked = "".join(f"udp 10.9.0.2 > 10.9.0.1:{2000 + i} in=eth0 time={moment:%Y-%m-%dT%H:%M}\n"
                    for i in range(len(conditions)))
    answers = subprocess.run([rolewall, "eval", "--ruleset", dump, "--file", "-", "--format", "json"],
                             input=asked, text=True, capture_output=True)
    if answers.returncode != 0:
        sys.exit(f"eval: {answers.stderr}")
    return [answer["verdict"] for answer in json.loads(answers.stdout)["questions"]]


def main():
    rolewall, scratch = sys.argv[1:3]
    left = int(sys.argv[3]) if len(sys.argv) > 3 else 300
    numbers = random.Random(16)
    asked = wrong = accepted = 0
    while asked < left:
        moment = datetime.datetime(2020, 1, 1, tzinfo=UTC) + datetime.timedelta(minutes=numbers.randrange(8000000))
        conditions = [a_condition(numbers) for _ in range(PER_MOMENT)]
        expected, text = of_kernel(conditions)
        said = of_eval(rolewall, scratch, conditions, moment)
        for condition, kernel, ours in zip(conditions, expected, said, strict=True):
            asked += 1
            accepted += kernel == "accept"
            if kernel != ours:
                wrong += 1
                print(f"time={moment:%Y-%m-%dT%H:%M} {condition(moment)}: eval says {ours}, the kernel {kernel}\n{text}")
    print(f"{asked} questions, {accepted} accepted, {wrong} answered otherwise than by the kernel")
    sys.exit(wrong != 0 or not 50 < accepted < asked - 50)


main()
