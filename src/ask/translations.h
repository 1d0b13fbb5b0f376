// What a host made of a packet's addresses and ports, in words: NAT as an answer shows it.
#pragma once

#include <string>

#include "eval/packet.h"
#include "net/address.h"
#include "ruleset/ruleset.h"

namespace rolewall::ask {

struct Translations {
  std::string destination;  // "to 10.0.2.10:443"; "" where it stayed
  std::string source;       // "from 203.0.113.12:40000"

  // What was translated on this hook: destinations where a packet comes in, sources where it goes
  // out (or is delivered).
  const std::string& at(ruleset::Hook hook) const;
};

// `before` as the host got it, `after` as it left the last hook. REQUIRES: packets of build.h's,
// without options or extension headers.
Translations translations_of(const eval::Packet& before, const eval::Packet& after);

net::Address source_of(const eval::Packet& packet);
net::Address destination_of(const eval::Packet& packet);

}  // namespace rolewall::ask
