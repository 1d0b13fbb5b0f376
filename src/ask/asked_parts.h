// Who is asked about all the packets of some words, and about which of them: each host as sender,
// as the one that passes them on, or as receiver. What the sampler (sample.h) says of one packet.
#pragma once

#include <optional>
#include <vector>

#include "ask/sample.h"
#include "policy/policy.h"

namespace rolewall::ask {

enum class Does : std::uint8_t { Send, PassOn, Receive };

struct AskedPart {
  policy::Index host = 0;
  Does does = Does::Send;
  net::AddressSet from;
  net::AddressSet to;
  bool has_devices = true;  // `in=` and `out=` are its devices, and not those of the host of `at=`
};

// Of the words as a whole: their ends as addresses.
struct AskedWords {
  net::AddressSet from;
  net::AddressSet to;
  std::optional<policy::Index> at;
  bool sends_named = false;  // `at` is named as the source, and so sends
};

AskedWords asked_words(const policy::Policy& policy, const policy::PacketWords& words,
                       const Asking& asking);

// What of them the host is asked about; nothing, where it is not. With asking.alone, of that host
// alone. A host without an interface of the words is not asked.
std::vector<AskedPart> asked_parts(const policy::Policy& policy, const policy::PacketWords& words,
                                   const AskedWords& asked, const Asking& asking,
                                   policy::Index host);

// Groups, and addresses of a link's own: nobody passes packets to them on.
const net::AddressSet& near_addresses();

}  // namespace rolewall::ask
