#include "ask/site.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "compile/compile.h"
#include "ruleset/names.h"

namespace rolewall::ask {
namespace {

using policy::Index;

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
    case eval::Fate::Undecided:
      return Verdict::Undecided;
  }
  return Verdict::Undecided;
}

// A rule's id: its comment, or for a rule inside a policy rule's own chain that chain's name.
std::string rule_id(const ruleset::SourceMap& sources, const ruleset::Chain& chain,
                    const ruleset::Rule& rule) {
  if (!rule.comment.empty()) return rule.comment;
  return sources.contains(chain.name) ? chain.name : "";
}

// "" where the rule decided nothing.
std::string in_words(const ruleset::Verdict& verdict, const ruleset::Rule& rule) {
  if (verdict.code == ruleset::VerdictCode::Continue) return "";
  const bool rejects = std::any_of(rule.exprs.begin(), rule.exprs.end(), [](const auto& expr) {
    return std::holds_alternative<ruleset::Reject>(expr);
  });
  if (verdict.code == ruleset::VerdictCode::Drop && rejects) return "reject";
  std::string words(ruleset::name_of(verdict.code));
  if (!verdict.chain.empty()) words += " " + verdict.chain;
  return words;
}

Tried tried(const ruleset::Snapshot& snapshot, const eval::Step& step) {
  const ruleset::Table& table = snapshot.ruleset.tables[step.table];
  const ruleset::Chain& chain = table.chains[step.chain];
  Tried tried;
  tried.table = fmt::format("{} {}", ruleset::name_of(table.family), table.name);
  tried.chain = chain.name;
  tried.rule = rule_id(snapshot.sources, chain, chain.rules[step.rule]);
  if (tried.rule.empty()) tried.rule = fmt::format("rule {}", step.rule + 1);
  if (const auto source = snapshot.sources.find(tried.rule); source != snapshot.sources.end()) {
    tried.file = source->second.file;
    tried.line = source->second.line;
  }
  tried.matched = step.matched;
  tried.why = step.why;
  if (step.matched) tried.verdict = in_words(step.verdict, chain.rules[step.rule]);
  return tried;
}

eval::Packet to_packet(const Sample& sample, const ruleset::Interface& interface, bool arrives) {
  eval::Packet packet = eval::build(sample.fields);
  packet.ct_state = sample.ct_state;
  if (!arrives) {
    packet.out_device = interface.device;
    packet.user = sample.user;
    return packet;
  }
  packet.in_device = interface.device;
  const net::Address& destination = sample.fields.destination;
  if (const auto* ipv4 = std::get_if<net::Ipv4>(&destination)) {
    if (ipv4->value >> 28 == 0xe) packet.type = eval::PacketType::Multicast;
    if (ipv4->value == 0xffffffff) packet.type = eval::PacketType::Broadcast;
  } else if (std::get<net::Ipv6>(destination).value >> 120 == 0xff) {
    packet.type = eval::PacketType::Multicast;
  }
  return packet;
}

std::vector<Hop> to_hops(const ruleset::Snapshot& snapshot, const eval::Journey& journey,
                         const std::string& device, bool explain) {
  std::vector<Hop> hops;
  for (const eval::HookResult& result : journey.hooks) {
    Hop hop;
    hop.host = snapshot.host.name;
    hop.hook = result.hook;
    hop.device = device;
    hop.verdict = verdict_of(result.fate);
    if (result.decided) {
      hop.decided_by = decided_by(snapshot.ruleset, snapshot.sources, result.decision);
    }
    hop.reason = result.reason;
    if (explain) {
      for (const eval::Step& step : result.steps) hop.tried.push_back(tried(snapshot, step));
    }
    hops.push_back(std::move(hop));
  }
  return hops;
}

}  // namespace

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

Site::Site(const policy::Policy& policy, policy::Date date) : policy_(&policy), date_(date) {
  if (!audits(policy)) return;
  enforcing_ = policy;
  enforcing_.defaults.mode = policy::Mode::Enforce;
  for (policy::RuleFile& file : enforcing_.files) file.defaults.mode.reset();
  policy_ = &enforcing_;
}

