#include <algorithm>
#include <array>

#include "eval/exthdr.h"
#include "eval/xt_matches.h"

namespace rolewall::eval {
namespace {

namespace r = ruleset;

constexpr std::size_t kTcpHeader = 20;

// Options of TCP and DCCP: those below 2 have no length, and a length of 0 counts as 1.
template <class Visit>
bool any_option(const std::uint8_t* options, std::size_t size, Visit visit) {
  for (std::size_t i = 0; i < size;) {
    if (visit(options, i)) return true;
    if (options[i] < 2 || i == size - 1) {
      ++i;
    } else {
      i += options[i + 1] == 0 ? 1 : options[i + 1];
    }
  }
  return false;
}

template <class Range>
bool holds_if_asked(const std::optional<Range>& range, std::uint16_t number) {
  return !range || range->holds(number);
}

// match_flags() of xt_sctp.c
bool has_chunk_flags(const std::vector<r::XtSctp::Flags>& wanted, std::uint8_t type,
                     std::uint8_t flags) {
  const auto of_type = std::ranges::find(wanted, type, &r::XtSctp::Flags::chunk);
  return of_type == wanted.end() || (flags & of_type->mask) == of_type->value;
}

// match_packet() of xt_sctp.c
bool has_chunks(const r::XtSctp& match, XtPacket& packet, std::size_t at) {
  using Chunks = r::XtSctp::Chunks;
  std::array<std::uint32_t, 8> missing = match.types;
  do {
    const std::uint8_t* chunk = packet.read(at, 4);
    if (chunk == nullptr || be16(chunk + 2) == 0) return packet.drop();
    const std::uint8_t type = chunk[0];
    at += (be16(chunk + 2) + std::size_t{3}) & ~std::size_t{3};
    const bool listed = (match.types[type / 32] >> type % 32 & 1) != 0;
    const bool flags_hold = has_chunk_flags(match.flags, type, chunk[1]);
    if (!listed) {
      if (match.chunks == Chunks::Only) return false;
      continue;
    }
    switch (match.chunks) {
      case Chunks::Any:
        if (flags_hold) return true;
        break;
      case Chunks::All:
        if (flags_hold) missing[type / 32] &= ~(1U << type % 32);
        break;
      case Chunks::Only:
        if (!flags_hold) return false;
        break;
    }
  } while (at < packet.size());
  switch (match.chunks) {
    case Chunks::Any:
      return false;
    case Chunks::All:
      return std::ranges::all_of(missing, [](std::uint32_t bits) { return bits == 0; });
    case Chunks::Only:
      return true;
  }
  return false;
}

// dccp_find_option() of xt_dccp.c
bool has_dccp_option_of(XtPacket& packet, const std::uint8_t* header, std::uint8_t type) {
  const std::size_t begin = dccp_header_size(header);
  const std::size_t end = std::size_t{header[4]} * 4;
  if (end < begin) return packet.drop();
  if (end == begin) return false;
  const std::uint8_t* options = packet.read(packet.transport() + begin, end - begin);
  if (options == nullptr) return packet.drop();
  return any_option(options, end - begin,
                    [&](const std::uint8_t* bytes, std::size_t i) { return bytes[i] == type; });
}

}  // namespace

bool xt_holds(const r::XtTcp& match, XtPacket& packet) {
  if (packet.fragment_offset() != 0) {
    // "Don't allow a fragment of TCP 8 bytes in."
    return packet.fragment_offset() == 1 ? packet.drop() : false;
  }
  const std::uint8_t* tcp = packet.read_transport(kTcpHeader);
  if (tcp == nullptr) return packet.drop();
  if (!match.source.holds(be16(tcp)) || !match.destination.holds(be16(tcp + 2))) return false;
  if (((tcp[13] & match.flag_mask) == match.flag_value) == match.flags_inverted) return false;
  if (match.option == 0) return true;
  const std::size_t header = (tcp[12] >> 4) * std::size_t{4};
  if (header < kTcpHeader) return packet.drop();
  if (header == kTcpHeader) return match.option_inverted;
  const std::uint8_t* options = packet.read(packet.transport() + kTcpHeader, header - kTcpHeader);
  if (options == nullptr) return packet.drop();
  const bool found = any_option(
      options, header - kTcpHeader,
      [&](const std::uint8_t* bytes, std::size_t i) { return bytes[i] == match.option; });
  return found != match.option_inverted;
}

bool xt_holds(const r::XtUdp& match, XtPacket& packet) {
  if (packet.fragment_offset() != 0) return false;
  const std::uint8_t* udp = packet.read_transport(8);
  if (udp == nullptr) return packet.drop();
  return match.source.holds(be16(udp)) && match.destination.holds(be16(udp + 2));
}

bool xt_holds(const r::XtMultiport& match, XtPacket& packet) {
  using Which = r::XtMultiport::Which;
  if (packet.fragment_offset() != 0) return false;
  const std::uint8_t* ports = packet.read_transport(4);
  if (ports == nullptr) return packet.drop();
  const std::uint16_t source = be16(ports);
  const std::uint16_t destination = be16(ports + 2);
  const bool found = std::ranges::any_of(match.ports, [&](const r::XtPorts& range) {
    return (match.which != Which::Destination && range.holds(source)) ||
           (match.which != Which::Source && range.holds(destination));
  });
  return found != match.inverted;
}

bool xt_holds(const r::XtSctp& match, XtPacket& packet) {
  constexpr std::size_t kHeader = 12;
  if (packet.fragment_offset() != 0) return false;
  const std::uint8_t* sctp = packet.read_transport(kHeader);
  if (sctp == nullptr) return packet.drop();
  if (!holds_if_asked(match.source, be16(sctp)) ||
      !holds_if_asked(match.destination, be16(sctp + 2))) {
    return false;
  }
  if (!match.asks_chunks) return true;
  return has_chunks(match, packet, packet.transport() + kHeader) != match.chunks_inverted;
}

bool xt_holds(const r::XtDccp& match, XtPacket& packet) {
  if (packet.fragment_offset() != 0) return false;
  const std::uint8_t* dccp = packet.read_transport(12);
  if (dccp == nullptr) return packet.drop();
  if (!holds_if_asked(match.source, be16(dccp)) ||
      !holds_if_asked(match.destination, be16(dccp + 2))) {
    return false;
  }
  if (match.types && ((*match.types >> (dccp[8] >> 1 & 0xf) & 1) != 0) == match.types_inverted) {
    return false;
  }
  if (!match.option) return true;
  return has_dccp_option_of(packet, dccp, *match.option) != match.option_inverted;
}

// Of ICMP the type 255 stands for any; of ICMPv6 it is a type.
bool xt_holds(const r::XtIcmp& match, XtPacket& packet) {
  if (packet.fragment_offset() != 0) return false;
  const std::uint8_t* icmp = packet.read_transport(8);
  if (icmp == nullptr) return packet.drop();
  const bool any = !match.ipv6 && match.type == 0xff;
  const bool within =
      icmp[0] == match.type && icmp[1] >= match.code_first && icmp[1] <= match.code_last;
  return (any || within) != match.inverted;
}

bool xt_holds(const r::XtEsp& match, XtPacket& packet) {
  if (packet.fragment_offset() != 0) return false;
  const std::uint8_t* esp = packet.read_transport(8);
  if (esp == nullptr) return packet.drop();
  return match.spi.holds(be32(esp));
}

// ipt_ah.c; ip6t_ah.c looks for the header by itself.
bool xt_holds(const r::XtAh& match, XtPacket& packet) {
  constexpr std::size_t kHeader = 12;
  if (!packet.ipv6()) {
    if (packet.fragment_offset() != 0) return false;
    const std::uint8_t* ah = packet.read_transport(kHeader);
    if (ah == nullptr) return packet.drop();
    return match.spi.holds(be32(ah + 4));
  }
  const FoundHeader found = find_header(packet, ipv6::kAuthentication);
  if (found.is == FoundHeader::Is::CutOff) return packet.drop();
  if (found.is == FoundHeader::Is::Absent) return false;
  const std::uint8_t* ah = packet.read(found.offset, kHeader);
  if (ah == nullptr) return packet.drop();
  const std::size_t length = (ah[1] + std::size_t{2}) * 4;
  if (packet.size() - found.offset < length) return packet.drop();
  r::XtRange<std::uint32_t> spi = match.spi;
  spi.inverted = match.ipv6_spi_inverted;
  const bool length_holds =
      match.ipv6_length == 0 || (match.ipv6_length == length) != match.ipv6_length_inverted;
  return spi.holds(be32(ah + 4)) && length_holds &&
         !(match.ipv6_reserved_is_zero && be16(ah + 2) != 0);
}

}  // namespace rolewall::eval
