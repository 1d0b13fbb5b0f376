#include "ask/capture.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "ask/conditions.h"
#include "ask/open_before.h"
#include "ask/packet_parts.h"
#include "ask/site.h"
#include "ask/translations.h"
#include "eval/checksum.h"
#include "eval/dissect.h"
#include "eval/fragments.h"
#include "eval/frame.h"
#include "eval/wire.h"
#include "net/protocol.h"
#include "ruleset/expr.h"

namespace rolewall::ask {
namespace {

constexpr std::uint32_t kLoopbackIndex = 1;  // in every namespace (net/core/dev.c)

// Between a capture's time of a packet and the moment at which the rules see it: a softirq's delay.
constexpr std::uint64_t kClockErrorNs = 1'000'000;

// As it was before this host passed it on. The frame's addresses are another's.
void add_hop(eval::Packet& packet) {
  packet.link.clear();
  packet.type = eval::PacketType::Host;
  std::vector<std::uint8_t>& bytes = packet.bytes;
  std::uint8_t& hops = bytes[is_ipv6(packet) ? eval::ipv6::kHopLimit : eval::ipv4::kTtl];
  if (hops != 255) ++hops;
  if (is_ipv6(packet)) return;
  eval::put_be16(bytes.data() + eval::ipv4::kChecksum, 0);
  const std::size_t size = std::min<std::size_t>((bytes[0] & 0xfU) * 4U, bytes.size());
  eval::put_be16(bytes.data() + eval::ipv4::kChecksum,
                 eval::internet_checksum(eval::ByteSpan(bytes).first(size)));
}

// A later fragment has neither ports nor flags.
std::string in_words(const Sample& sample) {
  const eval::PacketFields& fields = sample.fields;
  if (fields.fragment_offset == 0) return to_words(sample);
  std::string words = fmt::format("protocol/{} {} > {}", fields.protocol,
                                  net::format(fields.source), net::format(fields.destination));
  if (!sample.in.empty()) words += fmt::format(" in={}", sample.in);
  if (!sample.out.empty()) words += fmt::format(" out={}", sample.out);
  return words + fmt::format(", a fragment from byte {}", fields.fragment_offset);
}

// Copies come through output of their own, or through no hook of the IP stack's.
bool makes_copies(const ruleset::Ruleset& ruleset) {
  return std::ranges::any_of(ruleset.tables, [](const ruleset::Table& table) {
    return std::ranges::any_of(table.chains, [](const ruleset::Chain& chain) {
      return std::ranges::any_of(chain.rules, [](const ruleset::Rule& rule) {
        return std::ranges::any_of(rule.exprs, [](const ruleset::Expr& expr) {
          const auto* target = std::get_if<ruleset::XtTarget>(&expr);
          return std::holds_alternative<ruleset::Dup>(expr) ||
                 (target != nullptr && target->name == "TEE");
        });
      });
    });
  });
}

}  // namespace

Conversation::Conversation(const ruleset::Snapshot& snapshot, TakenOn taken_on)
    : snapshot_(snapshot),
      taken_on_(std::move(taken_on)),
      evaluator_(snapshot.ruleset, snapshot.host),
      sightings_(snapshot.host, taken_on_,
                 evaluator_.translates(false) || evaluator_.translates(true)),
      makes_copies_(makes_copies(snapshot.ruleset)) {}

// Of a flow that is not known: a new one, as far as anything tells.
Conversation::Question Conversation::as_sent(const eval::Packet& packet) const {
  Question question{packet, eval::Direction::Send, ""};
  const bool ipv6 = is_ipv6(packet);
  // It has left: the rules of a running machine have not denied it.
  if (asks_for_an_address(packet) || !snapshot_.host.kernel.empty()) {
    question.doubt_if_denied = "that it passes output: what a packet socket sends does not";
  }
  const bool of_another = is_fragment(packet) || eval::packet_in_error(packet.bytes, ipv6);
  if (evaluator_.translates_on_the_way_out(ipv6) || (of_another && evaluator_.translates(ipv6))) {
    question.doubt = sightings_.forwards(ipv6)
                         ? "whether this host sent it, or translated what another had sent"
                         : "what it was before it was translated";
  } else if (is_fragment(packet) && !evaluator_.reassembles(ipv6)) {
    question.doubt = "what the rules have seen of its datagram, which is cut behind them";
  }
  return question;
}

// The same of another host's; absent where it has come by this device, so that the capture shows
// that, too.
std::optional<Conversation::Question> Conversation::as_forwarded(const eval::Packet& packet) const {
  const std::vector<std::string> sources = sightings_.devices_towards(source_of(packet));
  const std::vector<std::string> others = sightings_.other_devices();
  const auto other = std::ranges::find_if(
      sources, [&](const std::string& device) { return device != taken_on_.device; });
  const bool came_here = others.empty() || (other == sources.end() && !sources.empty());
  const bool translates = evaluator_.translates(is_ipv6(packet));
  if (came_here) return translates ? std::optional(as_sent(packet)) : std::nullopt;
  Question question{packet, eval::Direction::Arrive, ""};
  add_hop(question.packet);
  question.packet.in_device = other == sources.end() ? others.front() : *other;
  if (translates) {
    question.doubt = "what it was before it was translated";
  } else if (others.size() > 1 || sources.size() > 1) {
    question.doubt = "the device that it came by";
  }
  return question;
}

void Conversation::expect(const eval::Journey& journey) {
  // It leaves at once: so many others at most are between.
  constexpr std::size_t kMostBetween = 64;
  if (expected_.size() == kMostBetween) expected_.pop_front();
  expected_.push_back({content(journey.after), journey.knows_after});
}

bool Conversation::is_expected(const eval::Packet& packet) {
  constexpr std::size_t kTcpUpToAcknowledgement = 12;
  const auto bytes = content(packet);
  const std::size_t header = is_ipv6(packet) ? eval::ipv6::kHeaderSize : eval::ipv4::kHeaderSize;
  const auto found = std::ranges::find_if(expected_, [&](const Expected& expected) {
    if (expected.whole || expected.content.size() != bytes.size()) return expected.content == bytes;
    const std::size_t size = std::min(bytes.size(), header + kTcpUpToAcknowledgement);
    return std::equal(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size),
                      expected.content.begin());
  });
  if (found == expected_.end()) return false;
  expected_.erase(found);
  return true;
}

