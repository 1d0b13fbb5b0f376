#include "ask/validation.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "analyze/agreement.h"
#include "ask/packet_parts.h"
#include "ask/sample.h"
#include "ask/site.h"
#include "eval/build.h"
#include "eval/eval.h"
#include "policy/effective.h"

namespace rolewall::ask {
namespace {

using analyze::Direction;
using analyze::Disagreement;
using analyze::Meaning;

Verdict verdict_for(analyze::Fate fate) {
  switch (fate) {
    case analyze::Fate::Accept:
      return Verdict::Accept;
    case analyze::Fate::Drop:
      return Verdict::Drop;
    case analyze::Fate::Reject:
      return Verdict::Reject;
    case analyze::Fate::Stack:
      break;
  }
  return Verdict::Stack;
}

Validation::Side side_of(const Meaning& meaning, const ruleset::SourceMap& sources) {
  Validation::Side side;
  side.verdict = verdict_for(meaning.fate);
  side.decided_by.rule = meaning.by;
  if (const auto line = sources.find(meaning.by); line != sources.end()) {
    side.decided_by.file = line->second.file;
    side.decided_by.line = line->second.line;
    side.decided_by.column = line->second.column;
  }
  side.told = meaning.told;
  const auto add = [&](std::string_view text) {
    side.translated += fmt::format("{}{}", side.translated.empty() ? "" : " ", text);
  };
  if (!meaning.destination.empty() || !meaning.port.empty()) {
    const std::string to = meaning.destination.empty() ? "its port" : meaning.destination;
    add(meaning.port.empty() ? fmt::format("to {}", to)
                             : fmt::format("to {} port {}", to, meaning.port));
  }
  if (!meaning.source.empty()) add(fmt::format("from {}", meaning.source));
  if (!meaning.written.empty()) add(fmt::format("with {} written", meaning.written));
  return side;
}

// Whether the evaluator, too, says of the packet what the ruleset's own expressions came to. Where
// a limit is spent, after the packets that spend it.
bool evaluator_says(const ruleset::Snapshot& snapshot, const Disagreement& found) {
  // A bucket is seldom larger; where it is, the evaluator has no word.
  constexpr int kMostPackets = 2'000;
  eval::Evaluator evaluator(snapshot.ruleset, snapshot.host);
  eval::Options options;
  options.steps = false;
  options.keep_state = !found.where.empty();
  for (int i = 0; i < (options.keep_state ? kMostPackets : 1); ++i) {
    const eval::Journey journey = found.direction == Direction::Arrive
                                      ? evaluator.arrive(found.packet, options)
                                      : evaluator.send(found.packet, options);
    if (verdict_of(journey.fate()) != verdict_for(found.of_ruleset.fate)) continue;
    const eval::HookResult* hook = deciding_hook(journey);
    if (hook == nullptr || !hook->decided) continue;
    const DecidedBy by = decided_by(snapshot.ruleset, snapshot.sources, hook->decision);
    if (by.chain_policy || by.rule == found.of_ruleset.by) return true;
  }
  return false;
}

Validation::Counterexample example_of(const ruleset::Snapshot& snapshot,
                                      const Disagreement& found) {
  Validation::Counterexample example;
  example.arrives = found.direction == Direction::Arrive;
  example.where = found.where;
  example.policy = side_of(found.of_policy, snapshot.sources);
  example.bytecode = side_of(found.of_ruleset, snapshot.sources);
  const eval::Packet& packet = found.packet;
  bool says_all = false;
  if (auto sample = sample_of(packet)) {
    const auto name = [&](const std::string& device) {
      const auto& all = snapshot.host.interfaces;
      const auto at = std::ranges::find(all, device, &ruleset::Interface::device);
      return at == all.end() || at->name.empty() ? device : at->name;
    };
    if (example.arrives) sample->in = name(packet.in_device);
    if (!packet.out_device.empty()) sample->out = name(packet.out_device);
    sample->at = snapshot.host.name;
    sample->ct_state = packet.ct_state;
    sample->user = packet.user;
    example.packet = to_words(*sample);
    says_all = eval::build(sample->fields).bytes == packet.bytes;
  }
  if (!says_all) {
    for (const std::uint8_t byte : packet.bytes) example.bytes += fmt::format("{:02x}", byte);
  }
  return example;
}

// What a policy says and no packet of the space shows.
std::vector<std::string> not_covered(const policy::HostPolicy& host) {
  std::vector<std::string> all;
  bool translates = !host.nat.empty();
  for (const auto* rules : {&host.inbound, &host.outbound, &host.forward}) {
    for (const policy::EffectiveRule& each : *rules) {
      const policy::Rule& rule = *each.rule;
      if (rule.segment_size) all.push_back(fmt::format("the `mss` of {}", rule.full_name));
      if (rule.helper != nullptr) {
        all.push_back(
            fmt::format("to which connections the `helper` of {} is given", rule.full_name));
      }
    }
  }
  if (translates || !host.forward.empty()) {
    all.emplace_back(
        "packets of open connections that were translated, and what is related to them");
  }
  return all;
}

}  // namespace

Validation validate(const policy::Policy& policy, policy::Index host, policy::Date date,
                    const ruleset::Snapshot& snapshot, const analyze::RunTime& run_time,
                    analyze::Budget budget) {
  Validation validation;
  validation.host = policy.hosts[host].name;
  const policy::HostPolicy effective = policy::effective_policy(policy, host, date);
  validation.not_covered = not_covered(effective);
  for (const Direction direction : {Direction::Arrive, Direction::Send}) {
    // Each has a budget of its own.
    analyze::Agreement agreement(snapshot.ruleset, snapshot.host, policy, effective, run_time,
                                 budget);
    const auto found = agreement.find(direction);
    if (!found) {
      validation.outcome = Validation::Outcome::NotProven;
      validation.why = found.error().why;
      continue;  // a packet that refutes it is worth more
    }
    if (!*found) continue;
    Validation::Counterexample example = example_of(snapshot, **found);
    if (!evaluator_says(snapshot, **found)) {
      validation.outcome = Validation::Outcome::NotProven;
      validation.why = fmt::format(
          "by the policy `{}` meets {} by {}, and the analyser says that it meets {} by {}{}; the "
          "evaluator does not say so: please report this mistake of ours",
          example.packet, name_of(example.policy.verdict), example.policy.decided_by.rule,
          name_of(example.bytecode.verdict), example.bytecode.decided_by.rule,
          example.where.empty() ? "" : " where " + example.where.front());
      continue;
    }
    validation.outcome = Validation::Outcome::Refuted;
    validation.counterexample = std::move(example);
    validation.why.clear();
    return validation;
  }
  return validation;
}

}  // namespace rolewall::ask
