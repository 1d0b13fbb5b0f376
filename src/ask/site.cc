#include "ask/site.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "ask/assumed.h"
#include "ask/beside.h"
#include "ask/conditions.h"
#include "ask/packet_parts.h"
#include "ask/translations.h"
#include "base/calendar.h"
#include "base/check.h"
#include "compile/compile.h"
#include "print/print.h"
#include "ruleset/expr.h"
#include "ruleset/names.h"
#include "ruleset/rule_parts.h"

namespace rolewall::ask {
namespace {

using policy::Index;

// A rule's id: its comment, or for a rule inside a policy rule's own chain that chain's name.
std::string rule_id(const ruleset::SourceMap& sources, const ruleset::Chain& chain,
                    const ruleset::Rule& rule) {
  if (!rule.comment.empty()) return rule.comment.text();
  return sources.contains(chain.name) ? chain.name : "";
}

// "" where the rule decided nothing.
std::string in_words(const ruleset::Verdict& verdict, const ruleset::Rule& rule) {
  if (verdict.code == ruleset::VerdictCode::Continue) return "";
  if (verdict.code == ruleset::VerdictCode::Drop && ruleset::rejects(rule)) {
    return "reject";
  }
  std::string words(ruleset::name_of(verdict.code));
  if (!verdict.chain.empty()) words += " " + verdict.chain;
  return words;
}

// Of the user and of the group that no rule names: the greatest there is but one, which the system
// calls take for none.
constexpr std::uint32_t kUnnamed = 0xfffffffe;

}  // namespace

std::string does_in_words(const ruleset::Rule& rule) {
  const auto logs = [](const ruleset::Expr& expr) {
    return std::holds_alternative<ruleset::Log>(expr);
  };
  const auto counts = [](const ruleset::Expr& expr) {
    return std::holds_alternative<ruleset::Counter>(expr);
  };
  if (std::ranges::any_of(rule.exprs, logs)) return "logs it";
  return std::ranges::any_of(rule.exprs, counts) ? "counts it" : "";
}

namespace {

Tried tried(const ruleset::Snapshot& snapshot, const eval::Step& step) {
  const ruleset::Table& table = snapshot.ruleset.tables[step.table];
  const ruleset::Chain& chain = table.chains[step.chain];
  Tried tried;
  tried.table = fmt::format("{} {}", ruleset::name_of(table.family), table.name);
  tried.chain = chain.name;
  tried.rule = rule_id(snapshot.sources, chain, chain.rules[step.rule]);
  if (tried.rule.empty()) {
    tried.rule = fmt::format("rule {}", step.rule + 1);
    tried.text = print::rule_text(table, chain.rules[step.rule], snapshot.host.ipset_numbers);
  }
  if (const auto source = snapshot.sources.find(tried.rule); source != snapshot.sources.end()) {
    tried.file = source->second.file;
    tried.line = source->second.line;
  }
  tried.matched = step.matched;
  tried.why = step.why;
  if (step.matched) tried.verdict = in_words(step.verdict, chain.rules[step.rule]);
  if (step.matched && tried.verdict.empty()) tried.does = does_in_words(chain.rules[step.rule]);
  return tried;
}

std::vector<Hop> to_hops(const ruleset::Snapshot& snapshot, const eval::Journey& journey,
                         const FlowEnd& end, bool explain) {
  std::vector<Hop> hops;
  const Translations translations = translations_of(end.packet, journey.after);
  for (const eval::HookResult& result : journey.hooks) {
    Hop hop;
    hop.host = snapshot.host.name;
    hop.hook = result.hook;
    const bool leaves_a_forwarder = end.arrives && result.hook == ruleset::Hook::Postrouting;
    hop.device = leaves_a_forwarder ? journey.after.out_device : end.device;
    hop.translated = translations.at(result.hook);
    hop.verdict = verdict_of(result.fate);
    if (result.decided) {
      hop.decided_by = decided_by(snapshot.ruleset, snapshot.sources, result.decision);
      if (hop.decided_by->rule.empty() && !hop.decided_by->chain_policy) {
        const ruleset::Table& table = snapshot.ruleset.tables[result.decision.table];
        const ruleset::Chain& chain = table.chains[result.decision.chain];
        hop.decided_by->text =
            print::rule_text(table, chain.rules[result.decision.rule], snapshot.host.ipset_numbers);
      }
    }
    hop.reason = result.reason;
    if (explain) list_tried(hop, snapshot, result);
    hops.push_back(std::move(hop));
  }
  return hops;
}

// What comes by a port of a bridge, IP and its chains know as the bridge's (br_pass_frame_up()), a
// bond's as the bond's: to ask about the port is to ask about no packet.
std::optional<Hop> port_of_a_switch(const ruleset::Host& host, const FlowEnd& end) {
  constexpr std::array<std::string_view, 5> kSwitches = {"bridge", "bond", "team", "hsr",
                                                         "openvswitch"};
  if (end.packet.is_bridged) return std::nullopt;
  const auto device_named = [&](std::string_view name) {
    return std::ranges::find(host.interfaces, name, &ruleset::Interface::device);
  };
  for (const std::string& name : {end.packet.in_device, end.packet.out_device}) {
    const auto port = device_named(name);
    if (port == host.interfaces.end() || port->master.empty()) continue;
    const auto above = device_named(port->master);
    if (above == host.interfaces.end() || std::ranges::count(kSwitches, above->kind) == 0) continue;
    Hop hop;
    hop.host = host.name;
    hop.hook = end.arrives ? ruleset::Hook::Prerouting : ruleset::Hook::Output;
    hop.device = end.device;
    hop.verdict = Verdict::Undecided;
    hop.reason = fmt::format(
        "{0} is a port of the {1} {2}, and the rules see {2} in its place: ask by {3}={2}", name,
        above->kind, above->device, name == end.packet.in_device ? "in" : "out");
    return hop;
  }
  return std::nullopt;
}

// Whether at another time of day something else would happen to it.
bool time_decides(eval::Evaluator& evaluator, const FlowEnd& end) {
  eval::Packet whenever = end.packet;
  whenever.time_ns.reset();
  const auto direction = end.arrives ? eval::Direction::Arrive : eval::Direction::Send;
  const eval::Outcomes outcomes = evaluator.outcomes(whenever, direction, {.steps = false});
  return !outcomes.complete || std::ranges::any_of(outcomes.ways, [&](const eval::Journey& way) {
    return way.fate() != outcomes.ways.front().fate();
  });
}

// What the host at this stop says. `settled`: it is the same by every interface.
std::vector<Hop> ask_at(const Stop& stop, const std::string& host, const Teller& teller,
                        bool& settled) {
  std::vector<std::vector<Hop>> answers;
  for (const FlowEnd& end : stop.ends) answers.push_back(teller(end));
  const auto verdict = [](const std::vector<Hop>& hops) {
    return hops.empty() ? Verdict::Accept : hops.back().verdict;
  };
  settled = std::ranges::all_of(
      answers, [&](const auto& answer) { return verdict(answer) == verdict(answers.front()); });
  if (settled) return std::move(answers.front());

  Hop hop;
  hop.host = host;
  hop.hook = stop.ends.front().arrives ? ruleset::Hook::Input : ruleset::Hook::Output;
  if (!stop.out.empty() && !stop.in.empty()) hop.hook = ruleset::Hook::Forward;
  hop.verdict = Verdict::Conditional;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    Alternative alternative;
    alternative.add = stop.words[i];
    alternative.verdict = verdict(answers[i]);
    if (!answers[i].empty()) alternative.decided_by = answers[i].back().decided_by;
    hop.alternatives.push_back(std::move(alternative));
  }
  return {std::move(hop)};
}

}  // namespace

