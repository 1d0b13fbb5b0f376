#include "netlink/route_dump.h"

#include <fmt/format.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

namespace rolewall::netlink {
namespace {

constexpr std::size_t kBufferSize = std::size_t{64} * 1024;

std::unexpected<Error> cannot_read(const std::string& what, int error) {
  return fail(ErrorKind::System,
              fmt::format("cannot read this machine's {}: {}", what, std::strerror(error)), error);
}

}  // namespace

Result<RouteDumper> RouteDumper::open() {
  RouteDumper dumper;
  dumper.socket_ = open_socket(NETLINK_ROUTE);
  if (!dumper.socket_) return cannot_read("rtnetlink", errno);
  return dumper;
}

Result<void> RouteDumper::dump(std::uint16_t type, std::size_t header_size, std::uint8_t family,
                               const std::string& what,
                               const std::function<void(const nlmsghdr&)>& visit) {
  using Visit = std::function<void(const nlmsghdr&)>;
  std::vector<char> buffer(kBufferSize);
  nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
  request->nlmsg_type = type;
  request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request->nlmsg_seq = ++sequence_;
  // Every such structure begins with the family.
  *static_cast<std::uint8_t*>(mnl_nlmsg_put_extra_header(request, header_size)) = family;
  if (mnl_socket_sendto(socket_.get(), request, request->nlmsg_len) < 0) {
    return cannot_read(what, errno);
  }
  while (true) {
    const ssize_t size = mnl_socket_recvfrom(socket_.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return cannot_read(what, errno);
    const auto each = [](const nlmsghdr* message, void* data) {
      (*static_cast<const Visit*>(data))(*message);
      return MNL_CB_OK;
    };
    const int status =
        mnl_cb_run(buffer.data(), static_cast<std::size_t>(size), sequence_,
                   mnl_socket_get_portid(socket_.get()), each, const_cast<Visit*>(&visit));
    if (status < 0) return cannot_read(what, errno);
    if (status == MNL_CB_STOP) return {};
  }
}

AttributeMap attributes_in(View bytes) {
  AttributeMap attributes;
  for_each_attribute(bytes,
                     [&](std::uint16_t type, View payload) { attributes.emplace(type, payload); });
  return attributes;
}

std::uint32_t number(const AttributeMap& attributes, std::uint16_t type, std::uint32_t otherwise) {
  const auto at = attributes.find(type);
  return at == attributes.end() || at->second.size() != 4 ? otherwise
                                                          : native_u32(at->second.data());
}

std::string text(const AttributeMap& attributes, std::uint16_t type) {
  const auto at = attributes.find(type);
  if (at == attributes.end()) return "";
  return {at->second.begin(), std::find(at->second.begin(), at->second.end(), std::uint8_t{0})};
}

std::optional<net::Address> address(View bytes) {
  if (bytes.size() == 4) return net::ipv4_from_bytes(bytes.data());
  if (bytes.size() == 16) return net::ipv6_from_bytes(bytes.data());
  return std::nullopt;
}

std::optional<net::Address> address(const AttributeMap& attributes, std::uint16_t type) {
  const auto at = attributes.find(type);
  return at == attributes.end() ? std::nullopt : address(at->second);
}

void for_each_next_hop(View multipath,
                       const std::function<void(std::uint32_t, const AttributeMap&)>& visit) {
  while (multipath.size() >= sizeof(rtnexthop)) {
    rtnexthop hop{};
    std::memcpy(&hop, multipath.data(), sizeof hop);
    if (hop.rtnh_len < sizeof hop || hop.rtnh_len > multipath.size()) return;
    const std::size_t size = hop.rtnh_len;
    visit(static_cast<std::uint32_t>(hop.rtnh_ifindex),
          attributes_in(multipath.subspan(sizeof hop, size - sizeof hop)));
    multipath = multipath.subspan(std::min(RTNH_ALIGN(size), multipath.size()));
  }
}

}  // namespace rolewall::netlink
