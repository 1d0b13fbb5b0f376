// The words of a packet as a set of packets, in the space of one host's analysis.
#pragma once

#include <optional>

#include "analyze/analysis.h"
#include "ask/asked_parts.h"

namespace rolewall::ask {

class PacketSets {
 public:
  // `translates`: destinations, so that what arrives for the host may go on.
  PacketSets(analyze::Analysis& analysis, bool translates)
      : d_(analysis.diagrams()),
        space_(analysis.space()),
        host_(analysis.host()),
        translates_(translates) {}

  // Every packet that the words leave open, as the host meets it: a connection's first, in the
  // state that conntrack gives it, unless they say another; not over the loopback; by the devices
  // that one packet of these addresses takes (interfaces_for()). Absent: the words say something
  // that no field is.
  std::optional<analyze::Diagram> packets(const policy::PacketWords& words, const AskedPart& part);

  // TCP with SYN alone, and all else.
  analyze::Diagram plain_beginnings();

 private:
  analyze::Diagram is(analyze::FieldId field, std::uint64_t value) {
    return d_.where(field, value, value);
  }
  analyze::Diagram within(analyze::Part part, std::uint64_t first, std::uint64_t last) {
    return d_.where(space_.field(part), first, last);
  }
  analyze::Diagram in(analyze::Part ipv4, analyze::Part ipv6, const net::AddressSet& set);
  analyze::Diagram of_service(const policy::PacketWords& words);
  analyze::Diagram of_options(const policy::PacketWords& words);
  analyze::Diagram of_owner(std::optional<std::uint32_t> user);
  analyze::Diagram of_type();
  analyze::Diagram device(analyze::Part part, std::string_view name);
  analyze::Diagram by_devices(const policy::PacketWords& words, const AskedPart& part);
  analyze::Diagram on_side(bool arrives, const std::optional<policy::InterfaceWord>& word);

  analyze::Diagrams& d_;
  analyze::PacketSpace& space_;
  const ruleset::Host& host_;
  bool translates_;
};

}  // namespace rolewall::ask
