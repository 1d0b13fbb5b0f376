"""For tests/cli/monitoring.sh: a Prometheus on this network namespace's loopback scrapes what `stats` writes of two
policies, one of them in audit mode, and answers each query of the dashboard."""

import http.server
import json
import os
import pathlib
import signal
import subprocess
import threading
import time
import urllib.parse
import urllib.request

import yaml

from denied_peer import BANNED, HERE, PEER, RULES, SITE, everything, join
from live_guard import PROGRAM, STATE, run, serve_echo
from scene import apply, check, finish, must, write_site

FOLDER = pathlib.Path(os.environ["ROLEWALL_SOURCE"]) / "packaging/monitoring"
SCRAPED, PROMETHEUS = 9100, 9190

# What the agent's OpenMetrics check takes of an instance (its conf.yaml.example), as far as we may use it.
OPENMETRICS = {"openmetrics_endpoint": str, "namespace": str, "raw_metric_prefix": str, "metrics": list,
               "exclude_metrics": list, "share_labels": dict, "min_collection_interval": int, "timeout": int}


def alerts():
    for words in (["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]):
        done = subprocess.run(["promtool", *words], cwd=FOLDER, capture_output=True, text=True)
        check(done.returncode == 0 and "FAILED" not in done.stdout, f"promtool {words}: {done.stdout}{done.stderr}")


def datadog(names):
    config = yaml.safe_load((FOLDER / "datadog-openmetrics.yaml").read_text())
    check(set(config) == {"init_config", "instances"} and len(config["instances"]) == 1, "Datadog's sections")
    instance = config["instances"][0]
    for key, value in instance.items():
        check(isinstance(value, OPENMETRICS.get(key, type(None))), f"Datadog: {key} = {value}")
    import re
    for pattern in instance["metrics"]:
        # By then prefix and _total are gone.
        found = [name for name in names
                 if re.search(pattern, name.removeprefix(instance["raw_metric_prefix"]).removesuffix("_total"))]
        check(found, f"Datadog: nothing is called {pattern}")
    for name, how in instance["share_labels"].items():
        check("rolewall_" + name in names and set(how) == {"match", "labels"}, f"Datadog: {name} has labels to share")


def opentelemetry():
    config = yaml.safe_load((FOLDER / "otel-collector.yaml").read_text())
    check(set(config) == {"receivers", "processors", "exporters", "service"}, "the collector's sections")
    for name, pipeline in config["service"]["pipelines"].items():
        check(name == "metrics", name)
        for kind in ("receivers", "processors", "exporters"):
            for each in pipeline[kind]:
                check(each in config[kind], f"the collector: {each} is among the {kind}")
    # The receiver takes Prometheus' own configuration.
    with open("scrape.yml", "w", encoding="utf-8") as file:
        yaml.safe_dump(config["receivers"]["prometheus"]["config"], file)
    done = subprocess.run(["promtool", "check", "config", "scrape.yml"], capture_output=True, text=True)
    check(done.returncode == 0, f"promtool check config: {done.stdout}{done.stderr}")


class Exporter(http.server.BaseHTTPRequestHandler):
    """As node exporter, with what stands in the two files."""

    def do_GET(self):
        with open(self.path.strip("/") + ".prom", "rb") as file:
            text = file.read()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *words):
        pass


def write_metrics(name):
    must("stats", "--format", "prometheus", "-o", f"{name}.prom")


def watched(peer):
    """One process that goes on counts the bytes of services."""
    going_on = subprocess.Popen([PROGRAM, "stats", "--watch", "--over", "1s", "--format", "prometheus", "-o", "watched.prom",
                                 "--state-dir", STATE])
    key = 'rolewall_service_sent_bytes_total{direction="inbound",service="tcp/8000"}'

    def sent():
        text = pathlib.Path("watched.prom").read_text(encoding="utf-8")
        return next((int(line.split()[1]) for line in text.splitlines() if line.startswith(key)), None)

    time.sleep(1.5)
    before = sent()
    peer.ask("connections", PEER, HERE, 8000, 10)
    time.sleep(2.5)
    after = sent()
    check(before is not None and 10 * 1000 < after - before < 10 * 3000, f"{before} bytes, then {after}")
    # Another policy: the service goes on.
    write_site(server=RULES + '[[inbound]]\nid = "further"\nservice = "tcp/98"\n')
    apply()
    peer.ask("connections", PEER, HERE, 8000, 10)
    time.sleep(2.5)
    check(sent() >= after, f"after an apply {sent()} bytes, {after} before")
    write_site(server=RULES)
    apply()
    going_on.send_signal(signal.SIGTERM)
    check(going_on.wait(10) == 0, "it ends when it is asked")


def measure(peer):
    """Twelve seconds of figures that grow, at a scrape a second."""
    for _ in range(12):
        peer.ask("connections", PEER, HERE, 8000, 3)
        everything(peer)
        write_metrics("enforce")
        time.sleep(0.5)


def scraped():
    config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
              "rule_files": [str(FOLDER / "alerts.yml")],
              "scrape_configs": [{"job_name": name, "metrics_path": "/" + name,
                                  "static_configs": [{"targets": [f"127.0.0.1:{SCRAPED}"], "labels": {"instance": name}}]}
                                 for name in ("enforce", "audit")]}
    with open("prometheus.yml", "w", encoding="utf-8") as file:
        yaml.safe_dump(config, file)
    with open("prometheus.log", "w", encoding="utf-8") as log:
        return subprocess.Popen(["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data",
                                 f"--web.listen-address=127.0.0.1:{PROMETHEUS}"], stdout=log, stderr=log)