// Absent: it has been asked about when it came.
std::optional<Conversation::Question> Conversation::question_of(const eval::Packet& packet,
                                                                Seen seen) {
  if (seen != Seen::Leaving) {
    const bool ipv6 = is_ipv6(packet);
    Question question{packet, eval::Direction::Arrive, ""};
    if (seen == Seen::Either) {
      question.doubt = "that it arrives, and does not leave";
    } else if (evaluator_.translates(ipv6) && eval::packet_in_error(packet.bytes, ipv6) &&
               !evaluator_.has_answered(packet, now_ns_)) {
      question.doubt = "that it is about no connection which the capture does not show";
    } else if (sightings_.may_be_for_another()) {
      question.doubt = "that its frame was for this host, whose link address has not been seen yet";
    }
    return question;
  }
  if (!has_header(packet)) return Question{packet, eval::Direction::Send, ""};
  if (const auto way = rejected_.answered_by(packet, now_ns_)) {
    Question question = as_sent(packet);
    if (*way == Rejected::Way::Device) {
      question.doubt = "that it passes output, and not egress alone";
    } else if (evaluator_.translates(is_ipv6(packet))) {
      question.doubt = "what it was before it was translated";
    }
    return question;
  }
  if (is_expected(packet)) return std::nullopt;
  const bool all_are_sent = taken_on_.direction.has_value();
  if (auto origin = evaluator_.origin_of(packet, now_ns_);
      origin && (!origin->forwarded || !all_are_sent)) {
    if (!origin->forwarded) {
      Question question{std::move(origin->packet), eval::Direction::Send, ""};
      // A packet that belongs to no connection may bear a translated one's addresses.
      const bool may_be_anothers = !all_are_sent && sightings_.forwards(is_ipv6(packet)) &&
                                   !sightings_.is_own(source_of(packet)) &&
                                   !sightings_.other_devices().empty();
      if (may_be_anothers) question.doubt_if_denied = "that this host has not passed it on";
      return question;
    }
    if (origin->packet.in_device == taken_on_.device) {
      Question question = as_sent(packet);
      question.doubt = "that this host has not passed it on";
      return question;
    }
    Question question{std::move(origin->packet), eval::Direction::Arrive, "",
                      "what other devices have shown of its connection"};
    add_hop(question.packet);
    if (sightings_.other_devices().size() > 1) question.doubt = "the device that it came by";
    return question;
  }
  const bool passed_on = !all_are_sent && sightings_.forwards(is_ipv6(packet)) &&
                         !sightings_.is_own(source_of(packet)) && may_be_forwarded(packet);
  return passed_on ? as_forwarded(packet) : as_sent(packet);
}

// Of a packet whose flow the capture has not shown: whether the answer would be another, had the
// connection been open before.
bool Conversation::hangs_on_what_was_before(const Question& question, eval::Fate fate) {
  const bool shows_both_ways = !taken_on_.direction.has_value();
  const auto state = state_if_open_before(
      question.packet,
      shows_both_ways ? std::optional(now_ns_ - began_ns_.value_or(now_ns_)) : std::nullopt);
  if (!state) return false;
  eval::Packet packet = question.packet;
  packet.ct_state = *state;
  if (!apart_) apart_ = std::make_unique<eval::Evaluator>(snapshot_.ruleset, snapshot_.host);
  const eval::Outcomes outcomes =
      apart_->outcomes(packet, question.direction, {.now_ns = now_ns_, .trust_checksums = true});
  return std::ranges::any_of(outcomes.ways,
                             [&](const eval::Journey& way) { return way.fate() != fate; });
}

