// A host that forwards and translates: what it admits, what it translates, and that the two are the
// same. Both forms of every ruleset are asked.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "compile/compile.h"
#include "compile/match.h"
#include "compile/table_builder.h"
#include "eval/build.h"
#include "eval/eval.h"
#include "ruleset/expr.h"
#include "ruleset/verify.h"
#include "unit/policy/memory_site.h"

namespace rolewall::compile {
namespace {

using eval::Fate;

constexpr const char* kSite = R"(
[networks]
inside = ["10.0.0.0/16", "fd00::/16"]

[interfaces.public]
device = "eth0"

[interfaces.private]
device = "eth1"

[hosts.gate-1]
role       = "gate"
addresses  = ["203.0.113.12", "2001:db8:1::12", "10.0.0.1", "fd00::1"]
interfaces = ["public", "private"]

[hosts.web-01]
role      = "web"
addresses = ["10.0.2.10", "fd00::2:10"]
)";

struct Asked {
  Fate fate = Fate::Drop;
  std::string by;
  net::Address destination;  // as it leaves
  std::uint16_t port = 0;
  net::Address source;
};

// What gate-1 compiles to, with this role.
class Gate {
 public:
  explicit Gate(const std::string& role)
      : site_(
            policy::make_site({{"site.toml", kSite}, {"gate.toml", "role = \"gate\"\n" + role}})) {
    for (const Diagnostic& finding : site_.diagnostics.all()) {
      if (finding.severity == Severity::Error) FAIL(site_.at(finding.span), ": ", finding.message);
    }
    for (const bool optimise : {true, false}) {
      forms_.push_back(compile(site_.policy, 0, {policy::MemorySite::kToday, optimise}));
      if (const auto flaw = ruleset::verify(forms_.back().ruleset)) FAIL(flaw->path, flaw->what);
    }
  }

  const ruleset::Table& table() const { return forms_.front().ruleset.tables.front(); }
  const ruleset::Snapshot& snapshot() const { return forms_.front(); }

  void add(const ruleset::Table& foreign) {
    for (ruleset::Snapshot& form : forms_) form.ruleset.tables.push_back(foreign);
  }

  // Arrives by `in`; where the host passes it on, it leaves by `out`.
  Asked ask(const char* source, const char* destination, std::uint16_t port,
            const char* in = "eth0", const char* out = "eth1") const {
    eval::PacketFields fields;
    fields.source = *net::parse_address(source);
    fields.destination = *net::parse_address(destination);
    fields.destination_port = port;
    eval::Packet packet = eval::build(fields);
    packet.in_device = in;
    packet.out_device = out;
    std::vector<Asked> answers;
    for (const ruleset::Snapshot& form : forms_) {
      answers.push_back(ask(form, packet, net::is_ipv4(fields.source)));
    }
    CHECK(answers[0].fate == answers[1].fate);
    CHECK_EQ(answers[0].by, answers[1].by);
    return answers[0];
  }

 private:
  static Asked ask(const ruleset::Snapshot& form, const eval::Packet& packet, bool ipv4) {
    const eval::Journey journey = eval::Evaluator(form.ruleset, form.host).arrive(packet);
    Asked asked;
    asked.fate = journey.fate();
    // Who spoke of forwarding or delivery; translation comes before and after.
    for (const eval::HookResult& hook : journey.hooks) {
      const bool judges = hook.hook == ruleset::Hook::Forward || hook.hook == ruleset::Hook::Input;
      if (!judges || !hook.decided) continue;
      const ruleset::Table& table = form.ruleset.tables[hook.decision.table];
      asked.by = table.chains[hook.decision.chain].rules[hook.decision.rule].comment.text();
    }
    const std::uint8_t* bytes = journey.after.bytes.data();
    const std::size_t header = ipv4 ? 20 : 40;
    if (ipv4) {
      asked.source = net::ipv4_from_bytes(bytes + 12);
      asked.destination = net::ipv4_from_bytes(bytes + 16);
    } else {
      asked.source = net::ipv6_from_bytes(bytes + 8);
      asked.destination = net::ipv6_from_bytes(bytes + 24);
    }
    asked.port = static_cast<std::uint16_t>(bytes[header + 2] << 8 | bytes[header + 3]);
    return asked;
  }

  policy::MemorySite site_;
  std::vector<ruleset::Snapshot> forms_;
};

// Another program's table, as Docker makes it: what comes for `port` goes to `to`.
ruleset::Table foreign_nat(std::uint16_t port, const char* to, std::uint16_t to_port) {
  ruleset::Rule rule;
  const net::Address target = address(to);
  match::nfproto(rule.exprs, net::is_ipv4(target) ? match::IpVersion::V4 : match::IpVersion::V6);
  match::l4proto(rule.exprs, net::protocol::kTcp);
  match::port(rule.exprs, match::Side::Destination, {port, port});
  match::nat(rule.exprs, ruleset::NatKind::Destination, target, to_port);
  ruleset::BaseChain base;
  base.type = ruleset::ChainType::Nat;
  base.hook = ruleset::Hook::Prerouting;
  base.priority = -100;
  TableBuilder builder;
  builder.add_base_chain("PREROUTING", base, {rule});
  ruleset::Table table = builder.take().tables.at(0);
  table.name = "docker";
  return table;
}

std::size_t rules_of(const ruleset::Table& table, const char* chain, const char* comment) {
  const ruleset::Chain* found = ruleset::find_chain(table, chain);
  REQUIRE_MESSAGE(found != nullptr, chain);
  return static_cast<std::size_t>(std::ranges::count_if(
      found->rules, [&](const auto& rule) { return rule.comment == comment; }));
}

constexpr const char* kPartner = R"(
[[nat]]
id              = "partner"
service         = "tcp/8443"
to              = "self"
in              = "public"
new-destination = "web-01:443"
)";

}  // namespace

