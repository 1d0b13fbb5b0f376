#include "ask/rejected.h"

#include <algorithm>

#include "ask/packet_parts.h"
#include "base/time.h"
#include "eval/wire.h"
#include "net/protocol.h"

namespace rolewall::ask {
namespace {

// Of the packet that this one answers, as far as it says.
std::optional<eval::Tuple> asked_by(const eval::Packet& packet) {
  const bool ipv6 = is_ipv6(packet);
  eval::Tuple tuple;
  if (const auto quoted = eval::packet_in_error(packet.bytes, ipv6)) {
    return eval::tuple_of(*quoted, ipv6, tuple) ? std::optional(tuple) : std::nullopt;
  }
  const auto sample = sample_of(packet);
  const bool resets = sample && sample->fields.protocol == net::protocol::kTcp &&
                      (sample->fields.tcp_flags & eval::kRst) != 0;
  if (!resets || !eval::tuple_of(packet.bytes, ipv6, tuple)) return std::nullopt;
  return eval::invert(tuple);
}

}  // namespace

void Rejected::note(const eval::Packet& packet, Way way, std::uint64_t now_ns) {
  // It is answered at once: so many others at most are between.
  constexpr std::size_t kMostBetween = 256;
  eval::Tuple tuple;
  if (!eval::tuple_of(packet.bytes, is_ipv6(packet), tuple)) return;
  if (noted_.size() == kMostBetween) noted_.pop_front();
  noted_.push_back({tuple, way, now_ns});
}

std::optional<Rejected::Way> Rejected::answered_by(const eval::Packet& packet,
                                                   std::uint64_t now_ns) const {
  constexpr std::uint64_t kAtOnce = kNsPerSecond;
  if (noted_.empty() || is_fragment(packet) || !has_header(packet)) return std::nullopt;
  const auto asked = asked_by(packet);
  if (!asked) return std::nullopt;
  const auto found = std::ranges::find_if(noted_.rbegin(), noted_.rend(), [&](const Noted& noted) {
    return noted.at_ns + kAtOnce >= now_ns && noted.tuple == *asked;
  });
  return found == noted_.rend() ? std::nullopt : std::optional(found->way);
}

}  // namespace rolewall::ask