// What becomes of a packet that a rule has rejected: this host answers it.
void Conversation::note_rejected(const eval::Packet& packet, const eval::Journey& journey) {
  if (journey.fate() != eval::Fate::Reject) return;
  const eval::HookResult* deciding = deciding_hook(journey);
  if (deciding == nullptr || !deciding->decided) return;
  const auto family = snapshot_.ruleset.tables[deciding->decision.table].family;
  rejected_.note(packet,
                 family == ruleset::Family::Netdev ? Rejected::Way::Device : Rejected::Way::Output,
                 now_ns_);
}

CapturedAnswer Conversation::put(const Question& question, const eval::Packet& seen,
                                 eval::Packet& after) {
  const bool left = !seen.out_device.empty();
  const eval::Options how{
      .steps = taken_on_.explain,
      .most_steps = kMostTried,
      .explain = taken_on_.explain,
      .keep_state = true,
      .now_ns = now_ns_,
      .clock_error_ns = kClockErrorNs,
      .doubtful = !question.doubt.empty(),
      // What this host has passed on, or sent to itself, it has not found wrong.
      .trust_checksums = taken_on_.trust_checksums || left ||
                         seen.in_device == eval::kLoopbackDevice || awaits_checksum(seen)};
  eval::Packet packet = question.packet;
  packet.sender_is_open |= question.direction == eval::Direction::Send;
  packet.may_be_merged = true;
  if (now_ns_ != 0) packet.time_ns = now_ns_;
  const bool is_known = !has_header(packet) || evaluator_.has_answered(packet, now_ns_);
  const eval::Outcomes outcomes = evaluator_.next(packet, question.direction, how);
  const eval::Journey& journey = outcomes.ways.front();
  after = journey.after;
  note_rejected(question.packet, journey);
  const bool is_seen_again =
      taken_on_.each_says ? !after.out_device.empty() : after.out_device == taken_on_.device;
  if (!left && question.direction == eval::Direction::Arrive &&
      journey.fate() == eval::Fate::Accept && is_seen_again) {
    expect(journey);
  }
  CapturedAnswer answer;
  answer.as_taken = verdict_of(journey.fate());
  answer.conditions = journey.conditions;
  const auto assume = [&](std::string about) {
    answer.conditions.push_back({.about = std::move(about), .is = "as captured", .assumed = true});
  };
  if (!question.doubt.empty()) {
    answer.was_translated = !taken_on_.each_says && evaluator_.translates(is_ipv6(seen));
    assume(question.doubt);
  } else if (!question.doubt_if_denied.empty() && answer.as_taken != Verdict::Accept) {
    // Connection tracking has found it right, or it would not have left so.
    assume(question.doubt_if_denied);
  } else if (!is_known && hangs_on_what_was_before(question, journey.fate())) {
    assume("that its connection was not open before the capture");
  } else if (left && journey.knows_after && answer.as_taken == Verdict::Accept &&
             is_fragment(seen) == is_fragment(after) && content(seen) != content(after)) {
    assume("what it was before rules changed it");
  }
  if (journey.takes_group_as_joined) assume("that this host has joined the group");
  for (const std::string& setting : journey.assumed) assume(setting);
  Hop hop;
  hop.verdict = answer.as_taken;
  if (const eval::HookResult* deciding = deciding_hook(journey)) {
    hop.hook = deciding->hook;
    hop.reason = deciding->reason;
    if (taken_on_.explain) list_tried(hop, snapshot_, *deciding);
    if (deciding->decided) {
      hop.decided_by = decided_by(snapshot_.ruleset, snapshot_.sources, deciding->decision);
    }
  }
  std::vector<Hop> hops{std::move(hop)};
  weigh(hops, outcomes, snapshot_, nullptr);
  answer.hop = std::move(hops.front());
  const bool assumes = std::ranges::any_of(answer.conditions, &eval::Condition::assumed);
  if (assumes && answer.as_taken != Verdict::Undecided) answer.hop.verdict = Verdict::Conditional;
  return answer;
}

