#include "breakage.h"

#include <algorithm>
#include <cstring>

#include "eval/checksum.h"
#include "eval/wire.h"
#include "net/protocol.h"

namespace rolewall::kernel_judge {
namespace {

using Bytes = std::vector<std::uint8_t>;
namespace ipv4 = eval::ipv4;
namespace ipv6 = eval::ipv6;

std::size_t fixed_header(const eval::Packet& packet) {
  return is_ipv6(packet) ? ipv6::kHeaderSize : ipv4::kHeaderSize;
}

// Sets the length field to what is there.
void fix_length(eval::Packet& packet) {
  Bytes& bytes = packet.bytes;
  const std::size_t size = std::min<std::size_t>(bytes.size(), 65535);
  if (is_ipv6(packet)) {
    eval::put_be16(bytes.data() + ipv6::kPayloadLength,
                   static_cast<std::uint32_t>(size - ipv6::kHeaderSize));
  } else {
    eval::put_be16(bytes.data() + ipv4::kTotalLength, static_cast<std::uint32_t>(size));
    fix_header_checksum(packet);
  }
}

// REQUIRES: no options and no extension headers yet.
std::uint8_t protocol(const eval::Packet& packet) {
  return is_ipv6(packet) ? packet.bytes[ipv6::kNextHeader] : packet.bytes[ipv4::kProtocol];
}

// Options for a hop-by-hop or destination header of `size` bytes (two of them its own).
void fill_options(Bytes& header, std::size_t from, Random& random) {
  std::size_t at = from;
  while (at < header.size()) {
    const std::size_t left = header.size() - at;
    if (left == 1) {
      header[at] = 0;  // Pad1
      return;
    }
    std::uint8_t type = 1;  // PadN
    std::size_t length = left - 2;
    if (random.percent(40)) {
      type = random.of<std::uint8_t>({0x05, 0x07, 0x1e, 0x3e, 0x49, 0x31, 0x63, 0x9e, 0xc2, 0xde});
      length = std::min<std::size_t>(left - 2, random.of<std::size_t>({0, 1, 2, 4, 6}));
    }
    header[at] = type;
    header[at + 1] = static_cast<std::uint8_t>(length);
    at += 2 + length;
  }
}

Bytes extension_header(std::uint8_t kind, std::uint8_t next, Random& random) {
  if (kind == ipv6::kFragmentHeader) {
    // Offset 0 and no more: a whole packet that says it is a fragment, and others.
    const std::uint16_t field =
        random.percent(50) ? 0 : static_cast<std::uint16_t>(random.below(4) * 8 + random.below(2));
    Bytes header{next, 0, 0, 0, 0, 0, 0, 0};
    eval::put_be16(header.data() + 2, field);
    eval::put_be32(header.data() + 4, static_cast<std::uint32_t>(random.next()));
    return header;
  }
  if (kind == ipv6::kAuthentication) {
    const std::uint8_t words = static_cast<std::uint8_t>(1 + random.below(4));
    Bytes header((words + std::size_t{2}) * 4);
    header[0] = next;
    header[1] = words;
    return header;
  }
  const std::uint8_t units = static_cast<std::uint8_t>(random.below(3));
  Bytes header((units + std::size_t{1}) * 8);
  header[0] = next;
  header[1] = units;
  if (kind == ipv6::kRouting) {
    header[2] = random.of<std::uint8_t>({0, 0, 2, 3, 4, 5});  // type
    header[3] = random.percent(70) ? 0 : static_cast<std::uint8_t>(random.below(3));
  } else {
    fill_options(header, 2, random);
  }
  return header;
}

}  // namespace

void fix_header_checksum(eval::Packet& packet) {
  if (is_ipv6(packet) || packet.bytes.size() < ipv4::kHeaderSize) return;
  const std::size_t size = std::min(ipv4::header_size(packet.bytes), packet.bytes.size());
  if (size < ipv4::kHeaderSize) return;
  eval::put_be16(packet.bytes.data() + ipv4::kChecksum, 0);
  eval::put_be16(packet.bytes.data() + ipv4::kChecksum,
                 eval::internet_checksum(std::span(packet.bytes).first(size)));
}

void fix_transport_checksum(eval::Packet& packet) {
  const std::size_t start = fixed_header(packet);
  Bytes& bytes = packet.bytes;
  const auto address = [&](std::size_t at4, std::size_t at6) {
    const std::size_t at = is_ipv6(packet) ? at6 : at4;
    const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(at);
    return Bytes(begin, begin + (is_ipv6(packet) ? 16 : 4));
  };
  std::size_t at = 0;
  switch (protocol(packet)) {
    case net::protocol::kTcp:
      at = 16;
      break;
    case net::protocol::kUdp:
      at = 6;
      break;
    case net::protocol::kSctp:
      at = 8;
      break;
    default:
      return;
  }
  const bool sctp = protocol(packet) == net::protocol::kSctp;
  if (start + at + (sctp ? 4 : 2) > bytes.size()) return;
  std::memset(bytes.data() + start + at, 0, sctp ? 4 : 2);
  const Bytes transport(bytes.begin() + static_cast<std::ptrdiff_t>(start), bytes.end());
  if (sctp) {
    eval::put_be32(bytes.data() + start + at, eval::sctp_checksum(transport));
    return;
  }
  std::uint16_t sum = eval::transport_checksum(address(ipv4::kSource, ipv6::kSource),
                                               address(ipv4::kDestination, ipv6::kDestination),
                                               protocol(packet), transport);
  if (sum == 0 && protocol(packet) == net::protocol::kUdp) sum = 0xffff;
  eval::put_be16(bytes.data() + start + at, sum);
}

void make_fragment_unique(eval::Packet& packet, std::uint64_t number) {
  if (!is_ipv6(packet)) {
    eval::put_be16(packet.bytes.data() + 4, static_cast<std::uint32_t>(number % 65535 + 1));
    fix_header_checksum(packet);
  } else if (packet.bytes[ipv6::kNextHeader] == ipv6::kFragmentHeader &&
             packet.bytes.size() >= ipv6::kHeaderSize + 8) {
    eval::put_be32(packet.bytes.data() + ipv6::kHeaderSize + 4,
                   static_cast<std::uint32_t>(number + 1));
  }
}

void add_extension_headers(eval::Packet& packet, Random& random) {
  if (!is_ipv6(packet)) return;
  Bytes headers;
  std::uint8_t next = packet.bytes[ipv6::kNextHeader];
  for (std::uint32_t left = 1 + random.below(3); left > 0; --left) {
    std::uint8_t kind = random.of<std::uint8_t>(
        {ipv6::kHopByHop, ipv6::kHopByHop, ipv6::kRouting, ipv6::kDestinationOptions,
         ipv6::kDestinationOptions, ipv6::kFragmentHeader, ipv6::kAuthentication,
         ipv6::kNoNextHeader, 135, 139, 140, 253});
    // Mostly where it may stand: directly behind the fixed header.
    if (kind == ipv6::kHopByHop && left != 1 && random.percent(80)) {
      kind = ipv6::kDestinationOptions;
    }
    Bytes header = extension_header(kind, next, random);
    headers.insert(headers.begin(), header.begin(), header.end());
    next = kind;
  }
  if (random.percent(5)) headers[random.below(headers.size())] = random.byte();
  packet.bytes[ipv6::kNextHeader] = next;
  packet.bytes.insert(packet.bytes.begin() + static_cast<std::ptrdiff_t>(ipv6::kHeaderSize),
                      headers.begin(), headers.end());
  if (random.percent(10)) {
    packet.bytes.resize(ipv6::kHeaderSize +
                        random.below(packet.bytes.size() - ipv6::kHeaderSize + 1));
  }
  fix_length(packet);
}

void add_ip_options(eval::Packet& packet, Random& random) {
  if (is_ipv6(packet)) return;
  Bytes options;
  for (std::uint32_t left = 1 + random.below(2); left > 0; --left) {
    switch (random.weighted({30, 20, 15, 15, 10, 5, 5})) {
      case 0:
        options.insert(options.end(), 1 + random.below(4), 1);  // no operation
        break;
      case 1:
        options.insert(options.end(), {148, 4, 0, 0});  // router alert
        break;
      case 2:
        options.insert(options.end(), {7, 7, random.of<std::uint8_t>({4, 4, 8, 3}), 0, 0, 0, 0});
        break;
      case 3:  // timestamp
        options.insert(options.end(), {68, 8, random.of<std::uint8_t>({5, 5, 9, 4}),
                                       random.of<std::uint8_t>({0, 1, 3, 0xf0}), 0, 0, 0, 0});
        break;
      case 4:  // loose and strict source route
        options.insert(options.end(), {random.of<std::uint8_t>({131, 137}), 7,
                                       random.of<std::uint8_t>({4, 8, 3}), 10, 0, 0, 1});
        break;
      case 5:
        options.insert(options.end(), {random.byte(), 4, random.byte(), random.byte()});
        break;
      default:  // one that runs over the end
        options.insert(options.end(), {148, 40});
        break;
    }
  }
  options.resize((options.size() + 3) / 4 * 4);
  options.resize(std::min<std::size_t>(options.size(), 40));
  packet.bytes[0] = static_cast<std::uint8_t>(0x45 + options.size() / 4);
  packet.bytes.insert(packet.bytes.begin() + static_cast<std::ptrdiff_t>(ipv4::kHeaderSize),
                      options.begin(), options.end());
  fix_length(packet);
}

void add_tcp_options(eval::Packet& packet, Random& random) {
  constexpr std::size_t kTcpHeader = 20;
  constexpr std::size_t kMost = 40;
  Bytes& bytes = packet.bytes;
  const std::size_t start = fixed_header(packet);
  if (bytes.size() < start + kTcpHeader || protocol(packet) != net::protocol::kTcp) return;
  const bool ipv6 = is_ipv6(packet);
  const std::size_t length =
      eval::be16(bytes.data() + (ipv6 ? ipv6::kPayloadLength : ipv4::kTotalLength));
  const bool whole = bytes.size() == length + (ipv6 ? ipv6::kHeaderSize : 0) &&
                     (ipv6 || (bytes[0] == 0x45 && bytes[6] % 0x40 == 0 && bytes[7] == 0));
  if (!whole || bytes[start + 12] >> 4 != kTcpHeader / 4) return;
  Bytes options;
  for (std::uint32_t left = 1 + random.below(4); left > 0; --left) {
    switch (random.weighted({35, 10, 15, 15, 10, 5, 5, 5})) {
      case 0: {
        const std::uint32_t size = random.of<std::uint32_t>({0, 536, 900, 901, 1200, 1440, 1460});
        options.insert(options.end(), {2, 4, static_cast<std::uint8_t>(size >> 8),
                                       static_cast<std::uint8_t>(size)});
        break;
      }
      case 1:
        options.insert(options.end(), {1, 3, 3, static_cast<std::uint8_t>(random.below(15))});
        break;
      case 2:
        options.insert(options.end(), {4, 2});
        break;
      case 3:
        options.insert(options.end(), {8, 10, random.byte(), random.byte(), random.byte(),
                                       random.byte(), 0, 0, 0, random.byte()});
        break;
      case 4:
        options.insert(options.end(), 1 + random.below(3), 1);
        break;
      case 5:
        options.insert(options.end(), {random.byte(), 3, random.byte()});
        break;
      case 6:  // shorter than it must be
        options.insert(options.end(), {2, random.of<std::uint8_t>({2, 3}), random.byte()});
        break;
      default:  // runs over the end, or has no length
        options.insert(options.end(), {random.of<std::uint8_t>({2, 3, 8}),
                                       random.of<std::uint8_t>({0, 1, 12, 40})});
        break;
    }
  }
  options.resize(std::min(kMost, (options.size() + 3) / 4 * 4));
  bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(start + kTcpHeader), options.begin(),
               options.end());
  bytes[start + 12] = static_cast<std::uint8_t>((kTcpHeader + options.size()) / 4 << 4 |
                                                (bytes[start + 12] & 0x0f));
  fix_length(packet);
  fix_transport_checksum(packet);
}