bool has_destination_nat(const ruleset::Ruleset& ruleset) {
  return std::ranges::any_of(ruleset.tables, [](const ruleset::Table& table) {
    return std::ranges::any_of(table.chains, [](const ruleset::Chain& chain) {
      return chain.base && chain.base->type == ruleset::ChainType::Nat &&
             chain.base->hook == ruleset::Hook::Prerouting;
    });
  });
}

void list_tried(Hop& hop, const ruleset::Snapshot& snapshot, const eval::HookResult& result) {
  for (const eval::Step& step : result.steps) hop.tried.push_back(tried(snapshot, step));
  hop.tried_left_out = result.steps_left_out;
  hop.tried_before_gap = kMostTried / 2;
}

Verdict verdict_of(eval::Fate fate) {
  switch (fate) {
    case eval::Fate::Accept:
      return Verdict::Accept;
    case eval::Fate::Drop:
      return Verdict::Drop;
    case eval::Fate::Reject:
      return Verdict::Reject;
    case eval::Fate::Stack:
      return Verdict::Stack;
    case eval::Fate::Held:
      return Verdict::Held;
    case eval::Fate::Undecided:
      return Verdict::Undecided;
  }
  return Verdict::Undecided;
}

const eval::HookResult* deciding_hook(const eval::Journey& journey) {
  if (journey.hooks.empty()) return nullptr;
  if (journey.fate() != eval::Fate::Accept) return &journey.hooks.back();
  const eval::HookResult* last = nullptr;
  for (const eval::HookResult& result : journey.hooks) {
    const bool filters = result.hook == ruleset::Hook::Input ||
                         result.hook == ruleset::Hook::Forward ||
                         result.hook == ruleset::Hook::Output;
    if (!result.decided) continue;
    if (filters) return &result;
    last = &result;
  }
  return last != nullptr ? last : &journey.hooks.back();
}