Site::Site(const policy::Policy& policy, ruleset::Snapshot snapshot) : policy_(&policy), date_() {
  CHECK(policy.hosts.size() == 1, "a ruleset without a policy is one host's");
  auto host = std::make_unique<Compiled>();
  host->snapshot = std::move(snapshot);
  host->evaluator = std::make_unique<eval::Evaluator>(host->snapshot.ruleset, host->snapshot.host);
  hosts_.emplace(0, std::move(host));
}

Site::Compiled& Site::compiled(Index host) {
  auto& entry = hosts_[host];
  if (!entry) {
    entry = std::make_unique<Compiled>();
    entry->snapshot = compile::compile(*policy_, host, {date_, true});
    entry->evaluator =
        std::make_unique<eval::Evaluator>(entry->snapshot.ruleset, entry->snapshot.host);
  }
  return *entry;
}

const ruleset::Snapshot& Site::snapshot(Index host) {
  return compiled(host).snapshot;
}

std::vector<Hop> Site::run(const FlowEnd& end, bool explain) {
  Compiled& host = compiled(end.host);
  eval::Options options;
  options.steps = explain;
  options.explain = explain;
  const eval::Journey journey = end.arrives ? host.evaluator->arrive(end.packet, options)
                                            : host.evaluator->send(end.packet, options);
  return to_hops(host.snapshot, journey, end.device, explain);
}

std::vector<Hop> Site::ask_host(Index index, const Sample& sample, bool arrives,
                                const Teller& teller, std::string& interface) {
  const ruleset::Host& host = compiled(index).snapshot.host;
  const std::string& given = arrives ? sample.in : sample.out;
  const net::Address& far = arrives ? sample.fields.source : sample.fields.destination;
  const auto choices = interfaces_for(host, far, given);
  interface = choices.front().name;

  std::vector<std::vector<Hop>> answers;
  for (const ruleset::Interface& choice : choices) {
    answers.push_back(teller({index, choice.device, arrives, to_packet(sample, choice, arrives)}));
  }
  const auto verdict = [](const std::vector<Hop>& hops) {
    return hops.empty() ? Verdict::Accept : hops.back().verdict;
  };
  const bool agree = std::all_of(answers.begin(), answers.end(), [&](const auto& answer) {
    return verdict(answer) == verdict(answers.front());
  });
  if (agree) return std::move(answers.front());

  interface.clear();
  Hop hop;
  hop.host = host.name;
  hop.hook = arrives ? ruleset::Hook::Input : ruleset::Hook::Output;
  hop.verdict = Verdict::Conditional;
  // Devices of one interface are told apart by their own names.
  const auto shares_name = [&](const ruleset::Interface& choice) {
    return std::count_if(choices.begin(), choices.end(),
                         [&](const auto& other) { return other.name == choice.name; }) > 1;
  };
  for (std::size_t i = 0; i < choices.size(); ++i) {
    Alternative alternative;
    alternative.add = fmt::format("{}={}", arrives ? "in" : "out",
                                  shares_name(choices[i]) ? choices[i].device : choices[i].name);
    alternative.verdict = verdict(answers[i]);
    if (!answers[i].empty()) alternative.decided_by = answers[i].back().decided_by;
    hop.alternatives.push_back(std::move(alternative));
  }
  return {std::move(hop)};
}

Answer Site::ask_with(const Sample& sample, const Teller& teller) {
  Answer answer;
  Sample asked = sample;
  bool comes_through = true;
  const auto ask_end = [&](Index host, bool arrives) {
    std::string interface;
    std::vector<Hop> hops = ask_host(host, sample, arrives, teller, interface);
    (arrives ? asked.in : asked.out) = interface;
    for (Hop& hop : hops) {
      const Verdict verdict = hop.verdict;
      (comes_through ? answer.hops : answer.beyond).push_back(std::move(hop));
      if (comes_through && verdict != Verdict::Accept) {
        answer.verdict = verdict;
        comes_through = false;
      }
    }
  };
  if (sample.sender) ask_end(*sample.sender, false);
  if (sample.receiver) ask_end(*sample.receiver, true);
  answer.packet = to_words(asked);
  return answer;
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