void twist_transport(eval::Packet& packet, Random& random) {
  const std::size_t start = fixed_header(packet);
  const std::uint8_t kind = protocol(packet);
  Bytes& bytes = packet.bytes;
  const std::size_t size = bytes.size() - start;
  bool checksum = true;
  if (kind == net::protocol::kTcp && size >= 20) {
    if (random.percent(60)) {
      bytes[start + 12] = static_cast<std::uint8_t>(random.below(16) << 4 | random.below(16));
    } else {
      eval::put_be32(bytes.data() + start + 4, static_cast<std::uint32_t>(random.next()));
      eval::put_be32(bytes.data() + start + 8, static_cast<std::uint32_t>(random.next()));
      eval::put_be16(bytes.data() + start + 14, random.word());
    }
  } else if (kind == net::protocol::kUdp && size >= 8) {
    switch (random.below(3)) {
      case 0:
        eval::put_be16(bytes.data() + start + 4,
                       random.percent(50)
                           ? random.below(16)
                           : static_cast<std::uint32_t>(size + 8 - random.below(16)));
        break;
      case 1:
        eval::put_be16(bytes.data() + start + 6, 0);
        checksum = false;
        break;
      default:  // shorter than what follows: allowed
        eval::put_be16(bytes.data() + start + 4, 8 + random.below(size - 8 + 1));
        break;
    }
  } else if (kind == net::protocol::kSctp && size >= 16) {
    bytes[start + 12] =
        random.percent(70) ? static_cast<std::uint8_t>(random.below(15)) : random.byte();
    if (random.percent(40)) {
      eval::put_be32(bytes.data() + start + 4, static_cast<std::uint32_t>(random.next()));
    }
    if (random.percent(30)) eval::put_be16(bytes.data() + start + 14, random.below(40));
  }
  if (checksum && random.percent(85)) fix_transport_checksum(packet);
}