DecidedBy decided_by(const ruleset::Ruleset& ruleset, const ruleset::SourceMap& sources,
                     const eval::Decision& decision) {
  const ruleset::Table& table = ruleset.tables[decision.table];
  const ruleset::Chain& chain = table.chains[decision.chain];
  DecidedBy by;
  by.family = ruleset::name_of(table.family);
  by.table = table.name;
  by.chain = chain.name;
  if (decision.rule == eval::Decision::kPolicy) {
    by.chain_policy = true;
    return by;
  }
  const ruleset::Rule& rule = chain.rules[decision.rule];
  if (rule.handle != 0) by.handle = rule.handle;
  by.rule = rule_id(sources, chain, rule);
  by.is_excess = ruleset::is_own(table) && ruleset::is_excess(chain, decision.rule);
  if (const auto source = sources.find(by.rule); source != sources.end()) {
    by.file = source->second.file;
    by.line = source->second.line;
    by.column = source->second.column;
  }
  return by;
}

bool audits(const policy::Policy& policy) {
  return policy.defaults.mode == policy::Mode::Audit ||
         std::any_of(policy.files.begin(), policy.files.end(), [](const policy::RuleFile& file) {
           return file.defaults.mode == policy::Mode::Audit;
         });
}

Site::Site(const policy::Policy& policy, policy::Date date)
    : policy_(&policy), date_(date), ends_(policy) {
  if (!audits(policy)) return;
  enforcing_ = policy;
  enforcing_.defaults.mode = policy::Mode::Enforce;
  for (policy::RuleFile& file : enforcing_.files) file.defaults.mode.reset();
  policy_ = &enforcing_;
}

Site::Site(const policy::Policy& policy, ruleset::Snapshot snapshot)
    : policy_(&policy), date_(), ends_(policy) {
  CHECK(policy.hosts.size() == 1, "a ruleset without a policy is one host's");
  add(0, std::move(snapshot));
}

void Site::add(Index host, ruleset::Snapshot snapshot) {
  auto entry = std::make_unique<Compiled>();
  entry->snapshot = std::move(snapshot);
  const ruleset::Host& machine = entry->snapshot.host;
  entry->evaluator = std::make_unique<eval::Evaluator>(entry->snapshot.ruleset, machine);
  entry->addresses =
      net::AddressSet::from(machine.addresses) | net::AddressSet::from(machine.virtual_addresses);
  entry->translates = has_destination_nat(entry->snapshot.ruleset);
  hosts_[host] = std::move(entry);
}

Site::Compiled& Site::compiled(Index host) {
  if (!hosts_.contains(host)) add(host, compile::compile(*policy_, host, {date_, true}));
  return *hosts_[host];
}

const ruleset::Snapshot& Site::snapshot(Index host) {
  return compiled(host).snapshot;
}

