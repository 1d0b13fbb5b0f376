#include "generator.h"

#include <algorithm>
#include <span>

#include "base/check.h"
#include "breakage.h"
#include "eval/build.h"
#include "eval/wire.h"
#include "net/protocol.h"
#include "random.h"

namespace rolewall::kernel_judge {
namespace {

std::vector<net::Address> parse_all(std::initializer_list<const char*> texts) {
  std::vector<net::Address> addresses;
  for (const char* text : texts) {
    const auto address = net::parse_address(text);
    CHECK(address.has_value(), "an address of this file's own");
    addresses.push_back(*address);
  }
  return addresses;
}

const std::vector<net::Address>& groups(bool ipv4) {
  static const auto kIpv4 = parse_all({"224.0.0.1", "224.0.0.2", "224.0.0.18", "224.0.0.22",
                                       "224.0.0.251", "232.1.1.1", "239.255.255.250"});
  static const auto kIpv6 =
      parse_all({"ff02::1", "ff02::2", "ff02::12", "ff02::16", "ff02::fb", "ff02::1:ff00:10",
                 "ff05::2", "ff0e::1", "ff01::1", "ff00::1"});
  return ipv4 ? kIpv4 : kIpv6;
}

const std::vector<net::Address>& oddities(bool ipv4) {
  static const auto kIpv4 =
      parse_all({"0.0.0.0", "0.0.0.1", "127.0.0.1", "127.255.255.255", "169.254.0.1", "192.0.2.1",
                 "198.18.0.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.254",
                 "255.255.255.255"});
  static const auto kIpv6 = parse_all(
      {"::", "::1", "::2", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "fe80::1",
       "fe80::ffff:ffff:ffff:ffff", "fec0::1", "64:ff9b::1", "100::1", "2002:7f00:1::1", "2001::1",
       "2001:db8::1", "ff02::1", "ff00::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"});
  return ipv4 ? kIpv4 : kIpv6;
}

std::uint64_t hash(std::string_view text) {
  std::uint64_t value = 0xcbf29ce484222325;
  for (const char c : text) value = (value ^ static_cast<std::uint8_t>(c)) * 0x100000001b3;
  return value;
}

// The packet that is being made.
struct Draft {
  Random& random;
  const Boundaries& boundaries;
  const std::vector<net::Address>& own;
  const std::vector<net::Address>& shared;
  bool ipv4 = true;

  net::Address anywhere() {
    if (ipv4) return net::Ipv4{static_cast<std::uint32_t>(random.next())};
    // Mostly where addresses are given out.
    const net::Uint128 top =
        random.percent(70) ? 0x2001'0db8'0000'0000 | random.below(4) << 16 : random.next();
    return net::Ipv6{top << 64 | random.next()};
  }
  net::Address boundary() {
    const auto& known = ipv4 ? boundaries.ipv4 : boundaries.ipv6;
    return known.empty() ? anywhere() : random.of(known);
  }
  // Of the host's networks, what is no address of one host: broadcast, anycast.
  net::Address shared_address() { return shared.empty() ? boundary() : random.of(shared); }
  net::Address own_address() { return own.empty() ? anywhere() : random.of(own); }

  net::Address remote() {
    switch (random.weighted({60, 18, 8, 8, 3, 3})) {
      case 0:
        return boundary();
      case 1:
        return anywhere();
      case 2:
        return own_address();
      case 3:
        return random.of(oddities(ipv4));
      case 4:
        return random.of(groups(ipv4));
      default:
        return shared_address();
    }
  }
  net::Address local() {
    switch (random.weighted({70, 5, 3, 8, 4, 4, 6})) {
      case 0:
        return own_address();
      case 1:
        return boundary();
      case 2:
        return anywhere();
      case 3:
        return random.of(groups(ipv4));
      case 4:
        return random.of(oddities(ipv4));
      case 5:
        return ipv4 ? net::Address(net::Ipv4{0xffffffff}) : random.of(groups(false));
      default:
        return shared_address();
    }
  }

  // Of this host, over its loopback.
  net::Address within() {
    if (random.percent(60)) return own_address();
    return ipv4 ? net::Address(net::Ipv4{0x7f000001}) : net::Address(net::Ipv6{1});
  }

  std::uint16_t port() {
    if (boundaries.ports.empty() || random.percent(15)) return random.word();
    return random.of(boundaries.ports);
  }

  std::uint8_t protocol_number() {
    const std::uint8_t icmp = ipv4 ? net::protocol::kIcmp : net::protocol::kIcmpv6;
    switch (random.weighted({42, 22, 14, 6, 2, 7, 7})) {
      case 0:
        return net::protocol::kTcp;
      case 1:
        return net::protocol::kUdp;
      case 2:
        return icmp;
      case 3:
        return net::protocol::kSctp;
      case 4:
        return ipv4 ? net::protocol::kIcmpv6 : net::protocol::kIcmp;
      case 5:
        return boundaries.protocols.empty() ? random.byte() : random.of(boundaries.protocols);
      default:
        return random.of<std::uint8_t>(
            {2, 4, 33, 41, 47, 50, 51, 59, 89, 103, 112, 136, 255, random.byte(), random.byte()});
    }
  }

