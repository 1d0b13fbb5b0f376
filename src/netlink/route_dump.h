// Lists of rtnetlink's: links, addresses, routes, neighbours; and what stands in one entry. Types
// of attributes above those that are asked for are of no interest: nothing that a packet meets is
// described by them but by those that are.
#pragma once

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

#include <cstdint>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "net/address.h"
#include "netlink/attributes.h"
#include "netlink/exchange.h"

namespace rolewall::netlink {

class RouteDumper {
 public:
  static Result<RouteDumper> open();

  // Each entry: the structure of its kind, which is `header_size` large, and the attributes behind.
  // A list that changes while it is read is read again.
  Result<void> dump(std::uint16_t type, std::size_t header_size, std::uint8_t family,
                    const std::string& what, const std::function<void(const nlmsghdr&)>& visit);

 private:
  using Datagram = std::vector<char>;

  Result<void> connect();
  Result<std::vector<Datagram>> read_all(std::uint16_t type, std::size_t header_size,
                                         std::uint8_t family);

  SocketPtr socket_;
  std::uint32_t sequence_ = 0;
};

template <class Header>
const Header& header_of(const nlmsghdr& message) {
  return *static_cast<const Header*>(mnl_nlmsg_get_payload(&message));
}

using AttributeMap = std::map<std::uint16_t, View>;
AttributeMap attributes_in(View bytes);

template <class Header>
AttributeMap attributes_of(const nlmsghdr& message) {
  const auto* begin =
      static_cast<const std::uint8_t*>(mnl_nlmsg_get_payload_offset(&message, sizeof(Header)));
  const auto* end = static_cast<const std::uint8_t*>(mnl_nlmsg_get_payload_tail(&message));
  return attributes_in({begin, end});
}

std::uint32_t number(const AttributeMap& attributes, std::uint16_t type,
                     std::uint32_t otherwise = 0);
std::string text(const AttributeMap& attributes, std::uint16_t type);
std::optional<net::Address> address(View bytes);
std::optional<net::Address> address(const AttributeMap& attributes, std::uint16_t type);

// Of a route by several ways (RTA_MULTIPATH): each next hop, by its device's index, and what else
// is said of it.
void for_each_next_hop(View multipath,
                       const std::function<void(const rtnexthop&, const AttributeMap&)>& visit);

}  // namespace rolewall::netlink
