// A site's weak points by what its rules decide: what another rule takes away first is none, and
// what is left is one, however the words look.
#include <doctest/doctest.h>

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "ask/rule_lint.h"
#include "site_text.h"

namespace rolewall::ask {
namespace {

constexpr std::string_view kSiteStart = R"(
[site]
name = "s"
management = "office"
internal = "10.0.0.0/8"
writers = "10.0.8.1"
replicas = "10.0.8.2"
collector = "10.0.9.9"
[networks]
office = "10.9.0.0/24"
[kinds]
database = ["tcp/3306"]
management = ["tcp/22"]
plain-web = ["tcp/80"]
tls-web = ["tcp/443"]
agent = ["tcp/6514"]
name-service = ["udp/53"]
[hosts.a]
role = "r"
addresses = "10.0.0.1"
interfaces = ["pub", "prv"]
)";
const std::string kDevices = R"(
[interfaces.pub]
device = "eth0"
[interfaces.prv]
device = "eth1"
)";
const std::string kKnownSides = R"(
[interfaces.pub]
device = "eth0"
[interfaces.prv]
device = "eth1"
behind = "10.0.0.0/8"
)";

const std::string kOuterAddress = "virtual = \"192.0.2.7\"\n";

std::string in(const std::string& id, const std::string& rest) {
  return "[[inbound]]\nid = \"" + id + "\"\n" + rest + "\n";
}
std::string out(const std::string& id, const std::string& rest) {
  return "[[outbound]]\nid = \"" + id + "\"\n" + rest + "\n";
}
std::string through(const std::string& id, const std::string& rest) {
  return "[[forward]]\nid = \"" + id + "\"\n" + rest + "\n";
}
// The weak points of the role's rules.
std::string found(const std::string& rules, const std::string& more_of_site = kDevices) {
  const policy::Policy policy =
      test::load_site({{"site.toml", std::string(kSiteStart) + more_of_site},
                       {"r.toml", "role = \"r\"\n" + rules},
                       {"l.toml", "role = \"l\"\n" + in("tls", "service = \"tcp/443\"")},
                       {"q.toml",
                        "role = \"q\"\n[[outbound]]\nid = \"ships\"\nservice = \"tcp/6514\"\nto = "
                        "\"10.0.9.9\"\n"}});
  Site site(policy, test::kToday);
  Diagnostics findings;
  lint(policy, test::kToday, site, findings);
  const std::set<std::string> asked = {
      "open-to-internet",  "plain-from-internet", "plain-behind-tls",   "writable-replica",
      "tiers-on-one-host", "no-way-to-collector", "database-dials-out", "unrestricted-egress"};
  std::set<std::string> words;
  for (const Diagnostic& finding : findings.all()) {
    if (!asked.contains(finding.code)) continue;
    const std::string first = finding.message.substr(0, finding.message.find(' '));
    words.insert(finding.code + " " + first.substr(first.rfind('.') + 1));
  }
  std::string text;
  for (const std::string& each : words) text += (text.empty() ? "" : ", ") + each;
  return text;
}

const std::string kShips = out("ships", "service = \"tcp/6514\"\nto = \"10.0.9.9\"");

TEST_CASE("what is dropped before it, no rule opens to the internet") {
  const std::string shut = in("shut", R"(service = ["tcp/22", "tcp/80"]
from = "internet"
action = "drop")");
  const std::string opens = in("x", R"(service = ["tcp/22", "tcp/80"])");
  CHECK(found(kShips + shut + opens) == "");
  CHECK(found(kShips + opens) == "open-to-internet x, plain-from-internet x");
  // A part of the internet is no more than a network that somebody names.
  const std::string most = in("most", R"(service = ["tcp/22", "tcp/80"]
from = ["internet", "!198.51.100.0/24"]
action = "drop")");
  CHECK(found(kShips + most + opens) == "");
  const std::string some = in("some", R"(service = ["tcp/22", "tcp/80"]
from = "198.51.100.0/24"
action = "drop")");
  CHECK(found(kShips + some + opens) == "open-to-internet x, plain-from-internet x");
  const std::string one = in("one", "service = \"tcp/22\"\nfrom = \"internet\"\naction = \"drop\"");
  CHECK(found(kShips + one + opens) == "plain-from-internet x");
  const std::string soon = in("soon", R"(service = ["tcp/22", "tcp/80"]
from = "internet"
early = true
action = "drop")");
  CHECK(found(kShips + soon + opens) == "");
  // What an earlier rule accepts is that rule's.
  CHECK(found(kShips + in("first", "service = \"tcp/22\"") + in("again", "service = \"tcp/22\"")) ==
        "open-to-internet first");
}

