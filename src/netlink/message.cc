#include "netlink/message.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <cstring>

namespace rolewall::netlink {

std::optional<MessageView> next_message(View& datagram) {
  MessageView message;
  if (datagram.size() < sizeof message.header) return std::nullopt;
  std::memcpy(&message.header, datagram.data(), sizeof message.header);
  const std::size_t length = message.header.nlmsg_len;
  if (length < sizeof message.header || length > datagram.size()) return std::nullopt;
  message.payload = datagram.subspan(sizeof message.header, length - sizeof message.header);
  datagram = datagram.subspan(std::min(aligned(length), datagram.size()));
  return message;
}

int status_of(const MessageView& message) {
  std::int32_t status = 0;
  if (message.payload.size() >= sizeof status) {
    std::memcpy(&status, message.payload.data(), sizeof status);
  }
  return -status;
}

std::optional<Answer> as_answer(const MessageView& message) {
  nfgenmsg generic{};
  if (message.payload.size() < sizeof generic) return std::nullopt;
  std::memcpy(&generic, message.payload.data(), sizeof generic);
  return Answer{.type = message.header.nlmsg_type,
                .family = generic.nfgen_family,
                .resource_id = ntohs(generic.res_id),
                .attributes = message.payload.subspan(sizeof generic)};
}

}  // namespace rolewall::netlink
