// Exact lint against a count, of all that a rule can say: both hosts of a role, a block's rules,
// early ones, interfaces, owners, what is passed on and translated, limits, rules that end. Each
// packet of a small space is put to each host's compiled ruleset by the evaluator, which shares
// nothing with what lint asks. ROLEWALL_LONG_TESTS=1: 500 rulesets.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "ask/rule_lint.h"
#include "ask/site.h"
#include "compile/compile.h"
#include "eval/build.h"
#include "eval/eval.h"
#include "kernel/random.h"
#include "net/protocol.h"
#include "site_text.h"
#include "support/share.h"

namespace rolewall::ask {
namespace {

using kernel_judge::Random;

constexpr const char* kWideSite = R"(
[site]
name = "s"
internal = "10.0.0.0/16"
[networks]
four = "10.0.1.0/30"
[interfaces]
pub = {{ device = "eth0" }}
priv = {{ device = "eth1"{} }}
[hosts.a]
role = "r"
addresses = ["10.0.0.1", "fd00::1"]
interfaces = ["pub", "priv"]
tags = "left"
[hosts.b]
role = "r"
addresses = ["10.0.0.2"]
interfaces = ["pub"]
)";

struct DrawnRule {
  std::string section;
  std::string text;
  bool in_block = false;
  bool early = false;
  bool silent = true;  // it does nothing beside its verdict
  bool ends = false;   // by a date
};

struct Drawn {
  bool behind = false;
  std::vector<DrawnRule> rules;
  bool has_limit = false;
  bool has_end = false;
};

const char* drawn_addresses(Random& random) {
  return random.of<const char*>({"", "", "\"10.0.1.0/30\"", "\"10.0.1.0/31\"", "\"10.0.1.2/31\"",
                                 "\"10.0.1.2\"", "\"any\"", "\"internet\"", "\"four\"",
                                 "[\"four\", \"!10.0.1.1\"]", "\"!10.0.1.0/31\"", "\"b\"", "\"r\"",
                                 "\"fd00::/16\""});
}

std::string key_of(const char* key, const std::string& value) {
  return value.empty() ? "" : fmt::format("{} = {}\n", key, value);
}

DrawnRule drawn_wide_rule(Random& random, Drawn& all) {
  DrawnRule rule;
  const std::string id = fmt::format("r{}", all.rules.size());
  rule.section = random.of<const char*>(
      {"inbound", "inbound", "inbound", "outbound", "forward", "forward", "nat"});
  rule.in_block = random.percent(20);
  rule.text = fmt::format("[[{}]]\nid = \"{}\"\n", rule.section, id);
  const auto add = [&](const char* key, const std::string& value) {
    rule.text += key_of(key, value);
  };
  const bool translates = rule.section == "nat";
  const bool of_source = translates && random.percent(50);
  add("service",
      random.of<const char*>({"", "\"tcp\"", "\"tcp/80\"", "\"tcp/80-81\"", "\"tcp/81-82\"",
                              "\"udp/80\"", "\"icmp/echo-request\"", "[\"tcp/80\", \"udp/80\"]"}));
  const bool sends = rule.section == "outbound";
  const bool passes = rule.section == "forward";
  if (!sends) add("from", drawn_addresses(random));
  if (sends || of_source) add("to", drawn_addresses(random));
  // Not to an address of the host's own, which another program's translation may pass on.
  if (passes) {
    add("to", random.of<const char*>({"\"!r\"", "\"!r\"", "\"four\"", "\"internet\"",
                                      "\"10.0.1.0/31\"", "\"10.0.1.2\""}));
  }
  if (rule.section == "inbound") add("to", random.of<const char*>({"", "", "\"self\""}));
  if (translates && !of_source) {
    add("to", random.of<const char*>({"\"any\"", "\"self\"", "\"10.0.1.3\""}));
  }
  const auto interface = [&] { return random.of<const char*>({"", "", "\"pub\"", "\"priv\""}); };
  if (!sends && !of_source) add("in", interface());
  if (sends || passes || of_source) add("out", interface());
  if (sends) add("user", random.of<const char*>({"", "", "0", "1000"}));
  add("on", random.of<const char*>({"", "", "", "\"a\"", "\"left\""}));
  if (!all.has_end && random.percent(8)) {
    all.has_end = rule.ends = true;
    rule.silent = false;
    add("expires", "2030-01-01");
  }
  if (translates) {
    const char* to = random.of<const char*>({"\"10.0.1.2\"", "\"self\"", "\"fd00::9\""});
    add(of_source ? "new-source" : "new-destination",
        of_source ? random.of<const char*>({"\"masquerade\"", "\"10.0.0.9\""}) : to);
    return rule;
  }
  if (rule.section == "inbound" && random.percent(20)) {
    rule.early = true;
    add("early", "true");
    add("action", "\"drop\"");
    return rule;
  }
  add("action", random.of<const char*>({"\"accept\"", "\"accept\"", "\"drop\"", "\"reject\""}));
  if (!all.has_limit && random.percent(10)) {
    all.has_limit = true;
    rule.silent = false;
    add("limit", "\"1/day in all\"");
  } else if (random.percent(10)) {
    rule.silent = false;
    add("log", "true");
  }
  return rule;
}

Drawn drawn_rules(Random& random) {
  Drawn all;
  all.behind = random.percent(30);
  const unsigned count = 3 + random.below(6);
  for (unsigned i = 0; i < count; ++i) all.rules.push_back(drawn_wide_rule(random, all));
  return all;
}

constexpr std::size_t kNone = ~std::size_t{0};

test::SiteFiles files_of(const Drawn& drawn, std::size_t without = kNone) {
  std::string block;
  std::string role = "role = \"r\"\n";
  std::string own;
  for (std::size_t i = 0; i < drawn.rules.size(); ++i) {
    const DrawnRule& rule = drawn.rules[i];
    (rule.in_block ? block : own) += rule.text + (i == without ? "enabled = false\n" : "");
  }
  test::SiteFiles files{
      {"site.toml", fmt::format(kWideSite, drawn.behind ? ", behind = \"10.0.1.0/30\"" : "")}};
  if (!block.empty()) {
    files.emplace("rules/b.toml", block);
    role += "use = [\"b\"]\n";
  }
  files.emplace("r.toml", role + own);
  return files;
}

struct WideKind {
  std::uint8_t protocol;
  std::uint16_t number;  // the destination's port, or the ICMP type
};
constexpr WideKind kWideKinds[]{
    {net::protocol::kTcp, 79}, {net::protocol::kTcp, 80},   {net::protocol::kTcp, 81},
    {net::protocol::kTcp, 82}, {net::protocol::kUdp, 80},   {net::protocol::kIcmp, 8},
    {net::protocol::kGre, 0},  {net::protocol::kIcmpv6, 1}, {net::protocol::kIcmpv6, 135},
};
constexpr const char* kEnds[]{"10.0.1.0", "10.0.1.1",     "10.0.1.2", "10.0.1.3",   "10.0.0.9",
                              "10.0.0.2", "198.51.100.1", "fd00::9",  "2001:db8::9"};
constexpr const char* kWideOwn[]{"10.0.0.1", "10.0.0.2", "fd00::1"};
constexpr const char* kWideGroups[]{"224.0.0.1", "ff02::1"};
constexpr const char* kLinked[]{"169.254.0.7", "fe80::7", "127.0.0.1", "::1"};

// What the evaluator says of each packet, and which rules have decided about one.
class Count {
 public:
  explicit Count(const policy::Policy& policy) {
    for (policy::Index host = 0; host < policy.hosts.size(); ++host) {
      const ruleset::Snapshot snapshot = compile::compile(policy, host, {test::kToday});
      eval::Evaluator evaluator(snapshot.ruleset, snapshot.host);
      snapshot_ = &snapshot;
      evaluator_ = &evaluator;
      host_ = &policy.hosts[host];
      ask_all();
    }
  }