  std::uint8_t icmp_type() {
    if (boundaries.icmp_types.empty() || random.percent(40)) return random.byte();
    return random.of(boundaries.icmp_types);
  }

  std::uint8_t tcp_flags() {
    switch (random.weighted({60, 8, 8, 24})) {
      case 0:
        return 0x02;
      case 1:
        return 0x12;
      case 2:
        return random.of<std::uint8_t>({0x00, 0x01, 0x03, 0x04, 0x10, 0x11, 0x14, 0x29, 0x3f});
      default:
        return random.byte();
    }
  }

  std::uint32_t length() {
    switch (random.weighted({66, 18, 11, 5})) {
      case 0:
        return 64;
      case 1:
        return 20 + random.below(200);
      case 2:
        return 200 + random.below(1400);
      default:
        return 1600 + random.below(8000);
    }
  }

  eval::PacketFields fields(bool outbound) {
    eval::PacketFields fields;
    fields.source = outbound && random.percent(85) ? own_address() : remote();
    fields.destination = outbound ? remote() : local();
    fields.protocol = protocol_number();
    fields.source_port = random.percent(60) ? 40000 : port();
    fields.destination_port = port();
    fields.tcp_flags = tcp_flags();
    fields.icmp_type = icmp_type();
    fields.icmp_code = random.percent(80) ? 0 : random.byte();
    fields.ttl = random.percent(85) ? 64 : random.of<std::uint8_t>({0, 1, 2, 254, 255});
    fields.length = length();
    if (random.percent(8)) {
      fields.fragment_offset =
          random.percent(40) ? 0 : static_cast<std::uint16_t>(random.below(30) * 8);
      fields.more_fragments = random.percent(60) || fields.fragment_offset == 0;
    }
    if (random.percent(7)) fields.truncate_transport_to = random.below(21);
    fields.bad_checksum = random.percent(5);
    fields.dont_fragment =
        fields.fragment_offset == 0 && !fields.more_fragments && random.percent(30);
    return fields;
  }
};

// Ways to break a packet that arrives. What a local program sends has a whole IP header: the kernel
// writes or checks it.
void unsettle(eval::Packet& packet, Random& random, bool outbound) {
  if (!random.percent(28)) return;
  switch (
      random.weighted({40, outbound ? 0U : 8U, 25, 15, outbound ? 0U : 10U, outbound ? 0U : 8U})) {
    case 0:
      add_extension_headers(packet, random);
      break;
    case 1:
      add_ip_options(packet, random);
      break;
    case 2:
      twist_transport(packet, random);
      break;
    case 3:
      flip_bytes(packet, random);
      break;
    case 4:
      change_length(packet, random);
      break;
    default:
      break_header(packet, random);
      break;
  }
}

bool contains(const std::vector<net::Address>& addresses, const net::Address& address) {
  return std::ranges::find(addresses, address) != addresses.end();
}

// Destinations to which the routing of a local program's packet has no way: it meets no hook.
bool unroutable(const net::Address& address) {
  if (const auto* ipv4 = std::get_if<net::Ipv4>(&address)) return ipv4->value >> 24 == 0;
  const auto value = std::get<net::Ipv6>(address).value;
  return value == 0 || value >> 96 == 0xffff;  // "::", and IPv4-mapped ones
}

net::Address destination_in(const eval::Packet& packet) {
  if (packet.ether_type == eval::kEtherTypeIpv6) {
    return net::ipv6_from_bytes(packet.bytes.data() + eval::ipv6::kDestination);
  }
  return net::ipv4_from_bytes(packet.bytes.data() + eval::ipv4::kDestination);
}

// One or two things about a known packet, changed.
void change(Known& known, Draft& draft, const ruleset::Host& host) {
  Random& random = draft.random;
  eval::PacketFields& fields = known.fields;
  net::Address& remote = known.outbound ? fields.destination : fields.source;
  net::Address& local = known.outbound ? fields.source : fields.destination;
  for (std::uint32_t left = 1 + random.below(2); left > 0; --left) {
    switch (random.weighted({20, 15, 5, 15, 5, 10, 5, 10, 5, 5, 5})) {
      case 0:
        remote = draft.boundary();
        break;
      case 1:
        std::visit([&](auto& address) { address.value += random.percent(50) ? 1U : ~0U; }, remote);
        break;
      case 2:
        local = draft.local();
        break;
      case 3:
        fields.destination_port = draft.port();
        break;
      case 4:
        fields.source_port = draft.port();
        break;
      case 5:
        fields.tcp_flags = draft.tcp_flags();
        break;
      case 6:
        fields.protocol = draft.protocol_number();
        break;
      case 7:
        known.device = random.of(host.interfaces).device;
        break;
      case 8:
        fields.more_fragments = true;
        fields.fragment_offset = static_cast<std::uint16_t>(random.below(3) * 8);
        break;
      case 9:
        fields.icmp_type = draft.icmp_type();
        break;
      default:
        fields.length = draft.length();
        break;
    }
  }
}

}  // namespace

eval::PacketType type_of(const net::Address& destination) {
  if (destination == net::Address(net::Ipv4{0xffffffff})) return eval::PacketType::Broadcast;
  const auto first = net::to_bytes(destination)[0];
  const bool group = net::is_ipv4(destination) ? first >> 4 == 14 : first == 0xff;
  return group ? eval::PacketType::Multicast : eval::PacketType::Host;
}

// What a program sends to a group or to everybody meets the postrouting hook twice: as a copy for
// this host, which has lost its socket, and as itself (ip_mc_output() of net/ipv4/ip_output.c). And
// where it names no source, the kernel fills one in. The trace does not tell these apart.
//
// And a link-local address is one device's: what comes in by the loopback's far end has lost the
// route that it was sent by.
bool is_sent_as_asked(const Question& question) {
  const auto link_local = [](const auto& bytes, std::size_t at) {
    return bytes[at] == 0xfe && (bytes[at + 1] & 0xc0) == 0x80;
  };
  if (!question.outbound) {
    return question.packet.in_device != "lo" ||
           question.packet.ether_type != eval::kEtherTypeIpv6 ||
           question.packet.bytes.size() < 40 || !link_local(question.packet.bytes, 24);
  }
  const auto& bytes = question.packet.bytes;
  if (unroutable(destination_in(question.packet))) return false;
  if (question.packet.ether_type == eval::kEtherTypeIpv6) {
    const std::span source(bytes.data() + 8, 16);
    return bytes[24] != 0xff && !std::ranges::all_of(source, [](auto byte) { return byte == 0; });
  }
  const std::span source(bytes.data() + 12, 4);
  return bytes[16] < 224 && !std::ranges::all_of(source, [](auto byte) { return byte == 0; });
}

Question to_question(const Known& known) {
  Question question{eval::build(known.fields), known.outbound};
  if (known.outbound) {
    question.packet.out_device = known.device;
    question.packet.user = known.user.value_or(0);
    question.packet.group = 0;
  } else {
    question.packet.in_device = known.device;
    question.packet.type =
        known.device == "lo" ? eval::PacketType::Host : type_of(known.fields.destination);
  }
  return question;
}

Generator::Generator(const Boundaries& boundaries, const ruleset::Host& host,
                     const std::vector<Known>& known, std::uint64_t seed, bool other_users)
    : boundaries_(boundaries),
      host_(host),
      known_(known),
      seed_(seed ^ hash(host.name)),
      other_users_(other_users) {
  for (const auto* list : {&host.addresses, &host.virtual_addresses}) {
    for (const auto& prefix : *list) {
      auto& own = net::is_ipv4(prefix.address) ? own_ipv4_ : own_ipv6_;
      own.push_back(prefix.address);
    }
  }
  if (!host.routes) return;
  for (const ruleset::Route& route : *host.routes) {
    using ruleset::RouteType;
    if (route.type != RouteType::Broadcast && route.type != RouteType::Anycast) continue;
    if (net::is_loopback(route.to.address)) continue;
    (net::is_ipv4(route.to.address) ? shared_ipv4_ : shared_ipv6_).push_back(route.to.address);
  }
}

Question Generator::question(std::uint64_t number) const {
  Random random(Random(seed_ + number * 0x9e3779b97f4a7c15).next());
  Known known;
  const bool near = !known_.empty() && random.percent(40);
  if (near) known = random.of(known_);
  const bool ipv4 = near ? net::is_ipv4(known.fields.source) : random.percent(50);
  Draft draft{random, boundaries_, ipv4 ? own_ipv4_ : own_ipv6_, ipv4 ? shared_ipv4_ : shared_ipv6_,
              ipv4};
  if (near) {
    if (random.percent(85)) change(known, draft, host_);
  } else {
    known.outbound = random.percent(25);
    known.device = random.of(host_.interfaces).device;
    known.fields = draft.fields(known.outbound);
    if (!known.outbound && random.percent(3)) {
      known.device = "lo";
      known.fields.source = draft.within();
      known.fields.destination = draft.within();
    }
  }
  if (known.outbound) {
    while (unroutable(known.fields.destination)) known.fields.destination = draft.remote();
    const net::Address& to = known.fields.destination;
    if (contains(draft.own, to) || net::is_loopback(to)) known.device = "lo";
    if (other_users_ && random.percent(near ? 10 : 40)) {
      known.user = boundaries_.users.empty() || random.percent(30)
                       ? random.of<std::uint32_t>({1, 33, 1000, 65534})
                       : random.of(boundaries_.users);
    }
  }

  Question question = to_question(known);
  // Of another seed's too: the kernel keeps pieces longer than a ruleset lasts.
  constexpr std::uint64_t kMostPackets = 1021;
  make_fragment_unique(question.packet, seed_ * kMostPackets + number);
  unsettle(question.packet, random, question.outbound);
  if (!known.outbound && known.device != "lo" && random.percent(3)) {
    question.packet.type = random.of({eval::PacketType::Host, eval::PacketType::Broadcast,
                                      eval::PacketType::Multicast, eval::PacketType::OtherHost});
  }
  return question;
}

}  // namespace rolewall::kernel_judge
