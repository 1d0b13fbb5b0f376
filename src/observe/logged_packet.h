// What a log line's packet is, as far as its first bytes say: enough for people's words, and for
// the rule that would admit it. It decides nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "net/address.h"
#include "netlink/attributes.h"

namespace rolewall::observe {

struct PacketHead {
  net::Address from;
  net::Address to;
  std::uint8_t protocol = 0;
  std::uint16_t from_port = 0;  // 0 where there is none
  std::uint16_t to_port = 0;
  std::optional<std::uint8_t> icmp_type;
  std::uint8_t tcp_flags = 0;
  std::uint32_t length = 0;  // as its header says
  bool is_later_fragment = false;
  // Its ports, or its type of ICMP, are not among the bytes: of a later fragment, and behind more
  // headers than are logged. Which service it is for nobody can tell.
  bool lacks_service = false;
};

// Of TCP, not the first of a connection: it asks for nothing.
bool is_of_the_middle(const PacketHead& packet);

// std::nullopt for what is no whole IP header.
std::optional<PacketHead> packet_head(netlink::View bytes);

// "tcp 192.0.2.7:40000 > 10.0.2.10:443 flags=syn": words that `eval` reads back, without ports
// where they are not known.
std::string packet_words(const PacketHead& packet);

}  // namespace rolewall::observe
