"""For tests/cli/log_suggest.sh: what the services of the example's web-01 need is used, suggested, and then in force."""

import json
import pathlib
import shutil
import signal
import socket
import subprocess
import time

from denied_peer import Peer
from live_guard import PROGRAM, STATE, run
from scene import check, finish, must, put_beyond

HERE = "10.0.2.10"
# Who asks for which service of web-01, in the policy's words, and the packet.
ASKED = [("10.0.1.10", 443, "https lb-01 > web-01"), ("10.0.1.11", 443, "https lb-02 > web-01"),
         ("192.0.2.40", 443, "https 192.0.2.40 > web-01"),
         ("10.0.0.90", 9100, "node-exporter 10.0.0.90 > web-01"), ("10.0.0.90", 9113, "nginx-exporter 10.0.0.90 > web-01")]
USED = [("10.0.3.10", 3306, "mysql web-01 > db-01"), ("192.0.2.200", 443, "https web-01 > 192.0.2.200")]
NOBODY_ASKED = ["ssh lb-01 > web-01", "https office > web-01", "http lb-01 > web-01", "nginx-exporter lb-01 > web-01",
                "mysql web-01 > db-02", "https web-01 > lb-01", "redis web-01 > db-01"]
BARE = """role = "web"
use = ["baseline"]
[defaults]
mode = "{mode}"
log = {{ to = 9, limit = "1000/second in all" }}
"""


def write_role(mode, rules=""):
    pathlib.Path("site/web.toml").write_text(BARE.format(mode=mode) + rules, encoding="utf-8")


def apply():
    must("apply", "site", "--host", "web-01", "--force", "--read-all")


def use_all(peer):
    for source, port, _ in ASKED:
        peer.ask("new", source, HERE, port)
    for to, port, _ in USED:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as each:
            each.settimeout(0.3)
            try:
                each.connect((to, port))
            except OSError:
                pass


def suggested(peer, *more):
    following = subprocess.Popen([PROGRAM, "log", "--suggest", "--state-dir", STATE, *more], stdout=subprocess.PIPE, text=True)
    time.sleep(0.7)
    use_all(peer)
    time.sleep(0.7)
    following.send_signal(signal.SIGINT)
    return following.communicate(timeout=20)[0]


def opened_by_diff(before):
    """What the site in force opens beyond that one, and nothing else differs: a line of `log --suggest` each."""
    done = run(PROGRAM, "diff", before, "site", "--format", "json", check=False)
    found = json.loads(done.stdout)
    check(found["proven"] and found["counts"]["newly-accepted"] == len(found["classes"]), f"what differs: {found}")
    return {f"newly accepted: {each['packets']}" for each in found["classes"]}


def denied_by_web_01(words):
    done = run(PROGRAM, "eval", "-p", "site", words, "--format", "json", check=False)
    answer = json.loads(done.stdout)
    hops = [each for each in answer["hops"] + answer.get("beyond", []) if each["host"] == "web-01"]
    check(hops, f"web-01 is not asked about {words}: {answer}")
    return [each for each in hops if each["verdict"] != "accept"]


def two_roles(peer):
    """Of a host with two roles a rule may go into either file, and opens something else there."""
    site = pathlib.Path("site/site.toml")
    text = site.read_text(encoding="utf-8")
    begin = text.index("[hosts.web-01]")
    site.write_text(text[:begin] + text[begin:].replace('"web"', '["web", "extra"]', 1), encoding="utf-8")
    pathlib.Path("site/extra.toml").write_text('role = "extra"\n', encoding="utf-8")
    write_role("audit")
    apply()
    rules = suggested(peer, "-p", "site")
    check("# They are for site/web.toml, or site/extra.toml." in rules, f"both files: {rules}")
    check(rules.count("# in site/web.toml:\n# opens: ") == rules.count("# in site/extra.toml:\n# opens: ") == 5, f"in each: {rules}")
    told = json.loads(suggested(peer, "-p", "site", "--format", "json"))
    check(all([other["file"] for other in each["other_roles"]] == ["site/extra.toml"] and other["opens"]["proven"]
              for each in told["suggestions"] for other in each["other_roles"]), f"in JSON: {told}")


def main():
    peer = put_beyond("eth1", Peer())
    run("sysctl", "-qw", "net.ipv6.conf.eth1.disable_ipv6=1")
    peer.must("sysctl", "-qw", "net.ipv6.conf.eth1.disable_ipv6=1")
    run("ip", "address", "add", f"{HERE}/32", "dev", "eth1")
    run("ip", "route", "add", "default", "dev", "eth1", "src", HERE)
    for address in sorted({source for source, _, _ in ASKED} | {to for to, _, _ in USED}):
        peer.must("ip", "address", "add", f"{address}/32", "dev", "eth1")
    peer.must("ip", "route", "add", HERE, "dev", "eth1")
    # Other roles' tests are about the whole policy of web.
    for role in pathlib.Path("site").glob("*.toml"):
        text = role.read_text(encoding="utf-8")
        if role.name != "site.toml" and "[[test]]" in text:
            role.write_text(text[:text.index("[[test]]")], encoding="utf-8")
    write_role("audit")
    apply()
    rules = suggested(peer, "-p", "site")
    check(rules.count("[[inbound]]") == 3 and rules.count("[[outbound]]") == 2, f"what is suggested: {rules}")
    check("1970" not in rules and 'service = "tcp/9100"' in rules, f"times, and what has two names: {rules}")
    check('service = "https"\nfrom    = ["10.0.1.10"' not in rules and '"lb-01", "lb-02"' in rules, f"names of hosts: {rules}")
    opens = [line[len("# opens: "):] for line in rules.splitlines() if line.startswith("# opens: ")]
    check(len(opens) >= 5 and "They are for site/web.toml" in rules, f"what they open: {rules}")
    told = json.loads(suggested(peer, "-p", "site", "--format", "json"))
    check(told["file"] == "site/web.toml" and all(each["opens"]["proven"] and each["opens"]["classes"]
                                                  for each in told["suggestions"]), f"in JSON: {told}")
    unknown = suggested(peer, "-p", "nowhere")
    check("# What they open is not known: " in unknown and unknown.count("[[inbound]]") == 3, f"without a site: {unknown}")
    write_role("enforce")
    shutil.copytree("site", "before")
    write_role("enforce", rules)
    apply()
    # All of what they open together, and nothing else, in the same words.
    by_diff = opened_by_diff("before")
    check(by_diff == {each.split("   (")[0] for each in opens}, f"by diff: {sorted(by_diff)}\nby log: {sorted(opens)}")
    for _, _, words in ASKED + USED:
        check(not denied_by_web_01(words), f"what was suggested does not admit {words}: {denied_by_web_01(words)}\n{rules}")
    for words in NOBODY_ASKED:
        check(denied_by_web_01(words), f"it admits {words}, too")
    two_roles(peer)
    finish(peer)


main()