TEST_CASE("a rule for every service opens what others leave to it") {
  CHECK(found(kShips + in("all", "")) == "open-to-internet all");
  const std::string low = in("low", "service = \"tcp/1-60000\"\naction = \"drop\"");
  CHECK(found(kShips + low + in("all", "")) == "");
  const std::string high = in("high", "service = \"tcp/1024-65535\"\naction = \"drop\"");
  CHECK(found(kShips + high + in("all", "")) == "open-to-internet all");
  const std::string any = in("any", "from = \"internet\"\naction = \"drop\"");
  CHECK(found(kShips + any + in("all", "")) == "");
}

TEST_CASE("what passes through into the site") {
  const std::string sides[] = {kDevices, kKnownSides};
  for (const std::string& site : sides) {
    INFO(site);
    const std::string inside = "to = \"10.0.4.0/24\"\nfrom = \"internet\"";
    CHECK(found(kShips + through("x", inside), site) == "open-to-internet x");
    CHECK(found(kShips + through("x", inside + "\nservice = \"tcp/22\""), site) ==
          "open-to-internet x");
    CHECK(found(kShips + through("x", "from = \"internet\"\nout = \"prv\"\nservice = \"tcp/22\""),
                site) == "open-to-internet x");
    CHECK(found(kShips + through("x", "service = \"tcp/22\""), site) == "open-to-internet x");
    const std::string shut = through("shut", "from = \"internet\"\naction = \"drop\"");
    CHECK(found(kShips + shut + through("x", inside), site) == "");
    // The way out.
    CHECK(found(kShips + through("x", "in = \"prv\"\nout = \"pub\"\nservice = \"tcp/22\""), site) ==
          "");
    CHECK(found(kShips + through("x", "in = \"prv\"\nservice = \"tcp/22\""), site) == "");
    CHECK(found(kShips + through("x", "to = \"internet\"\nservice = \"tcp/22\""), site) == "");
    CHECK(found(kShips + through("x", "in = \"prv\"\nto = \"internet\"\nservice = \"tcp/80\""),
                site) == "");
  }
  CHECK(found(kShips + through("x", "in = \"prv\"\nout = \"prv\"\nservice = \"tcp/22\""),
              kKnownSides) == "");
}

TEST_CASE("what comes in by the outer interface, whoever sends it") {
  const std::string ssh = "service = \"tcp/22\"\n";
  const std::string outer = "in = \"pub\"\n";
  const std::string inwards = outer + "out = \"prv\"\n";
  const auto known = [](const std::string& rules) {
    return found(kShips + rules, kOuterAddress + kKnownSides);
  };
  CHECK(known(through("x", ssh + inwards)) == "open-to-internet x");
  CHECK(known(through("x", ssh + outer)) == "open-to-internet x");
  CHECK(known(through("x", inwards)) == "open-to-internet x");
  CHECK(known(through("x", ssh + "out = \"prv\"")) == "open-to-internet x");
  CHECK(known(through("x", "service = \"tcp/80\"\n" + inwards)) == "plain-from-internet x");
  CHECK(known(through("shut", "from = \"internet\"\naction = \"drop\"") +
              through("x", ssh + inwards)) == "");
  CHECK(known(through("x", ssh + outer + "out = \"pub\"")) == "");
  // Of a host whose addresses are all behind `prv`, the other may be for its containers.
  CHECK(found(kShips + through("x", ssh + outer), kKnownSides) == "");
  CHECK(found(kShips + through("x", ssh + inwards), kKnownSides) == "open-to-internet x");
  CHECK(known(through("x", ssh + "out = \"pub\"")) == "");
}

TEST_CASE("a translation opens what rules do not deny on its way") {
  const std::string nat =
      "[[nat]]\nid = \"x\"\nservice = \"tcp/3306\"\nin = \"pub\"\nto = "
      "\"self\"\nnew-destination = \"";
  const std::string on = nat + "10.0.4.4\"\n";
  const std::string here = nat + "self:22\"\n";
  const std::string deny = "service = \"tcp\"\naction = \"drop\"";
  CHECK(found(kShips + on) == "open-to-internet x");
  CHECK(found(kShips + on + through("no", deny)) == "");
  CHECK(found(kShips + on + in("no", deny)) == "open-to-internet x");
  CHECK(found(kShips + on + through("no", deny + "\nfrom = \"office\"")) == "open-to-internet x");
  CHECK(found(kShips + here) == "open-to-internet x");
  CHECK(found(kShips + here + in("no", deny)) == "");
  CHECK(found(kShips + here + through("no", deny)) == "open-to-internet x");
}

