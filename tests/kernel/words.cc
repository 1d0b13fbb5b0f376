#include "words.h"

#include <fmt/format.h>

#include "eval/dissect.h"
#include "eval/wire.h"
#include "net/protocol.h"

namespace rolewall::kernel_judge {
namespace {

std::string transport(eval::ByteSpan bytes, std::uint8_t number) {
  if (net::has_ports(number) && bytes.size() >= 4) {
    std::string words =
        fmt::format(" ports {} > {}", eval::be16(bytes.data()), eval::be16(bytes.data() + 2));
    if (number == net::protocol::kTcp && bytes.size() >= 14) {
      words += fmt::format(" flags {:#04x} doff {}", bytes[13], bytes[12] >> 4);
    }
    if (number == net::protocol::kSctp && bytes.size() >= 13) {
      words += fmt::format(" chunk {}", bytes[12]);
    }
    return words;
  }
  if ((number == net::protocol::kIcmp || number == net::protocol::kIcmpv6) && bytes.size() >= 2) {
    return fmt::format(" type {} code {}", bytes[0], bytes[1]);
  }
  return "";
}

std::string headers(const eval::Packet& packet) {
  const eval::ByteSpan bytes = packet.bytes;
  const bool v6 = packet.ether_type == eval::kEtherTypeIpv6;
  if (bytes.size() < (v6 ? eval::ipv6::kHeaderSize : eval::ipv4::kHeaderSize)) return "cut header";
  const net::Address source = v6 ? net::Address(net::ipv6_from_bytes(bytes.data() + 8))
                                 : net::Address(net::ipv4_from_bytes(bytes.data() + 12));
  const net::Address destination = v6 ? net::Address(net::ipv6_from_bytes(bytes.data() + 24))
                                      : net::Address(net::ipv4_from_bytes(bytes.data() + 16));
  const eval::Dissection seen = v6 ? eval::dissect_ipv6(bytes) : eval::dissect_ipv4(bytes);
  std::string words = fmt::format("{} > {}", net::format(source), net::format(destination));
  if (!seen.has_protocol) return words + " no transport protocol";
  words += fmt::format(" protocol {}", seen.protocol);
  if (seen.fragment_offset != 0) {
    return words + fmt::format(" fragment at {}", seen.fragment_offset);
  }
  if (seen.transport >= bytes.size()) return words + " without transport header";
  return words + transport(bytes.subspan(seen.transport), seen.protocol);
}

}  // namespace

std::string in_words(const Question& question) {
  const eval::Packet& packet = question.packet;
  std::string words = headers(packet);
  words += question.outbound ? " out=" + packet.out_device : " in=" + packet.in_device;
  if (packet.user) words += fmt::format(" user={}", *packet.user);
  return words + fmt::format(", {} bytes", packet.bytes.size());
}

std::string in_hex(const eval::Packet& packet) {
  std::string text;
  for (const std::uint8_t byte : packet.bytes) text += fmt::format("{:02x}", byte);
  return text;
}

}  // namespace rolewall::kernel_judge
