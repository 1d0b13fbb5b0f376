// All packets: which fields a packet has here, in the order of the diagrams, and which values of
// them are a packet that a host can get.
//
// The space holds whole packets with sound headers: IPv4 without options, IPv6 without extension
// headers, TCP without options, no fragments, right lengths and checksums. What rules read beyond
// that is free (NotModelled). A packet with options that no rule reads meets the same rules as the
// one without them.
//
// Fields come in three kinds. Those of the packet and its facts (conntrack's state among them) are
// what a question is about. Choices are what the kernel draws or knows: a limit's tokens, a random
// number, a socket; every one of their values can come. What is not modelled is free like a choice,
// but not every value of it may come: so an answer that hangs on one is a bound, not the answer.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "analyze/bits.h"
#include "analyze/diagram.h"
#include "analyze/field_order.h"
#include "net/address.h"

namespace rolewall::analyze {

// What a packet has at a moment on its way: rules read these, and may write them.
enum class Part : std::uint8_t {
  Family,  // NFPROTO_IPV4 or _IPV6
  InDevice,
  OutDevice,
  Protocol,
  Destination4,
  Destination6,
  Source4,
  Source6,
  Transport2,  // from here: bytes of the transport header, by where they begin
  Transport0,
  Flags,  // byte 13
  Transport4,
  Transport8,
  Transport12,
  Transport14,
  Transport16,
  Transport18,
  TrafficClass,
  FlowLabel,
  DontFragment,
  TimeToLive,
  Identification,
  Length,
  Type,  // PACKET_HOST and its like
  // Beside the packet; known to be zero where it comes in.
  Mark,
  Priority,
  CtMark,
  CtStatus,
  CtLabels,
  // The same of a connection that was known before: what earlier packets made of it is free.
  KnownMark,
  KnownLabels,
};
inline constexpr unsigned kAddressField = 32;  // bits
inline constexpr std::size_t kPartCount = static_cast<std::size_t>(Part::KnownLabels) + 1;

enum class FieldKind : std::uint8_t { Packet, Choice, NotModelled };

// A rule, by its indexes in the ruleset.
struct RulePlace {
  std::uint32_t table = 0;
  std::uint32_t chain = 0;
  std::uint32_t rule = 0;
};

struct FieldFacts {
  FieldKind kind = FieldKind::Packet;
  std::string name;  // "ip saddr", "limit at inet filter input rule 3"
  // Of what is counted: its value while nothing was.
  std::optional<std::uint64_t> unspent = std::nullopt;
  std::optional<RulePlace> asked_by = std::nullopt;  // the one rule that asks, where there is one
};

namespace family {
inline constexpr std::uint64_t kIpv4 = 2;
inline constexpr std::uint64_t kIpv6 = 10;
}  // namespace family

class PacketSpace {
 public:
  // `loose`: conntrack takes a connection's middle for its beginning (nf_conntrack_tcp_loose).
  PacketSpace(Diagrams& diagrams, bool loose, FieldOrder order = FieldOrder::AddressesFirst);

  // Of a packet as it comes.
  const Bits& part(Part part) const { return parts_[static_cast<std::size_t>(part)]; }
  // The first of a part's fields: a device's name has two, one after the other, an IPv6 address
  // four of 32 bits, which is what a rule without a guard for the family reads of it. REQUIRES: it
  // has one.
  FieldId field(Part part) const { return part_fields_[static_cast<std::size_t>(part)]; }
  // Conntrack's state of the packet's connection, a bit of ruleset::ct_state.
  FieldId state() const { return state_; }
  // The owner of the local socket that sends it: whether there is one, and who.
  FieldId has_user() const { return has_user_; }
  FieldId user() const { return user_; }
  FieldId has_group() const { return has_group_; }
  FieldId group() const { return group_; }

  const FieldFacts& facts(FieldId field) const { return facts_[field]; }

  // A free value; the same one for the same name and width. At most 64 bits.
  FieldId free(const std::string& name, unsigned bits, FieldKind kind);
  void set_unspent(FieldId field, std::uint64_t value) { facts_[field].unspent = value; }
  void set_asked_by(FieldId field, const RulePlace& rule) { facts_[field].asked_by = rule; }
  // While nothing was counted: of all that was asked about by now.
  Diagram unspent();
  // The same of any width.
  Bits free_bits(const std::string& name, std::size_t bits, FieldKind kind);

  // Equal rows have one number, whoever asks.
  std::uint32_t number_of(const std::vector<std::uint32_t>& row);
  std::uint32_t number_of(BitSpan bits);

  // Which of the host's own addresses, by its number among `own`, is the first of the device that
  // the packet has come by; the last stands for all greater numbers. REQUIRES: of one family.
  FieldId first_address(std::span<const net::Address> own);

  // What can come at all.
  Diagram packets() const { return packets_; }
  // The packets to which conntrack gives the state that they have, if it knows no connection:
  // nf_conntrack_in() with an empty table. What hangs on bytes that are no fields (SCTP's chunks,
  // GRE's version) may have either.
  Diagram first_packets() const { return first_packets_; }

  Diagram is(Part part, std::uint64_t value);  // of parts of one field
  Diagram is_ipv4() const { return ipv4_; }
  Diagram is_ipv6() const { return ipv6_; }

  // Packets of IPv6 whose next header is an extension header, which to a rule may be the protocol,
  // as AH is: they are none of packets(), for what is behind that header decides about them as
  // well.
  Diagram extended();

  // The packets that are longer than `bytes` from the network header on, or as long.
  Diagram has_length(std::uint64_t bytes);

 private:
  // In fields of `each` bits.
  void add_part(Part part, std::string_view name, unsigned bits, unsigned each = 64);
  FieldId add(std::string name, unsigned bits, FieldKind kind);
  void add_addresses();
  void add_ports();
  void build_packets();
  void build_first_packets(bool loose);

  Diagrams& diagrams_;
  std::vector<FieldFacts> facts_;
  std::array<Bits, kPartCount> parts_;
  std::array<FieldId, kPartCount> part_fields_{};
  FieldId state_ = 0;
  FieldId has_user_ = 0;
  FieldId user_ = 0;
  FieldId has_group_ = 0;
  FieldId group_ = 0;
  std::map<std::pair<std::string, unsigned>, FieldId> free_;
  std::map<std::vector<std::uint32_t>, std::uint32_t> rows_;
  Diagram ipv4_ = kNothing;
  Diagram ipv6_ = kNothing;
  Diagram packets_ = kNothing;
  Diagram first_packets_ = kNothing;
};

}  // namespace rolewall::analyze
