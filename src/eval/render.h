// Register values in the words that people write them in, for explanations: "192.0.2.7", "3306",
// "syn,ack", "eth0".
#pragma once

#include <string>

#include "eval/wire.h"
#include "ruleset/expressions.h"

namespace rolewall::eval {

enum class Format : std::uint8_t {
  Hex,
  Number,      // network order
  HostNumber,  // the host's order
  Ipv4Address,
  Ipv6Address,
  Protocol,
  NfProto,
  EtherType,
  TcpFlags,
  CtState,
  CtStatus,
  PacketType,
  Name,
  Device,     // its index, in the host's order
  TimeOfDay,  // seconds since midnight, in the host's order
  Moment,     // nanoseconds since 1970, in the host's order
  Weekday,
  NetworkTimeOfDay,
  NetworkMoment,
};

// Of a number whose bytes were swapped from the host's order, for comparisons by size.
Format in_network_order(Format format);

// Whether bits of the value are asked for one by one.
bool is_flags(Format format);
bool is_address(Format format);

// An address may be cut to its first bytes, as nft loads a prefix: "10.1.0.0/16".
std::string render(Format format, ByteSpan value);

// A field of a header, in nft's words.
struct Field {
  std::string name;
  Format format = Format::Hex;
  unsigned shift = 0;  // bits of the register's bytes below a field that is no whole bytes
};
std::string render(const Field& field, ByteSpan value);

// By net/fields.h. `mask`: what is left of the loaded bytes; empty where that is all of them.
Field payload_field(const ruleset::Payload& load, ByteSpan mask, bool ipv6, std::uint8_t protocol);
Field meta_field(ruleset::MetaKey key);
Field ct_field(ruleset::CtKey key, bool ipv6);
Field exthdr_field(const ruleset::Exthdr& load);

// "tcp option 2", "ip6 extension header 43".
std::string option_name(ruleset::ExthdrKind kind, std::uint8_t type);

// nft's words: "meta iifname", "ct state".
std::string meta_key_name(ruleset::MetaKey key);
std::string ct_key_name(ruleset::CtKey key);

}  // namespace rolewall::eval
