#include "ask/capture.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "ask/conditions.h"
#include "ask/site.h"
#include "eval/dissect.h"
#include "eval/fragments.h"
#include "eval/wire.h"
#include "net/protocol.h"

namespace rolewall::ask {
namespace {

// Between a capture's time of a packet and the moment at which the rules see it: a softirq's delay.
constexpr std::uint64_t kClockErrorNs = 1'000'000;

// What the words of a packet say of it; absent where its headers are not whole.
std::optional<Sample> sample_of(const eval::Packet& packet) {
  const eval::ByteSpan bytes = packet.bytes;
  const bool ipv6 = packet.ether_type == eval::kEtherTypeIpv6;
  const auto headers = ipv6 ? eval::dissect_ipv6_checked(bytes) : eval::dissect_ipv4_checked(bytes);
  if (!headers || !headers->has_protocol) return std::nullopt;
  Sample sample;
  eval::PacketFields& fields = sample.fields;
  if (ipv6) {
    fields.source = net::ipv6_from_bytes(bytes.data() + eval::ipv6::kSource);
    fields.destination = net::ipv6_from_bytes(bytes.data() + eval::ipv6::kDestination);
    fields.ttl = bytes[eval::ipv6::kHopLimit];
  } else {
    fields.source = net::ipv4_from_bytes(bytes.data() + eval::ipv4::kSource);
    fields.destination = net::ipv4_from_bytes(bytes.data() + eval::ipv4::kDestination);
    fields.ttl = bytes[eval::ipv4::kTtl];
  }
  fields.protocol = headers->protocol;
  fields.length = static_cast<std::uint32_t>(bytes.size());
  if (headers->fragment_offset != 0) {
    fields.fragment_offset = static_cast<std::uint16_t>(headers->fragment_offset * 8);
    return sample;
  }
  const eval::ByteSpan transport =
      bytes.subspan(std::min<std::size_t>(headers->transport, bytes.size()));
  if (net::has_ports(fields.protocol)) {
    if (transport.size() < 4) return std::nullopt;
    fields.source_port = eval::be16(transport.data());
    fields.destination_port = eval::be16(transport.data() + 2);
    if (fields.protocol == net::protocol::kTcp && transport.size() >= 14) {
      fields.tcp_flags = transport[13];
    }
  } else if (transport.size() >= 2) {
    fields.icmp_type = transport[0];
    fields.icmp_code = transport[1];
  }
  return sample;
}

bool is_fragment(const eval::Packet& packet) {
  const bool ipv6 = packet.ether_type == eval::kEtherTypeIpv6;
  return ipv6 ? eval::has_fragment_header(packet.bytes) : eval::is_ipv4_fragment(packet.bytes);
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

}  // namespace

Conversation::Conversation(const ruleset::Snapshot& snapshot, TakenOn taken_on)
    : snapshot_(snapshot),
      taken_on_(std::move(taken_on)),
      evaluator_(snapshot.ruleset, snapshot.host) {
  std::vector<net::Prefix> own = snapshot.host.addresses;
  own.insert(own.end(), snapshot.host.virtual_addresses.begin(),
             snapshot.host.virtual_addresses.end());
  own_ = net::AddressSet::from(own);
}

// The host's own packets are told by their source, where the capture does not say.
eval::Direction Conversation::direction_of(const eval::CapturedPacket& captured,
                                           const std::optional<Sample>& sample) const {
  if (taken_on_.direction) return *taken_on_.direction;
  const bool sent = captured.outgoing || (sample && own_.contains(sample->fields.source) &&
                                          !own_.contains(sample->fields.destination));
  return sent ? eval::Direction::Send : eval::Direction::Arrive;
}

CapturedAnswer Conversation::ask(eval::CapturedPacket& captured) {
  eval::Packet& packet = captured.packet;
  auto sample = sample_of(packet);
  const eval::Direction direction = direction_of(captured, sample);
  const bool sent = direction == eval::Direction::Send;
  (sent ? packet.out_device : packet.in_device) = taken_on_.device;
  CapturedAnswer answer;
  if (sample) {
    (sent ? sample->out : sample->in) = taken_on_.device;
    answer.packet = in_words(*sample);
  } else {
    answer.packet = fmt::format("an IP packet of {} bytes, {}={}", packet.bytes.size(),
                                sent ? "out" : "in", taken_on_.device);
  }
  // Frames in a capture may be a little out of order; a clock is not.
  now_ns_ = std::max(now_ns_, captured.time_ns);
  const eval::Options how{.steps = false,
                          .keep_state = true,
                          .now_ns = now_ns_,
                          .clock_error_ns = kClockErrorNs,
                          .trust_checksums = taken_on_.trust_checksums};
  const eval::Outcomes outcomes = evaluator_.next(packet, direction, how);
  const eval::Journey& journey = outcomes.ways.front();
  if (is_fragment(packet) && !is_fragment(journey.after)) {
    // It was the last of its datagram, which is what the rules have seen.
    if (auto whole = sample_of(journey.after)) {
      whole->in = sample ? sample->in : "";
      whole->out = sample ? sample->out : "";
      answer.packet = in_words(*whole) + ", put together of fragments";
    }
  }
  answer.as_taken = verdict_of(journey.fate());
  answer.conditions = journey.conditions;
  Hop hop;
  hop.verdict = answer.as_taken;
  if (const eval::HookResult* deciding = deciding_hook(journey)) {
    hop.hook = deciding->hook;
    hop.reason = deciding->reason;
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

}  // namespace rolewall::ask
