#include "policy/test.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "base/suggest.h"
#include "net/built_in_steps.h"
#include "policy/codes.h"
#include "policy/packet_words.h"

namespace rolewall::policy {
namespace {

constexpr std::array<std::pair<std::string_view, Expectation>, 4> kExpectations = {
    {{"accept", Expectation::Accept},
     {"deny", Expectation::Deny},
     {"drop", Expectation::Drop},
     {"reject", Expectation::Reject}}};

void read_packets(const Scope& scope, const Section& section, Test& test) {
  bool asked = false;
  for (const auto& [key, expected] : kExpectations) {
    asked = asked || section.has(key);
    for (const Value& item : section.items(key)) {
      auto words = parse_packet_words(scope, item.text, item.place, Wording::Test);
      if (words) test.packets.push_back({expected, std::move(*words)});
    }
  }
  if (asked) return;
  report(scope.diagnostics, Code::EmptyTest, section.span(), "the test has no packets",
         "add accept, deny, drop or reject = [packets]");
}

bool names(const Selectors& selectors, std::string_view text) {
  return std::any_of(selectors.items.begin(), selectors.items.end(),
                     [&](const Selector& item) { return item.term.text == text; });
}

// Whether the block itself names the network, in a rule or as a default of its own.
bool block_names(const Policy& policy, const RuleFile& file, const Term& term) {
  if (term.kind == TermKind::Network && policy.networks[term.index].span.file == file.file) {
    return true;
  }
  return std::any_of(file.rules.begin(), file.rules.end(), [&](const Rule& rule) {
    const auto& [services, from, to, in, out, user] = rule.conditions;
    return names(from, term.text) || names(to, term.text);
  });
}

// What a shipped block tests must hold at every site: that it accepts what it opens, and drops
// what its own early rule drops. A role may open more.
void check_shipped(Loader& loader, const RuleFile& file, const Test& test) {
  for (const TestPacket& packet : test.packets) {
    const PacketWords& words = packet.words;
    for (const End* end : {&words.from, &words.to}) {
      for (const Selector& item : end->selectors.items) {
        const TermKind kind = item.term.kind;
        const bool of_site = kind == TermKind::Host || kind == TermKind::Role ||
                             kind == TermKind::Tag || kind == TermKind::Network;
        if (!of_site || block_names(loader.policy, file, item.term)) continue;
        report(loader.diagnostics, Code::ShippedTest, item.term.span,
               fmt::format("a shipped block's test cannot name {}, because the block does not",
                           quote(item.term.text)));
      }
    }
    if (packet.expected == Expectation::Accept) continue;
    const bool early =
        packet.expected == Expectation::Drop && !words.from.selectors.items.empty() &&
        std::any_of(file.rules.begin(), file.rules.end(), [&](const Rule& rule) {
          const Selectors& from = rule.conditions.from;
          return rule.early &&
                 (!from.given || names(from, words.from.selectors.items[0].term.text));
        });
    if (early) continue;
    report(loader.diagnostics, Code::ShippedTest, words.span,
           "a shipped block's test can only accept, or drop what the block's early rule drops",
           "a role may open more: write tests of what is denied in the role");
  }
}

Test read(const Scope& scope, const Section& section) {
  Test test;
  test.span = section.span();
  test.name = section.text("name");
  test.by = section.text("by");
  read_packets(scope, section, test);
  return test;
}

bool share_a_host(const RuleFile& a, const RuleFile& b) {
  std::vector<Index> shared;
  std::set_intersection(a.hosts.begin(), a.hosts.end(), b.hosts.begin(), b.hosts.end(),
                        std::back_inserter(shared));
  return !shared.empty();
}

// Whether some host that the file is for has the rules of `other`.
bool meets(Loader& loader, const RuleFile& file, Index other) {
  const Policy& policy = loader.policy;
  const RuleFile& rules = policy.files[other];
  if (&rules == &file || std::find(file.use.begin(), file.use.end(), other) != file.use.end()) {
    return true;
  }
  const auto index = static_cast<Index>(&file - policy.files.data());
  const auto [known, is_new] = loader.meetings.emplace(std::pair(index, other), false);
  if (is_new) known->second = share_a_host(file, rules);
  return known->second;
}

}  // namespace

Test read_test(Loader& loader, const RuleSource& source, const Value& table) {
  const Section section(table, keys::kTest, "[[test]]", source.top, loader.diagnostics);
  Test test = read(loader.scope(true, source.used_at), section);
  test.on = read_on(loader, source, section);
  const RuleFile& file = loader.policy.files[source.file];
  if (file.shipped) check_shipped(loader, file, test);
  return test;
}

Test read_site_test(Loader& loader, Keys top, const Value& table) {
  const Section section(table, keys::kTest, "[[test]]", top, loader.diagnostics);
  Test test = read(loader.scope(false), section);
  if (const Value* on = section.find("on")) {
    report(loader.diagnostics, Code::UnknownKey, on->span(),
           "unknown key `on` in a test of site.toml",
           "the packets already name the hosts that are asked");
  }
  return test;
}

void check_by(Loader& loader, const RuleFile* file, const Value& table) {
  const Member* by = table.find("by");
  if (by == nullptr || by->value.kind != ValueKind::String) return;
  const std::string& name = by->value.text;
  if (std::find(net::step::kAll.begin(), net::step::kAll.end(), name) != net::step::kAll.end())
    return;
  if (loader.is_of_unread(name)) return;
  const auto found = loader.rule_files.find(name);
  if (found != loader.rule_files.end() &&
      (file == nullptr || meets(loader, *file, found->second))) {
    return;
  }
  std::vector<std::string> known(net::step::kAll.begin(), net::step::kAll.end());
  if (can_afford_hint(loader.diagnostics, loader.rule_files.size())) {
    for (const auto& [rule, index] : loader.rule_files) {
      if (file == nullptr || meets(loader, *file, index)) known.push_back(rule);
    }
  }
  std::sort(known.begin(), known.end());
  std::string hint = did_you_mean(name, known);
  for (const std::string& rule : known) {
    if (hint.empty() && rule.ends_with("." + name)) hint = fmt::format("did you mean `{}`?", rule);
  }
  if (hint.empty())
    hint = "a rule's full name (\"web.inbound.https\"), or a step such as (default)";
  report(loader.diagnostics, Code::UnknownRule, by->value.span(),
         found == loader.rule_files.end()
             ? fmt::format("there is no rule {}", quote(name))
             : fmt::format("no host that is asked has the rule {}", quote(name)),
         std::move(hint));
}

}  // namespace rolewall::policy