  const std::vector<eval::Fate>& fates() const { return fates_; }
  bool decides(const std::string& rule) const { return deciding_.contains(rule); }

 private:
  bool is_own(const net::Address& address) const {
    return host_->all_addresses().contains(address);
  }

  void ask_all() {
    for (const char* from : kEnds) {
      for (const char* to : kWideOwn) arrives(from, to);
      for (const char* to : kWideGroups) arrives(from, to);
      for (const char* to : kEnds) arrives(from, to);
      for (const char* own : kWideOwn) sends(own, from);
    }
    for (const char* own : kWideOwn) {
      for (const char* to : kWideOwn) arrives(own, to), sends(own, to);
      for (const char* to : kWideGroups) sends(own, to);
    }
    for (const char* from : kLinked) {
      for (const char* to : kWideOwn) arrives(from, to);
      for (const char* to : kEnds) sends(from, to);
    }
  }

  template <class Ask>
  static void each_kind(const char* source, const char* destination, const Ask& ask) {
    eval::PacketFields fields;
    fields.source = *net::parse_address(source);
    fields.destination = *net::parse_address(destination);
    const bool ipv4 = net::is_ipv4(fields.source);
    if (ipv4 != net::is_ipv4(fields.destination)) return;
    for (const WideKind& kind : kWideKinds) {
      if (kind.protocol == net::protocol::kIcmp && !ipv4) continue;
      if (kind.protocol == net::protocol::kIcmpv6 && ipv4) continue;
      fields.protocol = kind.protocol;
      fields.ttl = kind.protocol == net::protocol::kIcmpv6 ? 255 : 64;
      if (net::has_ports(kind.protocol)) fields.destination_port = kind.number;
      fields.icmp_type = static_cast<std::uint8_t>(kind.number);
      ask(fields);
    }
  }