// What the host sends to itself is seen once, between its way out and its way in.
CapturedAnswer Conversation::put_over_loopback(const eval::Packet& packet) {
  eval::Packet after;
  eval::Packet leaving = packet;
  leaving.in_device.clear();
  leaving.out_device = eval::kLoopbackDevice;
  const auto origin = has_header(packet) ? evaluator_.origin_of(leaving, now_ns_) : std::nullopt;
  CapturedAnswer answer =
      put(origin ? Question{origin->packet, eval::Direction::Send, ""} : as_sent(leaving), leaving,
          after);
  if (answer.as_taken != Verdict::Accept) return answer;
  eval::Packet arriving = packet;
  arriving.mark = after.mark;
  arriving.priority = after.priority;
  arriving.carried = after.carried;
  arriving.sender_is_open = true;  // it keeps what the program has given it
  CapturedAnswer arrived = put({arriving, eval::Direction::Arrive, ""}, arriving, after);
  arrived.conditions.insert(arrived.conditions.begin(), answer.conditions.begin(),
                            answer.conditions.end());
  if (answer.hop.verdict == Verdict::Conditional) {
    arrived.hop.verdict = Verdict::Conditional;
    arrived.hop.alternatives.insert(arrived.hop.alternatives.begin(),
                                    answer.hop.alternatives.begin(), answer.hop.alternatives.end());
  }
  return arrived;
}

// By the interface that the packet itself names, where it names one. Not "": it was none of those
// that are asked.
std::string Conversation::passed_over_by_device(const eval::CapturedPacket& captured) {
  const std::uint32_t index = captured.interface_index;
  const auto& interfaces = snapshot_.host.interfaces;
  const auto found = std::ranges::find(interfaces, index, &ruleset::Interface::index);
  if (index == 0) return "";
  std::string device;
  if (index == kLoopbackIndex) {
    device = eval::kLoopbackDevice;
  } else if (found != interfaces.end()) {
    device = found->device;
  }
  if (taken_on_.each_says) {
    if (device.empty()) {
      return fmt::format("a packet on the interface of index {}, which the host has not", index);
    }
    taken_on_.device = device;
    return "";
  }
  const bool knows_indexes =
      std::ranges::any_of(interfaces, [](const auto& interface) { return interface.index != 0; });
  if (!knows_indexes || device == taken_on_.device) return "";
  return device.empty() ? fmt::format("a packet on the interface of index {}", index)
                        : fmt::format("a packet on {}", device);
}

// An egress chain alone sees the answer of a netdev chain's reject.
bool Conversation::passes_no_chain(const eval::Packet& packet) const {
  if (rejected_.answered_by(packet, now_ns_) != Rejected::Way::Device) return false;
  return std::ranges::none_of(snapshot_.ruleset.tables, [](const ruleset::Table& table) {
    return std::ranges::any_of(table.chains, [](const ruleset::Chain& chain) {
      return chain.base && chain.base->hook == ruleset::Hook::Egress;
    });
  });
}

CapturedAnswer Conversation::ask(eval::CapturedPacket& captured) {
  eval::Packet& packet = captured.packet;
  // Frames in a capture may be a little out of order; a clock is not.
  now_ns_ = std::max(now_ns_, captured.time_ns);
  std::string elsewhere = passed_over_by_device(captured);
  if (!began_ns_) began_ns_ = now_ns_;
  const Seen seen = sightings_.see(captured);
  const bool loopback = taken_on_.device == eval::kLoopbackDevice && !taken_on_.direction;
  const bool left = seen == Seen::Leaving && !loopback;
  (left ? packet.out_device : packet.in_device) = taken_on_.device;
  auto sample = sample_of(packet);
  const auto add_device = [&](Sample& to) { (left ? to.out : to.in) = taken_on_.device; };
  CapturedAnswer answer;
  eval::Packet after = packet;
  if (!elsewhere.empty()) {
    answer.passed_over = std::move(elsewhere);
  } else if (loopback && captured.outgoing) {
    answer.passed_over = "a packet over the loopback, which is seen again as it arrives";
  } else if (loopback) {
    answer = put_over_loopback(packet);
  } else if (left && passes_no_chain(packet)) {
    answer.passed_over = "the answer of a netdev chain's reject, which passes no other chain";
  } else if (auto question = question_of(packet, seen)) {
    if (left && makes_copies_ && question->doubt_if_denied.empty()) {
      question->doubt_if_denied = "that it is no copy, which a rule has sent";
    }
    answer = put(*question, packet, after);
  } else {
    answer.passed_over = "a packet passed on, which was seen as it arrived";
  }
  const bool gathered = is_fragment(packet) && !is_fragment(after);
  // It was the last of its datagram, which is what the rules have seen.
  if (auto whole = gathered ? sample_of(after) : std::nullopt) {
    add_device(*whole);
    answer.packet = in_words(*whole) + ", put together of fragments";
  } else if (sample) {
    add_device(*sample);
    answer.packet = in_words(*sample);
  } else {
    answer.packet = fmt::format("an IP packet of {} bytes, {}={}", packet.bytes.size(),
                                left ? "out" : "in", taken_on_.device);
  }
  return answer;
}

}  // namespace rolewall::ask