std::vector<Hop> Site::run(const FlowEnd& end, bool explain) {
  Compiled& host = compiled(end.host);
  if (auto port = port_of_a_switch(host.snapshot.host, end)) return {std::move(*port)};
  eval::Options options;
  options.steps = explain;
  options.explain = explain;
  options.most_steps = kMostTried;
  options.note_reads = true;
  eval::Packet packet = end.packet;
  eval::Journey journey =
      end.arrives ? host.evaluator->arrive(packet, options) : host.evaluator->send(packet, options);
  if ((journey.reads.user || journey.reads.group) && is_sent_by_program(packet)) {
    const eval::Reads asked = journey.reads;
    packet.user = packet.group = kUnnamed;
    journey = host.evaluator->send(packet, options);
    journey.reads.user = asked.user;
    journey.reads.group = asked.group;
  }
  std::vector<Hop> hops = to_hops(host.snapshot, journey, end, explain);
  if (!hops.empty()) hops.back().assumed = what_was_open(packet, journey);
  if (!hops.empty() && journey.reads.time && time_decides(*host.evaluator, end)) {
    hops.back().assumed.push_back(fmt::format("time={}", format_moment(*end.packet.time_ns)));
  }
  if (!journey.conditions.empty()) {
    const auto direction = end.arrives ? eval::Direction::Arrive : eval::Direction::Send;
    weigh(hops, host.evaluator->outcomes(packet, direction, {.steps = false, .note_reads = true}),
          host.snapshot, &packet);
  }
  if (end.arrives) weigh_offloaded(hops, host.snapshot.ruleset, end.packet);
  if (!hops.empty() && hops.back().verdict == Verdict::Accept) {
    std::string carried = assumed_of_tunnel(host.snapshot.host, journey.after.out_device);
    if (!carried.empty()) hops.back().assumed.push_back(std::move(carried));
  }
  const ruleset::Beside& beside = host.snapshot.beside;
  if (!hops.empty() && !beside.is_empty()) {
    for (std::string& each : assumed_of(beside, end.packet)) {
      hops.back().assumed.push_back(std::move(each));
    }
    weigh(hops, beside, end.packet, journey.after);
  }
  return hops;
}

Answer Site::ask_with(const Sample& sample, const Teller& teller) {
  Answer answer;
  Sample asked = sample;
  bool comes_through = true;
  bool in_is_said = false;
  for (const Stop& stop : way_of(sample)) {
    bool settled = true;
    std::vector<Hop> hops =
        ask_at(stop, compiled(stop.ends.front().host).snapshot.host.name, teller, settled);
    const auto said = [&](const std::string& interface) {
      return settled ? interface : std::string();
    };
    if (!stop.ends.front().arrives) {
      if (!sample.through) asked.out = said(stop.out);
    } else if (!in_is_said) {
      in_is_said = true;
      asked.in = said(stop.in);
      if (sample.through || !sample.sender) asked.out = said(stop.out);
    }
    const bool came_back =
        !stop.ends.front().arrives && std::ranges::any_of(hops, [](const Hop& hop) {
          return hop.hook == ruleset::Hook::Prerouting || hop.hook == ruleset::Hook::Input;
        });
    for (Hop& hop : hops) {
      note_assumed(hop.assumed, sample, answer.assumed);
      const Verdict verdict = hop.verdict;
      (comes_through ? answer.hops : answer.beyond).push_back(std::move(hop));
      if (comes_through && verdict != Verdict::Accept) {
        answer.verdict = verdict;
        comes_through = false;
      }
    }
    if (came_back) break;  // its rules turned it to itself: nobody else gets it
  }
  answer.packet = to_words(asked);
  return answer;
}

bool Site::is_surely_denied(const Sample& sample) {
  eval::Options options;
  options.steps = false;
  return std::ranges::any_of(way_of(sample), [&](const Stop& stop) {
    if (stop.ends.size() != 1) return false;  // it depends on the interface
    const FlowEnd& end = stop.ends.front();
    eval::Evaluator& evaluator = *compiled(end.host).evaluator;
    const eval::Journey journey =
        end.arrives ? evaluator.arrive(end.packet, options) : evaluator.send(end.packet, options);
    const eval::Fate fate = journey.fate();
    return journey.conditions.empty() && (fate == eval::Fate::Drop || fate == eval::Fate::Reject);
  });
}

Answer Site::ask(const Sample& sample, bool explain) {
  return ask_with(sample, [&](const FlowEnd& end) { return run(end, explain); });
}

policy::Policy policy_of(const ruleset::Host& host) {
  policy::Policy policy;
  policy::Host entry;
  entry.name = host.name;
  entry.addresses = host.addresses;
  entry.virtual_addresses = host.virtual_addresses;
  for (const ruleset::Interface& interface : host.interfaces) {
    const auto same = std::find_if(entry.interfaces.begin(), entry.interfaces.end(),
                                   [&](const auto& other) { return other.name == interface.name; });
    if (same != entry.interfaces.end()) {
      same->devices.push_back(interface.device);
      continue;
    }
    entry.interfaces.push_back({interface.name, {interface.device}, interface.behind, {}});
  }
  policy.names.emplace(entry.name, policy::Named{policy::TermKind::Host, 0, {}});
  policy.hosts.push_back(std::move(entry));
  policy.site_addresses = policy.hosts.front().all_addresses();
  policy.internet = net::AddressSet::all() - policy.site_addresses;
  return policy;
}

}  // namespace rolewall::ask
