#include "pieces.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "eval/checksum.h"
#include "eval/wire.h"

namespace rolewall::kernel_judge {
namespace {

using eval::be16;
using eval::be32;
using eval::put_be16;
using eval::put_be32;

constexpr std::uint8_t kFragmentHeader = 44;
constexpr std::size_t kId = 4;  // within IPv4's header, and within the fragment header

bool is_ipv6(const Bytes& packet) {
  return packet[0] >> 4 == 6;
}

void mend(Bytes& packet) {
  put_be16(packet.data() + eval::ipv4::kChecksum, 0);
  put_be16(packet.data() + eval::ipv4::kChecksum,
           eval::internet_checksum(eval::ByteSpan(packet).first(eval::ipv4::kHeaderSize)));
}

struct Cut {
  std::size_t begin = 0;
  std::size_t end = 0;
  bool more = false;
};

Bytes piece(const Bytes& packet, const Cut& cut, std::uint32_t number) {
  const bool ipv6 = is_ipv6(packet);
  const std::size_t header = ipv6 ? eval::ipv6::kHeaderSize : eval::ipv4::kHeaderSize;
  const auto at = [&](std::size_t offset) {
    return packet.begin() + static_cast<std::ptrdiff_t>(offset);
  };
  Bytes bytes(packet.begin(), at(header));
  if (ipv6) {
    Bytes between{bytes[eval::ipv6::kNextHeader], 0, 0, 0, 0, 0, 0, 0};
    put_be16(between.data() + 2, static_cast<std::uint32_t>(cut.begin) | (cut.more ? 1U : 0U));
    put_be32(between.data() + kId, number);
    bytes[eval::ipv6::kNextHeader] = kFragmentHeader;
    bytes.insert(bytes.end(), between.begin(), between.end());
  } else {
    put_be16(bytes.data() + eval::ipv4::kFragment,
             static_cast<std::uint32_t>(cut.begin / 8) |
                 (cut.more ? std::uint32_t{eval::ipv4::kMoreFragments} : 0));
    put_be16(bytes.data() + kId, number);
  }
  const std::size_t end = std::min(header + cut.end, packet.size());
  bytes.insert(bytes.end(), at(header + cut.begin), at(end));
  bytes.resize(bytes.size() + header + cut.end - end, 'x');
  if (ipv6) {
    put_be16(bytes.data() + eval::ipv6::kPayloadLength,
             static_cast<std::uint32_t>(bytes.size() - header));
  } else {
    put_be16(bytes.data() + eval::ipv4::kTotalLength, static_cast<std::uint32_t>(bytes.size()));
    mend(bytes);
  }
  return bytes;
}

// What of a header a fragment may have of its own: time to live, "don't fragment", ECN.
void vary(Bytes& fragment, Random& random) {
  const bool ipv6 = is_ipv6(fragment);
  switch (random.below(3)) {
    case 0:
      --fragment[ipv6 ? eval::ipv6::kHopLimit : eval::ipv4::kTtl];
      break;
    case 1:
      if (!ipv6) fragment[eval::ipv4::kFragment] |= 0x40;
      break;
    default:
      fragment[1] |= static_cast<std::uint8_t>(random.below(4) << (ipv6 ? 4 : 0));
      break;
  }
  if (!ipv6) mend(fragment);
}

}  // namespace

std::uint32_t fresh_number() {
  static std::uint32_t last = 0;
  last = last == 0xffff ? 1 : last + 1;
  return last;
}

std::vector<Bytes> cut_up(const Bytes& packet, std::uint32_t number, Random& random) {
  const std::size_t header = is_ipv6(packet) ? eval::ipv6::kHeaderSize : eval::ipv4::kHeaderSize;
  const std::size_t size = packet.size() - header;
  if (size <= 8) return {};
  std::vector<Cut> cuts;
  const std::size_t places = (size - 1) / 8;  // where it may be cut
  std::size_t begin = 0;
  for (std::size_t left = 1 + random.below(3); left > 0 && begin / 8 < places; --left) {
    const std::size_t end = begin + std::size_t{8} * (1 + random.below(places - begin / 8));
    cuts.push_back({begin, end, true});
    begin = end;
  }
  cuts.push_back({begin, size, false});

  const auto any = [&]() -> const Cut& { return random.of(cuts); };
  switch (random.weighted({60, 12, 10, 8, 5, 5})) {
    case 0:
      break;
    case 1:
      cuts.push_back(any());  // a duplicate
      break;
    case 2:
      cuts.erase(cuts.begin() + random.below(cuts.size()));
      break;
    case 3: {
      Cut over = any();  // longer than it was, or from further ahead
      if (over.begin >= 8 && random.percent(50)) {
        over.begin -= 8;
      } else {
        over.end += 8;
      }
      cuts.insert(cuts.begin() + random.below(cuts.size() + 1), over);
      break;
    }
    case 4: {
      Cut odd = any();  // more follow, behind no multiple of eight
      odd.more = true;
      odd.end = std::max(odd.begin + 1, odd.end - 3);
      cuts.insert(cuts.begin() + random.below(cuts.size() + 1), odd);
      break;
    }
    default: {
      Cut empty = any();
      empty.end = empty.begin;
      cuts.insert(cuts.begin() + random.below(cuts.size() + 1), empty);
      break;
    }
  }
  if (random.percent(50)) {
    for (std::size_t i = cuts.size(); i > 1; --i) std::swap(cuts[i - 1], cuts[random.below(i)]);
  }
  // Some travel where congestion is told of: ECN's bits, of all fragments alike or nearly so.
  const bool ipv6 = is_ipv6(packet);
  const std::uint32_t ecn = random.percent(15) ? 1 + random.below(2) : 0;
  std::vector<Bytes> pieces;
  for (const Cut& cut : cuts) {
    pieces.push_back(piece(packet, cut, number));
    if (ecn != 0) {
      const std::uint32_t own = random.percent(30) ? 3 : ecn;
      pieces.back()[1] |= static_cast<std::uint8_t>(own << (ipv6 ? 4 : 0));
      if (!ipv6) mend(pieces.back());
    }
    if (random.percent(10)) vary(pieces.back(), random);
  }
  return pieces;
}

bool is_fragment(const Bytes& packet) {
  return is_ipv6(packet) ? packet[eval::ipv6::kNextHeader] == kFragmentHeader
                         : (be16(packet.data() + eval::ipv4::kFragment) &
                            (eval::ipv4::kMoreFragments | eval::ipv4::kOffsetMask)) != 0;
}

std::uint32_t number_of(const Bytes& fragment) {
  return is_ipv6(fragment) ? be32(fragment.data() + eval::ipv6::kHeaderSize + kId)
                           : be16(fragment.data() + kId);
}

void renumber(Bytes& fragment, std::uint32_t number) {
  if (is_ipv6(fragment)) {
    put_be32(fragment.data() + eval::ipv6::kHeaderSize + kId, number);
  } else {
    put_be16(fragment.data() + kId, number);
    mend(fragment);
  }
}

}  // namespace rolewall::kernel_judge
