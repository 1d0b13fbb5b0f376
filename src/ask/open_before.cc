#include "ask/open_before.h"

#include "ask/packet_parts.h"
#include "base/time.h"
#include "eval/conntrack.h"
#include "eval/wire.h"
#include "net/protocol.h"
#include "ruleset/expr.h"

namespace rolewall::ask {
namespace {

namespace protocol = net::protocol;
namespace ct_state = ruleset::ct_state;

constexpr std::uint16_t kFirstEphemeral = 32768;  // Linux's

// For how long the kernel keeps a flow that shows no packet; absent: longer than captures last.
std::optional<std::uint64_t> longest_silence(std::uint8_t of) {
  switch (of) {
    case protocol::kTcp:
    case protocol::kSctp:
      return std::nullopt;
    case protocol::kUdp:
    case protocol::kUdpLite:
      return 180 * kNsPerSecond;  // of a stream; newer kernels: 120
    case protocol::kIcmp:
    case protocol::kIcmpv6:
      return 30 * kNsPerSecond;
    default:
      return 600 * kNsPerSecond;
  }
}

// A datagram from a client's port to a service's is no answer.
bool may_be_answer(const eval::PacketFields& fields) {
  constexpr unsigned kSynAck = eval::kSyn | eval::kAck;
  switch (fields.protocol) {
    case protocol::kTcp:
      return (fields.tcp_flags & kSynAck) != eval::kSyn;
    case protocol::kUdp:
    case protocol::kUdpLite:
      return fields.destination_port >= kFirstEphemeral ||
             fields.source_port <= fields.destination_port;
    case protocol::kIcmp:
      return fields.icmp_type == 0 || fields.icmp_type == 14;  // echo, timestamp
    case protocol::kIcmpv6:
      return fields.icmp_type == 129;
    default:
      return true;
  }
}

}  // namespace

std::optional<std::uint32_t> state_if_open_before(const eval::Packet& packet,
                                                  std::optional<std::uint64_t> capture_ns) {
  if (!has_header(packet) || is_fragment(packet)) return std::nullopt;
  if (eval::packet_in_error(packet.bytes, is_ipv6(packet))) return ct_state::kRelated;
  const auto sample = sample_of(packet);
  if (!sample || !may_be_answer(sample->fields)) return std::nullopt;
  const auto silence = longest_silence(sample->fields.protocol);
  if (capture_ns && silence && *capture_ns > *silence) return std::nullopt;
  return ct_state::kEstablished;
}

}  // namespace rolewall::ask
