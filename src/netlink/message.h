// Messages of netlink as they lie in what a socket gives: several in one datagram, each with a
// length that is checked before it is believed.
#pragma once

#include <linux/netlink.h>

#include <cstdint>
#include <optional>

#include "netlink/attributes.h"

namespace rolewall::netlink {

struct MessageView {
  nlmsghdr header{};
  View payload;
};

// Cuts the first message off a datagram; std::nullopt at its end or where it is malformed.
std::optional<MessageView> next_message(View& datagram);

// NLMSG_ERROR's or NLMSG_DONE's errno; 0 is success.
int status_of(const MessageView& message);

// A message of nfnetlink: one of a dump, an answer, or told without being asked for.
struct Answer {
  std::uint16_t type = 0;
  std::uint8_t family = 0;
  std::uint16_t resource_id = 0;  // nf_tables: the low half of the generation
  View attributes;
};

// std::nullopt where it is too short to be one.
std::optional<Answer> as_answer(const MessageView& message);

}  // namespace rolewall::netlink