TEST_CASE(
    "a translation has a chain of its own, counted first, and a rule a family that admits it") {
  const Gate gate(kPartner);
  CHECK_EQ(gate.ask("192.0.2.7", "203.0.113.12", 8443).by, "gate.nat.partner");
  // One rule a family: there is no way from IPv4 to an IPv6 address.
  CHECK_EQ(rules_of(gate.table(), "forwarding/translated", "gate.nat.partner"), 2);
  CHECK_EQ(gate.snapshot().sources.at("gate.nat.partner").line, 3);
  const ruleset::Chain* own = ruleset::find_chain(gate.table(), "gate.nat.partner");
  REQUIRE(own != nullptr);
  CHECK(std::holds_alternative<ruleset::Counter>(own->rules.at(0).exprs.at(0)));
}

TEST_CASE("what another program translates elsewhere is not admitted by [[nat]]") {
  Gate gate(kPartner);
  gate.add(foreign_nat(9000, "10.0.2.10", 443));
  CHECK_EQ(gate.ask("192.0.2.7", "203.0.113.12", 9000).by, "(default)");
  CHECK_EQ(gate.ask("192.0.2.7", "203.0.113.12", 8443).by, "gate.nat.partner");
}

TEST_CASE("`service` and `to` mean what the client wrote") {
  Gate gate(R"(
[[forward]]
id = "shop"
service = "https"
to = "self"

[[forward]]
id = "to-containers"
service = "tcp/8080"
to = "172.17.0.0/16"
)");
  gate.add(foreign_nat(443, "172.17.0.2", 8080));
  gate.add(foreign_nat(444, "172.17.0.2", 8080));
  const Asked asked = gate.ask("192.0.2.7", "203.0.113.12", 443);
  CHECK_EQ(asked.by, "gate.forward.shop");
  CHECK(asked.destination == net::parse_address("172.17.0.2"));
  CHECK_EQ(asked.port, 8080);
  // Not by the other rule either, though that is where it goes.
  CHECK_EQ(gate.ask("192.0.2.7", "203.0.113.12", 444).by, "(default)");
  CHECK_EQ(gate.ask("192.0.2.7", "172.17.0.2", 8080).by, "gate.forward.to-containers");
  CHECK_EQ(gate.ask("192.0.2.7", "172.17.0.2", 443).by, "(default)");
}

TEST_CASE("an inbound rule sees what the client wrote, too") {
  Gate gate(
      "[[inbound]]\nid = \"web\"\nservice = \"https\"\nin = \"public\"\n"
      "[[forward]]\nid = \"none\"\nservice = \"tcp/1\"\n");
  gate.add(foreign_nat(443, "10.0.0.1", 8443));
  gate.add(foreign_nat(9000, "10.0.0.1", 443));
  CHECK_EQ(gate.ask("192.0.2.7", "203.0.113.12", 443).by, "gate.inbound.web");
  CHECK_EQ(gate.ask("192.0.2.7", "203.0.113.12", 9000).by, "(default)");
}

TEST_CASE("a translation to the host itself is admitted where it is delivered, and only there") {
  const Gate gate(R"(
[[nat]]
id = "proxy"
service = "http"
from = "inside"
in = "private"
new-destination = "self:3128"
)");
  const Asked asked = gate.ask("10.0.9.9", "192.0.2.80", 80, "eth1", "eth0");
  CHECK(asked.fate == Fate::Accept);
  CHECK_EQ(asked.by, "gate.nat.proxy");
  CHECK_EQ(asked.port, 3128);
  CHECK_EQ(gate.ask("10.0.9.9", "10.0.0.1", 3128, "eth1", "eth0").by, "(default)");
  CHECK_EQ(rules_of(gate.table(), "inbound/translated", "gate.nat.proxy"), 2);
  CHECK_EQ(rules_of(gate.table(), "forwarding/translated", "gate.nat.proxy"), 0);
}

TEST_CASE("a new source is asked about what the client wrote") {
  Gate gate(R"(
[[nat]]
id = "to-the-web"
service = "https"
from = "inside"
to = "192.0.2.80"
out = "public"
new-source = "203.0.113.12"

[[forward]]
id = "all"
from = "inside"
to = "internet"
)");
  gate.add(foreign_nat(443, "192.0.2.99", 9443));
  CHECK(gate.ask("10.0.9.9", "192.0.2.80", 443, "eth1", "eth0").source ==
        net::parse_address("203.0.113.12"));
}

TEST_CASE("an address of one family is admitted in that family alone") {
  const Gate gate(
      "[[nat]]\nid = \"second\"\nservice = \"tcp/8000-9000\"\nto = \"self\"\n"
      "new-destination = \"10.0.2.20\"\n");
  CHECK_EQ(rules_of(gate.table(), "forwarding/translated", "gate.nat.second"), 1);
}

TEST_CASE("a host that neither forwards nor translates asks nothing of it") {
  const Gate gate("[[inbound]]\nservice = \"https\"\n");
  for (const ruleset::Chain& chain : gate.table().chains) {
    CHECK_EQ(chain.name.find("translated"), std::string::npos);
    CHECK_NE(chain.name, "forwarding");
  }
}

}  // namespace rolewall::compile
