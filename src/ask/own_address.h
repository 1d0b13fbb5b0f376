// Which of its own addresses a machine has in mind where words say `self`: one of the device that
// the packet comes or goes by, and of the peer's network, if it has one there.
#pragma once

#include <optional>
#include <string_view>

#include "eval/route.h"
#include "net/address.h"

namespace rolewall::ask {

// `device`: what the words say; "": the one that the routes lead to the peer by, which answers to
// it go by, too. Absent where the routes do not tell.
std::optional<net::Address> own_address(const eval::Routes& routes, const net::Address& peer,
                                        std::string_view device);

}  // namespace rolewall::ask
