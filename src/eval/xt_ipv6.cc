#include <algorithm>
#include <cstring>

#include "eval/dissect.h"
#include "eval/xt_matches.h"
#include "net/protocol.h"

namespace rolewall::eval {
namespace {

namespace r = ruleset;
using Is = FoundHeader::Is;

// ipv6_optlen()
std::size_t option_header_size(const std::uint8_t* header) {
  return (header[1] + std::size_t{1}) * 8;
}

}  // namespace

// ipv6_find_hdr() with a target and no flags: the chain ends at "no next header", at what is no
// extension, and at a later fragment.
FoundHeader find_header(XtPacket& packet, std::uint8_t type) {
  std::uint8_t next = *packet.read(ipv6::kNextHeader, 1);
  std::size_t at = ipv6::kHeaderSize;
  while (true) {
    const bool found = next == type;
    if (!is_ipv6_extension(next) || next == ipv6::kNoNextHeader) {
      return found ? FoundHeader{Is::There, at} : FoundHeader{};
    }
    const std::uint8_t* header = packet.read(at, 2);
    if (header == nullptr) return {.is = Is::CutOff};
    std::size_t size = option_header_size(header);
    if (next == ipv6::kRouting && packet.read(at, 4) == nullptr) return {.is = Is::CutOff};
    if (next == ipv6::kFragmentHeader) {
      const std::uint8_t* offset = packet.read(at + 2, 2);
      if (offset == nullptr) return {.is = Is::CutOff};
      if ((be16(offset) & 0xfff8) != 0) {
        // A later fragment: what lies behind it is not looked at.
        return found ? FoundHeader{Is::There, at} : FoundHeader{};
      }
      size = ipv6::kFragmentHeaderSize;
    } else if (next == ipv6::kAuthentication) {
      size = (header[1] + std::size_t{2}) * 4;
    }
    if (found) return {Is::There, at};
    next = header[0];
    at += size;
  }
}

bool xt_holds(const r::XtFrag& match, XtPacket& packet) {
  const FoundHeader found = find_header(packet, ipv6::kFragmentHeader);
  if (found.is == Is::Absent) return false;
  const std::uint8_t* header =
      found.is == Is::There ? packet.read(found.offset, ipv6::kFragmentHeaderSize) : nullptr;
  if (header == nullptr) return packet.drop();
  const std::uint16_t offset = be16(header + 2);
  const bool more = (offset & 1) != 0;
  return match.id.holds(be32(header + 4)) &&
         !(match.reserved_is_zero && (header[1] != 0 || (offset & 6) != 0)) &&
         !(match.is_first && (offset & 0xfff8) != 0) && match.more.value_or(more) == more;
}

bool xt_holds(const r::XtOptions& match, XtPacket& packet) {
  const FoundHeader found =
      find_header(packet, match.destination ? ipv6::kDestinationOptions : ipv6::kHopByHop);
  if (found.is == Is::Absent) return false;
  const std::uint8_t* header = found.is == Is::There ? packet.read(found.offset, 2) : nullptr;
  if (header == nullptr) return packet.drop();
  std::size_t rest = option_header_size(header);
  if (packet.size() - found.offset < rest) return packet.drop();
  const bool length_holds = !match.length || (*match.length == rest) != match.length_inverted;
  if (!match.asks_options) return length_holds;
  std::size_t at = found.offset + 2;
  rest -= 2;
  for (std::size_t i = 0; i < match.options.size(); ++i) {
    const r::XtOptions::Option& option = match.options[i];
    const std::uint8_t* type = rest < 1 ? nullptr : packet.read(at, 1);
    if (type == nullptr || *type != option.type) return false;
    std::size_t size = 1;
    if (*type != 0) {
      const std::uint8_t* length = rest < 2 ? nullptr : packet.read(at + 1, 1);
      if (length == nullptr) return false;
      if (option.length != 0xff && option.length != *length) return false;
      size = *length + std::size_t{2};
    }
    const bool is_last = i + 1 == match.options.size();
    if ((at > packet.size() - size || rest < size) && !is_last) return false;
    at += size;
    rest -= std::min(size, rest);
  }
  return length_holds;
}

bool xt_holds(const r::XtRouting& match, XtPacket& packet) {
  using Addresses = r::XtRouting::Addresses;
  constexpr std::size_t kBegin = 8;
  constexpr std::size_t kAddress = 16;
  const FoundHeader found = find_header(packet, ipv6::kRouting);
  if (found.is == Is::Absent) return false;
  const std::uint8_t* header = found.is == Is::There ? packet.read(found.offset, 4) : nullptr;
  if (header == nullptr) return packet.drop();
  const std::size_t size = option_header_size(header);
  if (packet.size() - found.offset < size) return packet.drop();
  bool holds = match.segments_left.holds(header[3]) &&
               (!match.length || (*match.length == size) != match.length_inverted) &&
               (!match.type || (*match.type == header[2]) != match.type_inverted);
  if (holds && match.reserved_is_zero) {
    const std::uint8_t* reserved = packet.read(found.offset + 4, 4);
    if (reserved == nullptr) return packet.drop();
    holds = be32(reserved) == 0;
  }
  if (match.asks == Addresses::NotAsked) return holds;
  const std::size_t there = (size - kBegin) / kAddress;
  if (match.addresses.size() > there) return false;
  const bool among = match.asks == Addresses::Among;
  std::size_t matched = 0;
  for (std::size_t i = 0; i < there && matched < match.addresses.size(); ++i) {
    const std::uint8_t* address = packet.read(found.offset + kBegin + i * kAddress, kAddress);
    if (address == nullptr) return packet.drop();
    if (std::memcmp(address, match.addresses[matched].data(), kAddress) == 0) {
      ++matched;
    } else if (!among) {
      return false;
    }
  }
  const bool all = matched == match.addresses.size() && (among || matched == there);
  return all && holds;
}

bool xt_holds(const r::XtMobility& match, XtPacket& packet) {
  if (packet.fragment_offset() != 0) return false;
  const std::uint8_t* header = packet.read_transport(6);
  if (header == nullptr || header[0] != ipv6::kNoNextHeader) return packet.drop();
  return match.type.holds(header[2]);
}

bool xt_holds(const r::XtIpv6header& match, XtPacket& packet) {
  constexpr std::uint8_t kEsp = 50;
  enum : std::uint8_t {
    kProto = 1,
    kNone = 2,
    kEspMask = 4,
    kAh = 8,
    kFragment = 16,
    kRouting = 32,
    kDestination = 64,
    kHop = 128
  };
  std::uint8_t next = *packet.read(ipv6::kNextHeader, 1);
  std::size_t at = ipv6::kHeaderSize;
  auto left = static_cast<std::ptrdiff_t>(packet.size() - at);
  std::uint8_t seen = 0;
  while (is_ipv6_extension(next) || next == kEsp) {  // nf_ip6_ext_hdr()
    if (next == ipv6::kNoNextHeader) {
      seen |= kNone;
      break;
    }
    if (left < 2) return false;
    if (next == kEsp) {
      seen |= kEspMask;
      break;
    }
    const std::uint8_t* header = packet.read(at, 2);
    if (header == nullptr) return packet.drop();
    std::size_t size = option_header_size(header);
    switch (next) {
      case ipv6::kHopByHop:
        seen |= kHop;
        break;
      case ipv6::kRouting:
        seen |= kRouting;
        break;
      case ipv6::kFragmentHeader:
        seen |= kFragment;
        size = ipv6::kFragmentHeaderSize;
        break;
      case ipv6::kAuthentication:
        seen |= kAh;
        size = (header[1] + std::size_t{2}) * 4;
        break;
      default:
        seen |= kDestination;
        break;
    }
    next = header[0];
    left -= static_cast<std::ptrdiff_t>(size);
    at += size;
    if (at > packet.size()) break;
  }
  if (next != ipv6::kNoNextHeader && next != kEsp) seen |= kProto;
  if (match.soft) {
    return ((seen ^ match.headers ^ match.inverted) & match.headers) == 0;
  }
  return (seen == match.headers) == (match.inverted == 0);
}

}  // namespace rolewall::eval
