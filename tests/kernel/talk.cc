#include "talk.h"

#include <algorithm>

#include "eval/checksum.h"
#include "eval/wire.h"
#include "net/protocol.h"

namespace rolewall::kernel_judge {
namespace {

namespace protocol = net::protocol;

constexpr std::uint8_t kNoPorts = 253;  // "for experimentation" (RFC 3692)

std::vector<net::Address> addresses(std::initializer_list<const char*> texts) {
  std::vector<net::Address> all;
  for (const char* text : texts) all.push_back(net::parse_prefix(text)->address);
  return all;
}

bool contains(const std::vector<net::Address>& all, const net::Address& address) {
  return std::ranges::find(all, address) != all.end();
}

bool has_two_ports(std::uint8_t protocol) {
  return protocol == protocol::kTcp || protocol == protocol::kUdp || protocol == protocol::kUdpLite;
}

// With an option or an extension header before the transport's: what nobody acts upon.
Bytes dressed(const Bytes& packet, Random& random) {
  const bool ipv6 = packet[0] >> 4 == 6;
  const std::size_t header = ipv6 ? 40 : 20;
  Bytes bytes(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(header));
  Bytes between = ipv6 ? Bytes{packet[6], 0, 1, 4, 0, 0, 0, 0} : Bytes{1, 1, 1, 0};
  if (ipv6) {
    // Padding within a destination or hop-by-hop header, of one block or two.
    if (random.percent(30)) {
      between[1] = 1;
      between[3] = 12;
      between.resize(16);
    }
    bytes[6] = random.percent(70) ? 60 : 0;
  } else {
    bytes[0] = 0x46;
  }
  bytes.insert(bytes.end(), between.begin(), between.end());
  bytes.insert(bytes.end(), packet.begin() + static_cast<std::ptrdiff_t>(header), packet.end());
  if (ipv6) {
    eval::put_be16(bytes.data() + 4, static_cast<std::uint32_t>(bytes.size() - 40));
  } else {
    eval::put_be16(bytes.data() + 2, static_cast<std::uint32_t>(bytes.size()));
    eval::put_be16(bytes.data() + 10, 0);
    eval::put_be16(bytes.data() + 10, eval::internet_checksum(eval::ByteSpan(bytes).first(24)));
  }
  return bytes;
}

bool is_own(const Neighbourhood& around, const net::Address& address) {
  return contains(around.outer, address) || contains(around.inner, address);
}

}  // namespace

Neighbourhood neighbourhood(bool ipv6) {
  if (ipv6) {
    return {addresses({"2001:db8:9::1", "2001:db8:9::8"}),
            addresses({"2001:db8:9:1::1", "2001:db8:9:1::2"}),
            addresses({"2001:db8::9", "2001:db8:ffff::1"}),
            addresses({"2001:db8:9:1::5", "2001:db8:9:1::77"})};
  }
  return {addresses({"198.51.100.7", "198.51.100.8", "203.0.113.7"}),
          addresses({"10.9.1.1", "10.9.1.2"}), addresses({"192.0.2.9", "203.0.113.200"}),
          addresses({"10.9.1.5", "10.9.1.77"})};
}

// The device by which a packet that the host on trial itself sends leaves: it has more addresses
// than its neighbours ask for, and translations bring these in.
std::string Talk::way_to(const net::Address& address) const {
  using ruleset::RouteType;
  const ruleset::Route* route = routes_.find(address);
  if (route == nullptr) return "eth0";
  const bool stays = route->type == RouteType::Local || route->type == RouteType::Anycast;
  return stays || route->device.empty() ? "lo" : route->device;
}

// Where conversations seldom go: to all of a network, and from the host to itself.
void Talk::vary_ends(const Neighbourhood& around) {
  Speaker& asks = client_.speaks;
  if (random_.percent(8)) {
    asks.source = random_.of(around.outer);
    asks.destination = random_.of(random_.percent(50) ? around.outer : around.inner);
  } else if (random_.percent(6) && !is_own(around, asks.source)) {
    const bool within = contains(around.inside, asks.source);
    const char* all = ipv6_    ? random_.of({"ff02::1", "ff02::fb", "2001:db8:9:1::"})
                      : within ? random_.of({"10.9.1.255", "255.255.255.255", "224.0.0.1"})
                               : random_.of({"255.255.255.255", "224.0.0.251", "224.0.0.1"});
    asks.destination = *net::parse_address(all);
  }
  if (random_.percent(5)) protocol_ = protocol::kUdpLite;
  if (random_.percent(4)) protocol_ = protocol::kGre;
}

Talk::Talk(std::uint64_t seed, const ruleset::Host& host, bool one_device, bool varied)
    : random_(Random(seed).next()),
      routes_(host),
      varied_(varied),
      inner_device_(one_device ? "eth0" : "eth1") {
  ipv6_ = random_.percent(35);
  const std::uint8_t ping = ipv6_ ? protocol::kIcmpv6 : protocol::kIcmp;
  protocol_ = random_.of({protocol::kTcp, protocol::kTcp, protocol::kTcp, protocol::kUdp, ping});
  if (random_.percent(6)) protocol_ = random_.of<std::uint8_t>({protocol::kGre, kNoPorts});
  picked_up_ = protocol_ == protocol::kTcp && random_.percent(15);

  const Neighbourhood around = neighbourhood(ipv6_);
  const auto place = [&](const net::Address& address) -> std::string {
    if (is_own(around, address)) return "";
    return contains(around.inside, address) ? inner_device_ : "eth0";
  };
  Speaker& asks = client_.speaks;
  switch (random_.weighted({30, 10, 15, 10, 20, 15})) {
    case 0:
      asks.source = random_.of(around.outside);
      asks.destination = random_.of(around.outer);
      break;
    case 1:
      asks.source = random_.of(around.inside);
      asks.destination = random_.of(random_.percent(50) ? around.outer : around.inner);
      break;
    case 2:
      asks.source = random_.of(around.outer);
      asks.destination = random_.of(around.outside);
      break;
    case 3:
      asks.source = random_.of(around.inner);
      asks.destination = random_.of(around.inside);
      break;
    case 4:
      asks.source = random_.of(around.inside);
      asks.destination = random_.of(around.outside);
      break;
    default:
      asks.source = random_.of(around.outside);
      asks.destination = random_.of(around.inside);
      break;
  }
  if (varied_) vary_ends(around);
  asks.protocol = protocol_;
  asks.source_port = random_.of<std::uint16_t>({40000, 40001, 1023, 300});
  asks.destination_port = random_.of<std::uint16_t>({22, 80, 443, 53});
  if (!has_two_ports(protocol_)) asks.destination_port = asks.source_port;
  client_.device = place(asks.source);
  // Until a packet has come through: the one who was asked.
  server_.device = place(asks.destination);
  first_destination_ = asks.destination;
  first_port_ = asks.destination_port;
  first_device_ = server_.device;
  server_.speaks = {asks.destination, asks.source, protocol_, asks.destination_port,
                    asks.source_port};
  // Nobody speaks from a group's address: this host answers, as itself.
  if (type_of(asks.destination) != eval::PacketType::Host) {
    server_.speaks.source = random_.of(around.outer);
    server_.device = first_device_ = "";
  }
  for (End* end : {&client_, &server_}) set_out(*end);
  if (picked_up_) {
    client_.heard = server_.sequence;
    server_.heard = client_.sequence;
  }
}

void Talk::set_out(End& from) {
  from.sequence = random_.percent(20) ? 0xfffffff0 : static_cast<std::uint32_t>(random_.next());
  from.window = random_.of<std::uint16_t>({0, 1, 100, 1000, 5000, 65535});
  from.scale = static_cast<std::uint8_t>(random_.below(16));
  from.has_sack = random_.percent(50);
}

// The same client's next connection to the same server; what becomes of the last one is not heard.
void Talk::begin_another() {
  Speaker& asks = client_.speaks;
  const bool has_ports = has_two_ports(protocol_);
  ++asks.source_port;
  if (!has_ports) asks.destination_port = asks.source_port;
  asks = {asks.source, first_destination_, protocol_, asks.source_port,
          has_ports ? first_port_ : asks.source_port};
  server_.speaks = {server_.speaks.source, asks.source, protocol_, asks.destination_port,
                    asks.source_port};
  if (type_of(asks.destination) == eval::PacketType::Host) server_.speaks.source = asks.destination;
  server_.device = first_device_;
  for (End* end : {&client_, &server_}) {
    set_out(*end);
    end->heard = 0;
    end->said.clear();
    end->last_heard.reset();
  }
  picked_up_ = false;
  step_ = 0;
}

Bytes Talk::wrap(const End& from, Bytes transport) const {
  return datagram(from.speaks.source, from.speaks.destination, protocol_, std::move(transport));
}

Question Talk::question(const End& from, Bytes bytes) {
  Question question;
  eval::Packet& packet = question.packet;
  packet.ether_type = ipv6_ ? eval::kEtherTypeIpv6 : eval::kEtherTypeIpv4;
  plain_ = std::move(bytes);
  packet.bytes = varied_ && random_.percent(8) ? dressed(plain_, random_) : plain_;
  packet.type = type_of(speaker_of(plain_).destination);
  question.outbound = from.device.empty();
  strayed_ = false;
  if (question.outbound) {
    packet.user = 0;  // by a raw socket
    const net::Address to = speaker_of(packet.bytes).destination;
    packet.out_device = way_to(to);
  } else {
    packet.in_device = from.device;
    // Now and then by the wrong device: what rp_filter asks about.
    strayed_ = inner_device_ != "eth0" && random_.percent(4);
    if (strayed_) {
      packet.in_device = from.device == "eth0" ? inner_device_ : "eth0";
    }
  }
  return question;
}

Bytes Talk::options_of(End& from, bool syn) {
  if (syn) {
    Bytes options;
    if (from.has_sack) options.insert(options.end(), {4, 2, 1, 1});
    if (random_.percent(60)) options.insert(options.end(), {3, 3, from.scale, 1});
    if (random_.percent(10)) options.insert(options.end(), {3, 9, 1, 1});  // longer than there is
    return options;
  }
  if (!random_.percent(15)) return {};
  // A block that was received apart from the rest.
  const std::uint32_t left = from.heard + 100;
  const std::uint32_t right = left + random_.of<std::uint32_t>({10, 100, 70000});
  Bytes options{1, 1, 5, 10};
  for (const std::uint32_t edge : {left, right}) {
    for (int shift = 24; shift >= 0; shift -= 8) {
      options.push_back(static_cast<std::uint8_t>(edge >> shift));
    }
  }
  return options;
}

TcpSegment Talk::segment(End& from, std::uint8_t flags, std::uint32_t data) {
  return {.source_port = from.speaks.source_port,
          .destination_port = from.speaks.destination_port,
          .sequence = from.sequence,
          .ack = (flags & kAck) != 0 ? from.heard : 0,
          .flags = flags,
          .window = from.window,
          .options = options_of(from, (flags & kSyn) != 0),
          .data = data};
}

// What a right conversation has next: the handshake, data, and the end.
Bytes Talk::in_order(bool from_client) {
  End& from = end(from_client);
  TcpSegment next;
  const auto data = [&] { return random_.of<std::uint32_t>({0, 0, 1, 100, 1000}); };
  const bool begun = from_client ? step_ > 0 : step_ > 1;
  if (!begun && !from_client && random_.percent(15)) {
    next = segment(from, kRst | kAck, 0);  // there is nobody
  } else if (!begun && !picked_up_) {
    next = segment(from, from_client ? kSyn : kSyn | kAck, 0);
  } else if (random_.percent(12)) {
    next = segment(from, kFin | kAck, 0);
  } else {
    next = segment(from, random_.percent(30) ? kAck | kPsh : kAck, data());
  }
  from.sequence += next.data + ((next.flags & (kSyn | kFin)) != 0 ? 1 : 0);
  return wrap(from, tcp(next));
}

Bytes Talk::out_of_order(bool from_client) {
  End& from = end(from_client);
  const auto off = [&] {
    return random_.of<std::uint32_t>(
        {1, 5, 100, 1000, 70000, 5000000, 0xffffffff, 0xffffff9c, 0xfffc0000});
  };
  TcpSegment next = segment(from, kAck, random_.of<std::uint32_t>({0, 1, 100}));
  switch (random_.weighted({20, 15, 15, 15, 10, 8, 7, 5, 5})) {
    case 0:
      next.sequence += off();
      break;
    case 1:
      next.ack += off();
      break;
    case 2:
      next = segment(from, random_.percent(50) ? kRst : kRst | kAck, 0);
      if (random_.percent(60)) next.sequence = random_.percent(30) ? 0 : next.sequence + off();
      if (random_.percent(20)) next.ack = 0;
      break;
    case 3:
      next = segment(from, random_.percent(50) ? kSyn : kSyn | kAck, 0);
      if (random_.percent(50)) next.sequence += off();
      if (random_.percent(30)) next.ack += off();
      break;
    case 4:
      if (!from.said.empty()) return random_.of(from.said);
      break;
    case 5:
      next = segment(from, kFin | kAck, 0);
      break;
    case 6:
      next.window = random_.of<std::uint16_t>({0, 1, 65535});
      break;
    case 7:
      next.flags = random_.of<std::uint8_t>({0, kFin, kSyn | kFin, kSyn | kRst, kPsh, 63});
      break;
    default: {
      Bytes broken = wrap(from, tcp(next));
      broken.back() ^= 0x10;  // whatever it is, the checksum no longer fits
      return broken;
    }
  }
  return wrap(from, tcp(next));
}

// GRE's version 1, PPTP's: a call id stands where ports might. Not all carry PPP, or are whole.
Bytes Talk::point_to_point() {
  const std::uint8_t call = random_.of<std::uint8_t>({7, 7, 9});
  Bytes bytes{0x30, 0x01, 0x88, 0x0b, 0, 4, 0, call, 0, 0, 0, 1, 'd', 'd', 'd', 'd'};
  if (random_.percent(20)) bytes[3] = 0x0c;
  if (random_.percent(15)) bytes.resize(random_.of<std::size_t>({4, 6, 8}));
  return bytes;
}

// UDP, a protocol without ports, or an echo and its reply.
Bytes Talk::plain(bool from_client) {
  const End& from = end(from_client);
  if (protocol_ == protocol::kUdp || protocol_ == protocol::kUdpLite) {
    Bytes bytes = wrap(from, udp(from.speaks.source_port, from.speaks.destination_port,
                                 random_.of<std::uint32_t>({0, 5, 100})));
    if (random_.percent(5)) bytes.back() ^= 0x10;
    return bytes;
  }
  if (protocol_ == protocol::kGre && varied_) return wrap(from, point_to_point());
  // Zeros are GRE's version 0, too.
  if (protocol_ == protocol::kGre || protocol_ == kNoPorts) return wrap(from, Bytes(12, 0));
  const std::uint16_t id = from.speaks.source_port;
  const Bytes data(8, 'd');
  std::uint8_t asks = ipv6_ ? 128 : random_.percent(90) ? 8 : 13;
  if (varied_ && random_.percent(10)) asks = ipv6_ ? 139 : random_.of<std::uint8_t>({15, 17, 42});
  const std::uint8_t answers = asks == 8 ? 0 : static_cast<std::uint8_t>(asks + 1);
  return wrap(
      from, icmp(from_client ? asks : answers, 0,
                 {static_cast<std::uint8_t>(id >> 8), static_cast<std::uint8_t>(id), 0, 1}, data));
}

// An ICMP error about what this end, or a router on the way to it, has heard last.
Bytes Talk::error_about(const End& from) {
  const Neighbourhood around = neighbourhood(ipv6_);
  net::Address source = from.speaks.source;
  const bool at_host = from.device.empty();
  if (!at_host && random_.percent(30)) {
    const bool inside = inner_device_ == "eth0" ? contains(around.inside, from.speaks.source)
                                                : from.device == inner_device_;
    source = random_.of(inside ? around.inside : around.outside);
  }
  Bytes quoted = *from.last_heard;
  const net::Address to = speaker_of(quoted).source;
  const std::size_t header = ipv6_ ? 40 : 20;
  quoted.resize(std::min(quoted.size(), header + random_.of<std::size_t>({8, 8, 20, 100, 4})));
  if (random_.percent(5)) quoted.resize(header - 1);
  const std::uint8_t type =
      ipv6_ ? random_.of<std::uint8_t>({1, 2, 3}) : random_.of<std::uint8_t>({3, 3, 11, 12, 4, 5});
  const std::uint8_t code = random_.of<std::uint8_t>({0, 1, 3});
  const std::uint8_t protocol = ipv6_ ? protocol::kIcmpv6 : protocol::kIcmp;
  const net::Address target = random_.percent(8) ? random_.of(around.outside) : to;
  // A router of the link knows a better way.
  if (ipv6_ && random_.percent(12)) {
    Bytes body(32, 0);  // the router that it names, and the destination
    body.insert(body.end(), {4, 7, 0, 0, 0, 0, 0, 0});
    body.insert(body.end(), quoted.begin(), quoted.end());
    const net::Address router = *net::parse_address("fe80::9");
    Bytes redirect = datagram(router, target, protocol, icmp(137, 0, {0, 0, 0, 0}, body));
    redirect[7] = random_.percent(90) ? 255 : 64;
    return redirect;
  }
  Bytes bytes = datagram(source, target, protocol, icmp(type, code, {0, 0, 5, 0}, quoted));
  if (random_.percent(4)) bytes.back() ^= 0x10;
  return bytes;
}

Question Talk::next() {
  if (step_ >= 2 && random_.percent(12)) begin_another();
  // Mostly the ends take turns; the first word is the client's.
  const bool from_client = step_ == 0            ? !random_.percent(5)
                           : random_.percent(65) ? !last_from_client_
                                                 : last_from_client_;
  last_from_client_ = from_client;
  End& from = end(from_client);
  Bytes bytes;
  if (from.last_heard && random_.percent(10)) {
    bytes = error_about(from);
  } else if (protocol_ != protocol::kTcp) {
    bytes = plain(from_client);
  } else if (step_ >= 2 && random_.percent(30)) {
    bytes = out_of_order(from_client);
  } else {
    bytes = in_order(from_client);
  }
  ++step_;
  return question(from, std::move(bytes));
}

void Talk::learn(const sandbox::Observation& seen) {
  const bool from_client = last_from_client_;
  End& from = end(from_client);
  End& to = end(!from_client);
  if (speaker_of(plain_).protocol != protocol_) return;
  from.said.push_back(plain_);
  if (seen.fate() != sandbox::Fate::Accept || !seen.after) return;
  const Speaker heard = speaker_of(*seen.after);
  if (heard.protocol != protocol_) return;
  to.last_heard = *seen.after;
  if (from_client) {
    const net::Address answers =
        type_of(heard.destination) == eval::PacketType::Host ? heard.destination : to.speaks.source;
    to.speaks = {answers, heard.source, protocol_, heard.destination_port, heard.source_port};
    to.device = seen.leaves_by == "lo" || answers != heard.destination ? "" : seen.leaves_by;
  }
  if (protocol_ == protocol::kTcp) to.heard = from.sequence;
}

}  // namespace rolewall::kernel_judge