TEST_CASE("plain HTTP that is passed on") {
  const std::string web = "service = \"tcp/80\"\nfrom = \"internet\"\n";
  CHECK(found(kShips + through("x", web + "to = \"10.0.4.4\"")) == "plain-from-internet x");
  // Its own rules say what it redirects.
  CHECK(found(kShips + through("x", web + "to = \"b\""),
              kDevices + "[hosts.b]\nrole = \"q\"\naddresses = \"10.0.0.2\"\n") == "");
  const std::string publishes =
      "[[nat]]\nid = \"x\"\nservice = \"tcp/80\"\nfrom = \"internet\"\nto = \"self\"\n";
  CHECK(found(kShips + publishes + "new-destination = \"10.0.4.4:8080\"\n") ==
        "plain-from-internet x");
  CHECK(found(kShips + publishes + "new-destination = \"b:80\"\n",
              kDevices + "[hosts.b]\nrole = \"q\"\naddresses = \"10.0.0.2\"\n") == "");
}

TEST_CASE("ways out, by what is left of them") {
  CHECK(found(kShips + out("x", "to = \"internet\"")) == "unrestricted-egress x");
  const std::string shut = out("shut", "to = \"internet\"\naction = \"reject\"");
  CHECK(found(kShips + shut + out("x", "")) == "");
  CHECK(found(kShips + out("few", "to = \"internet\"\nservice = \"tcp/443\"") + out("x", "")) ==
        "unrestricted-egress x");
  const std::string database = in("db", "service = \"tcp/3306\"\nfrom = \"office\"");
  const std::string web = out("web", "service = \"tcp/443\"");
  CHECK(found(kShips + database + web) == "database-dials-out web");
  CHECK(found(kShips + shut + database + web) == "");
  // A database that nobody reaches.
  const std::string none = in("none", "service = \"tcp/3306\"\naction = \"drop\"");
  CHECK(found(kShips + none + database + web) == "");
  CHECK(found(kShips + in("local", "service = \"tcp/3306\"\nfrom = \"127.0.0.1\"") + web) == "");
}

TEST_CASE("what is behind the interface by which a rule sends is no way out") {
  const std::string database = in("db", "service = \"tcp/3306\"\nfrom = \"office\"");
  for (const std::string& rule :
       {out("x", "out = \"prv\""), through("x", "out = \"prv\"\nfrom = \"10.0.0.0/8\"")}) {
    CHECK(found(kShips + database + rule, kKnownSides) == "");
    CHECK(found(kShips + database + rule, kDevices) != "");
  }
}

TEST_CASE("the way to the collector, by what is left of it") {
  CHECK(found(kShips) == "");
  CHECK(found("") == "no-way-to-collector `a`");
  CHECK(found(out("shut", "to = \"10.0.9.0/24\"\naction = \"drop\"") + kShips) ==
        "no-way-to-collector `a`");
  CHECK(found(out("shut", "to = \"10.0.9.0/24\"\nservice = \"udp\"\naction = \"drop\"") + kShips) ==
        "");
}

TEST_CASE("one host for all tiers, and plain HTTP behind TLS, by what is left of them") {
  const std::string both = in("both", R"(service = ["tcp/443", "tcp/3306"]
from = "office")");
  CHECK(found(kShips + both) == "tiers-on-one-host `a`");
  CHECK(found(kShips + in("shut", "service = \"tcp/3306\"\naction = \"drop\"") + both) == "");
}

// A rule's services, from this one to all.
std::vector<std::string> services(const std::string& one) {
  return {"service = \"" + one + "\"\n", "service = \"tcp\"\n", ""};
}

TEST_CASE("a rule for every service is for these as well") {
  const std::string replica = "virtual = \"10.0.8.2\"\n" + kDevices;
  const std::string web = out("web", "service = \"tcp/443\"");
  for (const std::string& service : services("tcp/3306")) {
    INFO(service);
    const std::string rule = in("x", service + "from = \"office\"");
    CHECK(found(kShips + rule, replica).contains("writable-replica x"));
    CHECK(found(kShips + rule + web, replica).contains("database-dials-out web"));
    CHECK(found(kShips + rule, replica).contains("tiers") ==
          (service != "service = \"tcp/3306\"\n"));
  }
  // Who administers all hosts makes no database of each.
  CHECK(found(kShips + in("x", "from = \"office\"") + web) == "");
  const std::string tls = "[hosts.lb]\nrole = \"l\"\naddresses = \"10.0.0.8\"\n";
  for (const std::string& service : services("tcp/80")) {
    INFO(service);
    CHECK(found(kShips + in("x", service + "from = \"lb\""), kDevices + tls)
              .contains("plain-behind-tls x"));
  }
}

}  // namespace
}  // namespace rolewall::ask