  // An address of the host's own comes over the loopback alone.
  void arrives(const char* source, const char* destination) {
    each_kind(source, destination, [&](const eval::PacketFields& fields) {
      const bool own = is_own(fields.source);
      const bool stays = is_own(fields.destination) || is_group(fields.destination);
      for (const char* in : {"eth0", "eth1", "eth9", "lo"}) {
        const bool is_local = std::string_view(in) == "lo";
        if (own && !is_local) continue;
        if (stays) ask(fields, in, "", std::nullopt);
        for (const char* out : {"eth0", "eth1", "eth9"}) {
          if (!is_local && !stays) ask(fields, in, out, std::nullopt);
        }
      }
    });
  }

  void sends(const char* source, const char* destination) {
    each_kind(source, destination, [&](const eval::PacketFields& fields) {
      const bool linked = !is_own(fields.source);
      for (const char* own : kWideOwn) {
        if (linked && fields.source == *net::parse_address(own)) return;  // another host's
      }
      for (const char* out : {"eth0", "eth1", "eth9", "lo"}) {
        if (is_own(fields.destination) && std::string_view(out) != "lo") continue;
        for (const std::optional<std::uint32_t> user :
             {std::optional<std::uint32_t>(), std::optional<std::uint32_t>(0),
              std::optional<std::uint32_t>(1000), std::optional<std::uint32_t>(7)}) {
          ask(fields, "", out, user);
        }
      }
    });
  }

  // Twice: the second is over each limit that the first has met.
  void ask(eval::PacketFields fields, const char* in, const char* out,
           std::optional<std::uint32_t> user) {
    evaluator_->reset();
    for (const std::uint16_t port : {std::uint16_t{40000}, std::uint16_t{40001}}) {
      fields.source_port = port;
      eval::Packet packet = eval::build(fields);
      packet.in_device = in;
      packet.out_device = out;
      packet.user = user;
      packet.group = user;
      eval::Options options;
      options.keep_state = true;
      options.now_ns = 1'000'000'000;
      const eval::Journey journey = packet.in_device.empty() ? evaluator_->send(packet, options)
                                                             : evaluator_->arrive(packet, options);
      fates_.push_back(journey.fate());
      note(journey);
    }
  }

  void note(const eval::Journey& journey) {
    for (const eval::HookResult& hook : journey.hooks) {
      if (hook.decided) {
        deciding_.insert(decided_by(snapshot_->ruleset, snapshot_->sources, hook.decision).rule);
      }
      // A translation is no verdict: the rule's own chain is met.
      for (const eval::Step& step : hook.steps) {
        const auto& chain = snapshot_->ruleset.tables[step.table].chains[step.chain];
        if (chain.name.find(".nat.") != std::string::npos) deciding_.insert(chain.name);
      }
    }
  }