void flip_bytes(eval::Packet& packet, Random& random) {
  const std::size_t start = fixed_header(packet);
  if (packet.bytes.size() <= start) return;
  for (std::uint32_t left = 1 + random.below(3); left > 0; --left) {
    const std::size_t window = std::min<std::size_t>(packet.bytes.size() - start, 24);
    packet.bytes[start + random.below(window)] = random.byte();
  }
  if (random.percent(60)) fix_transport_checksum(packet);
}

void change_length(eval::Packet& packet, Random& random) {
  if (random.percent(50)) {
    packet.bytes.insert(packet.bytes.end(), 1 + random.below(24), random.byte());
  } else {
    packet.bytes.resize(random.below(packet.bytes.size() + 1));
  }
}

void break_header(eval::Packet& packet, Random& random) {
  Bytes& bytes = packet.bytes;
  if (is_ipv6(packet)) {
    switch (random.below(3)) {
      case 0:
        bytes[0] = random.byte();
        break;
      case 1:
        eval::put_be16(bytes.data() + ipv6::kPayloadLength, random.below(bytes.size() + 8));
        break;
      default:
        bytes[ipv6::kNextHeader] = random.byte();
        break;
    }
    return;
  }
  switch (random.below(4)) {
    case 0:
      bytes[ipv4::kChecksum] ^= static_cast<std::uint8_t>(1 + random.below(255));
      break;
    case 1:
      eval::put_be16(bytes.data() + ipv4::kTotalLength, random.below(bytes.size() + 8));
      fix_header_checksum(packet);
      break;
    case 2:
      bytes[0] = static_cast<std::uint8_t>(0x40 | random.below(16));
      fix_header_checksum(packet);
      break;
    default:
      bytes[6] = random.byte();  // reserved bit, flags, offset
      fix_header_checksum(packet);
      break;
  }
}

}  // namespace rolewall::kernel_judge