def ask(query):
    url = f"http://127.0.0.1:{PROMETHEUS}/api/v1/query?" + urllib.parse.urlencode({"query": query})
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)["data"]["result"]


def await_series(query):
    """A scrape may come late on a busy machine."""
    for _ in range(40):
        if series := ask(query):
            return series
        time.sleep(0.5)
    return []


def await_ready():
    for _ in range(300):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PROMETHEUS}/-/ready", timeout=1)
            return
        except OSError:
            time.sleep(0.1)
    with open("prometheus.log", encoding="utf-8") as log:
        check(False, "Prometheus does not begin: " + log.read()[-500:])


def dashboard():
    panels = json.loads((FOLDER / "dashboard.json").read_text())["panels"]
    check(len(panels) >= 12, f"{len(panels)} panels")
    for panel in panels:
        for target in panel["targets"]:
            query = target["expr"].replace("$instance", ".*").replace("$__rate_interval", "30s")
            series = await_series(query)
            check(series, f"no series for {panel['title']}: {query}")
            for one in series:
                for label in target["legendFormat"].replace("{{", "\0").split("\0")[1:]:
                    check(label.split("}}")[0] in one["metric"], f"{panel['title']}: no label {label}")
    # Over all of the run: the queries before may have taken longer than half a minute.
    check(ask('sum(rate(rolewall_rule_new_packets_total{rule="server.inbound.app"}[5m]))')[0]["value"][1] != "0",
          "the rate of new connections")


def main():
    peer = join()
    run("sysctl", "-qw", "net.netfilter.nf_conntrack_acct=1")
    write_site(site=SITE, server=RULES + '[defaults]\nmode = "audit"\n')
    apply()
    serve_echo(8000, HERE)
    everything(peer)
    write_metrics("audit")
    write_site(server=RULES)
    apply()
    must("ban", BANNED)
    write_metrics("enforce")
    with open("enforce.prom", encoding="utf-8") as file:
        names = {line.split("{")[0].split()[0] for line in file if not line.startswith("#")}
    with open("audit.prom", encoding="utf-8") as file:
        names |= {line.split("{")[0].split()[0] for line in file if not line.startswith("#")}
    alerts()
    datadog(names)
    opentelemetry()
    watched(peer)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", SCRAPED), Exporter)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    prometheus = scraped()
    try:
        await_ready()
        # What grew before the first scrape is no rate.
        for job in ("enforce", "audit"):
            await_series(f'rolewall_rule_new_packets_total{{job="{job}"}}')
        measure(peer)
        dashboard()
    finally:
        prometheus.send_signal(signal.SIGTERM)
        try:
            prometheus.wait(20)
        except subprocess.TimeoutExpired:
            prometheus.kill()
        server.shutdown()
    finish(peer)


main()
