// The names of IP's six bits of differentiated services, as nft writes them: RFC 2474 4.2.2 (class
// selectors), RFC 2597 (assured forwarding), RFC 3246 (expedited forwarding), RFC 5865, RFC 8622.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace rolewall::net {

struct Dscp {
  std::uint8_t value;
  std::string_view name;
};

inline constexpr std::array kDscpNames = {
    Dscp{0, "cs0"},   Dscp{8, "cs1"},   Dscp{16, "cs2"},  Dscp{24, "cs3"},  Dscp{32, "cs4"},
    Dscp{40, "cs5"},  Dscp{48, "cs6"},  Dscp{56, "cs7"},  Dscp{10, "af11"}, Dscp{12, "af12"},
    Dscp{14, "af13"}, Dscp{18, "af21"}, Dscp{20, "af22"}, Dscp{22, "af23"}, Dscp{26, "af31"},
    Dscp{28, "af32"}, Dscp{30, "af33"}, Dscp{34, "af41"}, Dscp{36, "af42"}, Dscp{38, "af43"},
    Dscp{46, "ef"},   Dscp{44, "va"},   Dscp{1, "le"}};

}  // namespace rolewall::net