  const ruleset::Snapshot* snapshot_ = nullptr;
  eval::Evaluator* evaluator_ = nullptr;
  const policy::Host* host_ = nullptr;
  std::vector<eval::Fate> fates_;
  std::set<std::string> deciding_;
};

std::map<std::string, std::set<std::string>> found_by_code(const policy::Policy& policy) {
  Site site(policy, test::kToday);
  Diagnostics findings;
  lint_exactly(policy, test::kToday, site, findings);
  std::map<std::string, std::set<std::string>> names;
  for (const Diagnostic& finding : findings.all()) {
    const bool is_dead = finding.code == "contradicted-rule";
    names[is_dead ? "shadowed-rule" : finding.code].insert(
        finding.message.substr(0, finding.message.find(' ')));
  }
  return names;
}

std::string name_of_rule(const DrawnRule& rule, std::size_t number) {
  return fmt::format("{}.{}.r{}", rule.in_block ? "b" : "r", rule.section, number);
}

TEST_CASE("exact lint finds what a count of all packets finds, whatever a rule says") {
  Random random(2019);
  std::map<std::string, unsigned> seen;
  constexpr std::size_t kFew = 12;
  const bool is_long = std::getenv("ROLEWALL_LONG_TESTS") != nullptr;
  const std::size_t rounds = is_long ? 500 : kFew / test::share();
  for (std::size_t round = 0; round < rounds;) {
    const Drawn drawn = drawn_rules(random);
    const test::SiteFiles files = files_of(drawn);
    Diagnostics mistakes;
    test::load_site(files, mistakes);
    if (mistakes.has_errors()) continue;  // of no address, say
    ++round;
    std::string text;
    for (const auto& [name, contents] : files) text += "# " + name + "\n" + contents;
    INFO(text);
    const policy::Policy policy = test::load_site(files);
    auto found = found_by_code(policy);
    CHECK(found["not-decided"].empty());
    const Count all(policy);
    std::optional<Count> without_ending;
    for (std::size_t i = 0; i < drawn.rules.size(); ++i) {
      if (drawn.rules[i].ends) without_ending.emplace(test::load_site(files_of(drawn, i)));
    }
    for (std::size_t i = 0; i < drawn.rules.size(); ++i) {
      const DrawnRule& rule = drawn.rules[i];
      const std::string name = name_of_rule(rule, i);
      INFO(name);
      // What ends by itself keeps no other from being needed.
      const bool decides =
          all.decides(name) || (!rule.ends && without_ending && without_ending->decides(name));
      const bool dead = found["shadowed-rule"].contains(name) || found["unmet-rule"].contains(name);
      CHECK(dead == !decides);
      ++seen[(dead ? "dead " : "alive ") + rule.section + (rule.early ? " early" : "")];
      if (dead || rule.early || rule.section == "nat" || without_ending) continue;
      const Count rest(test::load_site(files_of(drawn, i)));
      const bool redundant = found["redundant-rule"].contains(name);
      const bool same = rule.silent && rest.fates() == all.fates();
      if (redundant) CHECK(same);
      // What denies may keep packets out of the log, and what has others behind it is told with
      // them; a later rule that logs or counts does more.
      const bool is_told = found["shadowed-rule"].empty() &&
                           std::ranges::all_of(drawn.rules, &DrawnRule::silent) &&
                           text.find(R"(action = "drop")") == std::string::npos &&
                           text.find(R"(action = "reject")") == std::string::npos;
      if (same && is_told) CHECK(redundant);
      ++seen[redundant ? "redundant" : "needed"];
    }
  }
  if (rounds < kFew) return;
  for (const char* what : {"dead inbound", "dead nat", "alive nat", "alive forward",
                           "alive inbound early", "redundant", "needed"}) {
    CHECK(seen[what] > 0);
  }
}

}  // namespace
}  // namespace rolewall::ask
