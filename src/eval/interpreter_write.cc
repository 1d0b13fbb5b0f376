// The interpreter's writing into the packet: nft_payload_set_eval() of net/netfilter/nft_payload.c.
//
// What the host itself sends has its transport checksum made by the device, from the bytes as they
// then are; here it is whole from the beginning and mended, which comes to the same.
#include <algorithm>
#include <optional>

#include "eval/checksum.h"
#include "eval/interpreter.h"
#include "net/protocol.h"

namespace rolewall::eval {
namespace {

using ruleset::ChecksumKind;
using ruleset::PayloadBase;

// nft_csum_replace(): never zero, which UDP takes for no checksum.
void mend(std::uint8_t* checksum, ByteSpan from, ByteSpan to) {
  const std::uint16_t mended = mended_checksum(be16(checksum), from, to);
  put_be16(checksum, mended == 0 ? 0xffffU : mended);
}

// nft_payload_l4csum_offset(): where the checksum is that covers the addresses too.
std::optional<std::size_t> pseudo_header_checksum(ByteSpan bytes, const Dissection& dissection) {
  constexpr std::size_t kUdpSize = 8;
  if (dissection.fragment_offset != 0) return std::nullopt;
  const std::size_t start = dissection.transport;
  switch (dissection.protocol) {
    case net::protocol::kTcp:
      return start + 16;
    case net::protocol::kUdp:  // where it has one
      if (!readable(bytes, start, kUdpSize) || be16(bytes.data() + start + 6) == 0) {
        return std::nullopt;
      }
      return start + 6;
    case net::protocol::kUdpLite:
      return start + 6;
    case net::protocol::kIcmpv6:
      return start + 2;
    default:
      return std::nullopt;
  }
}

}  // namespace

Interpreter::Next Interpreter::run_payload_write(const ruleset::PayloadWrite& write) {
  const Dissection& dissection = frame_->dissection;
  std::size_t base = 0;
  switch (write.base) {
    case PayloadBase::Link:
      return undecided("a write into the Ethernet header, which is not modelled");
    case PayloadBase::Network:
      break;
    case PayloadBase::Transport:
      if (!dissection.has_protocol || dissection.fragment_offset != 0) return Next::Break;
      base = dissection.transport;
      break;
    case PayloadBase::Inner: {
      std::optional<std::uint32_t>& inner = frame_->inner;
      if (!inner) inner = inner_offset(frame_->bytes, dissection);
      if (!inner) return Next::Break;
      base = *inner;
      break;
    }
  }
  const std::size_t start = base + write.offset;
  const std::size_t checksum = base + write.checksum_offset;
  if (!readable(frame_->bytes, start, write.length)) return Next::Break;
  std::uint8_t* bytes = frame_->own_bytes().data();
  const ByteSpan packet = frame_->bytes;
  const ByteSpan wanted(at(write.source), write.length);
  const ByteSpan now = packet.subspan(start, write.length);
  if (write.checksum == ChecksumKind::Inet) {
    if (!readable(packet, checksum, 2)) return Next::Break;
    mend(bytes + checksum, now, wanted);
  }
  // Breaks, like the kernel, with the first checksum already mended.
  if (write.pseudo_header) {
    if (const auto transport = pseudo_header_checksum(packet, dissection)) {
      if (!readable(packet, *transport, 2)) return Next::Break;
      mend(bytes + *transport, now, wanted);
    }
  }
  std::ranges::copy(wanted, bytes + start);
  if (write.checksum == ChecksumKind::Sctp && dissection.protocol == net::protocol::kSctp &&
      dissection.fragment_offset == 0) {
    constexpr std::size_t kHeaderSize = 12;
    if (!readable(packet, dissection.transport, kHeaderSize)) return Next::Break;
    put_be32(bytes + dissection.transport + 8, sctp_checksum(packet.subspan(dissection.transport)));
  }
  return Next::Expression;
}

}  // namespace rolewall::eval
