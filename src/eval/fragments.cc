#include "eval/fragments.h"

#include <optional>

#include "eval/dissect.h"
#include "net/protocol.h"

namespace rolewall::eval {
namespace {

constexpr std::size_t kFragmentHeaderSize = 8;
constexpr std::ptrdiff_t kLargestPayload = 65535;

struct FragmentHeader {
  std::size_t offset = 0;
  std::size_t named_by = ipv6::kNextHeader;  // the byte that says a fragment header follows
};

// find_prev_fhdr(). Absent: there is none, or it cannot be reached.
std::optional<FragmentHeader> find_fragment_header(ByteSpan packet) {
  FragmentHeader found{.offset = ipv6::kHeaderSize};
  std::uint8_t next = packet[ipv6::kNextHeader];
  while (next != ipv6::kFragmentHeader) {
    if (!is_ipv6_extension(next) || next == ipv6::kNoNextHeader) return std::nullopt;
    if (!readable(packet, found.offset, 2)) return std::nullopt;
    const std::uint8_t* header = packet.data() + found.offset;
    const std::size_t size =
        next == ipv6::kAuthentication ? (header[1] + 2U) * 4U : (header[1] + 1U) * 8U;
    next = header[0];
    found.named_by = found.offset;
    found.offset += size;
  }
  if (found.offset > packet.size()) return std::nullopt;
  return found;
}

// RFC 8200, section 4.5: a first fragment must hold all headers (ipv6frag_thdr_truncated()).
bool lacks_transport_header(ByteSpan packet, std::size_t start) {
  const auto transport = skip_ipv6_extensions(packet, start, ipv6::kFragmentHeader);
  if (!transport || (transport->fragment & 0xfff8) != 0) return false;
  std::size_t needed = 1;
  switch (transport->protocol) {
    case net::protocol::kTcp:
      needed = 20;
      break;
    case net::protocol::kUdp:
    case net::protocol::kIcmpv6:
      needed = 8;
      break;
    default:
      break;
  }
  return transport->offset + needed > packet.size();
}

}  // namespace

bool is_ipv4_fragment(ByteSpan packet) {
  return (be16(packet.data() + ipv4::kFragment) & (ipv4::kMoreFragments | ipv4::kOffsetMask)) != 0;
}

Gathered gather_ipv6(ByteSpan packet, std::vector<std::uint8_t>& rebuilt) {
  const std::size_t payload = be16(packet.data() + ipv6::kPayloadLength);
  if (payload == 0) return Gathered::Untouched;
  const auto header = find_fragment_header(packet);
  if (!header || lacks_transport_header(packet, header->offset)) return Gathered::Untouched;
  if (!readable(packet, header->offset, kFragmentHeaderSize)) return Gathered::Discarded;

  // nf_ct_frag6_queue(), for a queue that was empty.
  const std::uint16_t field = be16(packet.data() + header->offset + 2);
  const std::size_t offset = field & 0xfff8;
  const bool more = (field & 1) != 0;
  const std::size_t data = header->offset + kFragmentHeaderSize;
  // As the header has it: what a program sends through a raw socket may say anything.
  const std::ptrdiff_t size =
      static_cast<std::ptrdiff_t>(ipv6::kHeaderSize + payload) - static_cast<std::ptrdiff_t>(data);
  const std::ptrdiff_t end = static_cast<std::ptrdiff_t>(offset) + size;
  if (end < 0 || end > kLargestPayload) return Gathered::Discarded;
  if (more && end % 8 != 0) return Gathered::Untouched;
  if (size == 0) return Gathered::Discarded;
  const bool whole =
      !more && offset == 0 && size > 0 && readable(packet, data, static_cast<std::size_t>(size));
  if (!whole) return Gathered::Held;

  rebuilt.assign(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(header->offset));
  rebuilt.insert(rebuilt.end(), packet.begin() + static_cast<std::ptrdiff_t>(data),
                 packet.begin() + static_cast<std::ptrdiff_t>(data) + size);
  rebuilt[header->named_by] = packet[header->offset];
  put_be16(rebuilt.data() + ipv6::kPayloadLength,
           static_cast<std::uint32_t>(payload - kFragmentHeaderSize));
  return Gathered::Rebuilt;
}

}  // namespace rolewall::eval
