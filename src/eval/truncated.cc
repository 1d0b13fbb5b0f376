#include "eval/truncated.h"

#include "eval/dissect.h"
#include "eval/fragments.h"
#include "eval/wire.h"
#include "net/protocol.h"

namespace rolewall::eval {
namespace {

namespace protocol = net::protocol;

constexpr const char* kWithinHeaders = "the capture cut off its headers";

// How many bytes of the transport conntrack reads, where they are all known; 0: all of them.
std::size_t transport_header(ByteSpan transport, std::uint8_t protocol) {
  switch (protocol) {
    case protocol::kTcp:
      return transport.size() < 13 ? 20 : std::size_t{transport[12]} / 16 * 4;
    case protocol::kUdp:
      return 8;
    case protocol::kIcmp:
    case protocol::kIcmpv6: {
      // An error quotes a packet: its header with options, and the ports.
      constexpr std::size_t kQuoted = 8 + 60 + 8;
      const bool query =
          !transport.empty() && (protocol == protocol::kIcmpv6
                                     ? transport[0] >= 128 && transport[0] != 137
                                     : transport[0] == 0 || transport[0] == 8 || transport[0] > 12);
      return query ? 8 : kQuoted;
    }
    case protocol::kSctp:
      return 0;
    default:
      return 8;
  }
}

}  // namespace

const char* truncation_error(const Packet& packet) {
  if (packet.missing == 0) return nullptr;
  const bool ipv6 = packet.ether_type == kEtherTypeIpv6;
  const ByteSpan known = ByteSpan(packet.bytes).first(packet.bytes.size() - packet.missing);
  std::size_t offset = 0;
  std::uint8_t protocol = 0;
  if (ipv6) {
    if (known.size() < ipv6::kHeaderSize) return kWithinHeaders;
    const auto found = skip_ipv6_extensions(known, ipv6::kHeaderSize, known[ipv6::kNextHeader]);
    if (!found || found->offset > known.size()) return kWithinHeaders;
    if (known[ipv6::kNextHeader] == ipv6::kFragmentHeader || found->fragment != 0) {
      return "a fragment that the capture has cut off";
    }
    offset = found->offset;
    protocol = found->protocol;
  } else {
    if (known.size() < ipv4::kHeaderSize || known.size() < ipv4::header_size(known)) {
      return kWithinHeaders;
    }
    if (is_ipv4_fragment(known)) return "a fragment that the capture has cut off";
    offset = ipv4::header_size(known);
    protocol = known[ipv4::kProtocol];
  }
  const std::size_t needed = transport_header(known.subspan(offset), protocol);
  const bool whole = needed != 0 && known.size() - offset >= needed;
  // What is shorter by its own word is not the capture's doing.
  const std::size_t declared = ipv6 ? ipv6::kHeaderSize + be16(known.data() + ipv6::kPayloadLength)
                                    : be16(known.data() + ipv4::kTotalLength);
  return whole || declared <= known.size() ? nullptr : kWithinHeaders;
}

}  // namespace rolewall::eval
