#include "capture_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <variant>

#include "ruleset/expr.h"

namespace rolewall::kernel_judge {
namespace {

// Not those of the wire, so that they must be none that a ruleset names.
constexpr std::array<std::uint8_t, 6> kOwnMac{2, 0, 0, 0, 0, 0x61};
constexpr std::array<std::uint8_t, 6> kTheirMac{2, 0, 0, 0, 0, 0x62};

ask::Verdict verdict_of(sandbox::Fate fate) {
  switch (fate) {
    case sandbox::Fate::Accept:
      return ask::Verdict::Accept;
    case sandbox::Fate::Drop:
      return ask::Verdict::Drop;
    case sandbox::Fate::Reject:
      return ask::Verdict::Reject;
    case sandbox::Fate::Stack:
    case sandbox::Fate::Stolen:
      return ask::Verdict::Stack;
    case sandbox::Fate::Queue:
      break;
  }
  return ask::Verdict::Undecided;
}

}  // namespace

void CaptureView::show(eval::Packet packet, bool leaves, ask::Verdict became, bool arrived_here,
                       std::uint64_t time_ns) {
  Shown shown;
  shown.became = became;
  shown.arrived_here = arrived_here;
  packet.in_device.clear();
  packet.out_device.clear();
  packet.user.reset();
  packet.group.reset();
  packet.link.clear();
  if (link_ == Link::KnownMac || link_ == Link::UnknownMac) {
    const auto& to = leaves ? kTheirMac : kOwnMac;
    const auto& from = leaves ? kOwnMac : kTheirMac;
    packet.link.insert(packet.link.end(), to.begin(), to.end());
    packet.link.insert(packet.link.end(), from.begin(), from.end());
    packet.link.push_back(static_cast<std::uint8_t>(packet.ether_type >> 8));
    packet.link.push_back(static_cast<std::uint8_t>(packet.ether_type));
  }
  shown.packet.number = shown_.size() + 1;
  shown.packet.time_ns = time_ns;
  shown.packet.packet = std::move(packet);
  shown.packet.says_way = link_ == Link::Cooked;
  shown.packet.outgoing = leaves && link_ == Link::Cooked;
  shown_.push_back(std::move(shown));
}

void CaptureView::note(const Question& question, const sandbox::Observation& seen,
                       std::uint64_t time_ns) {
  const bool arrives = !question.outbound && question.packet.in_device == device_;
  if (arrives) show(question.packet, false, verdict_of(seen.fate()), false, time_ns);
  const bool leaves =
      seen.fate() == sandbox::Fate::Accept && seen.after && seen.leaves_by == device_;
  missed_some_ |= !arrives && !leaves;
  missed_denied_ |= !arrives && seen.fate() != sandbox::Fate::Accept;
  if (!leaves) return;
  eval::Packet left = question.packet;
  left.bytes = *seen.after;
  show(std::move(left), true, ask::Verdict::Accept, arrives, time_ns);
}

bool CaptureView::misses_what_is_counted(const ruleset::Ruleset& ruleset) const {
  // When a packet was there is noted after its answer, which is too late for what ends meanwhile.
  const auto has_ends = [](const ruleset::Set& set) { return set.has_timeout; };
  if (std::ranges::any_of(ruleset.tables, [&](const ruleset::Table& table) {
        return std::ranges::any_of(table.sets, has_ends);
      })) {
    return true;
  }
  // The judge's watch stands between the devices' chains: what became of it there is not noted.
  if (std::ranges::any_of(ruleset.tables, [](const ruleset::Table& table) {
        return table.family == ruleset::Family::Netdev;
      })) {
    return true;
  }
  // Connection tracking has seen it, and the connection may have become another.
  if (missed_denied_) return true;
  if (!missed_some_) return false;
  for (const auto& table : ruleset.tables) {
    for (const auto& chain : table.chains) {
      for (const auto& rule : chain.rules) {
        for (const auto& expr : rule.exprs) {
          if (std::holds_alternative<ruleset::Limit>(expr) ||
              std::holds_alternative<ruleset::Quota>(expr) ||
              std::holds_alternative<ruleset::Connlimit>(expr) ||
              std::holds_alternative<ruleset::Numgen>(expr)) {
            return true;
          }
        }
      }
    }
  }
  return false;
}

std::string CaptureView::first_wrong(const ruleset::Snapshot& snapshot, Tally& tally) const {
  ruleset::Snapshot known = snapshot;
  for (ruleset::Interface& interface : known.host.interfaces) {
    interface.mac =
        link_ == Link::KnownMac && interface.device == device_ ? "02:00:00:00:00:61" : "";
  }
  ask::Conversation conversation(known, {.device = device_});
  std::string story;
  for (const Shown& shown : shown_) {
    eval::CapturedPacket packet = shown.packet;
    const ask::CapturedAnswer answer = conversation.ask(packet);
    story += fmt::format("\n    {} {}: {}{}", shown.packet.number, answer.packet,
                         ask::name_of(answer.hop.verdict), answer.passed_over);
    for (const eval::Condition& condition : answer.conditions) {
      story += fmt::format(" ({}: {})", condition.about, condition.is);
    }
    if (!answer.passed_over.empty()) {
      ++tally.passed_over;
      if (shown.arrived_here) continue;
      return fmt::format("packet {} on {} is passed over, and had not arrived there{}",
                         shown.packet.number, device_, story);
    }
    const ask::Verdict verdict = answer.hop.verdict;
    if (verdict == ask::Verdict::Conditional || verdict == ask::Verdict::Undecided) {
      ++tally.conditional;
      continue;
    }
    ++tally.certain;
    if (verdict == shown.became) continue;
    return fmt::format("packet {} on {}: {} for certain, and it became {}{}", shown.packet.number,
                       device_, ask::name_of(verdict), ask::name_of(shown.became), story);
  }
  return "";
}

}  // namespace rolewall::kernel_judge
