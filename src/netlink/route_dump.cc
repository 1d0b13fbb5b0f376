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
constexpr int kAttempts = 50;

std::unexpected<Error> cannot_read(const std::string& what, int error) {
  return fail(ErrorKind::System,
              fmt::format("cannot read this machine's {}: {}", what, std::strerror(error)), error);
}

void visit_each(const std::vector<char>& datagram,
                const std::function<void(const nlmsghdr&)>& visit) {
  auto rest = static_cast<int>(datagram.size());
  const auto* message = reinterpret_cast<const nlmsghdr*>(datagram.data());
  for (; mnl_nlmsg_ok(message, rest); message = mnl_nlmsg_next(message, &rest)) {
    if (message->nlmsg_type >= NLMSG_MIN_TYPE) visit(*message);
  }
}

}  // namespace

Result<RouteDumper> RouteDumper::open() {
  RouteDumper dumper;
  TRY(dumper.connect());
  return dumper;
}

Result<void> RouteDumper::connect() {
  socket_ = open_socket(NETLINK_ROUTE);
  if (!socket_) return cannot_read("rtnetlink", errno);
  return {};
}

Result<void> RouteDumper::dump(std::uint16_t type, std::size_t header_size, std::uint8_t family,
                               const std::string& what,
                               const std::function<void(const nlmsghdr&)>& visit) {
  for (int attempt = 1;; ++attempt) {
    const Result<std::vector<Datagram>> read = read_all(type, header_size, family);
    if (read) {
      for (const Datagram& datagram : *read) visit_each(datagram, visit);
      return {};
    }
    // What the list was before a change and what it is after may both lack an entry that was there
    // all the time. The rest of that answer is still in the socket.
    if (read.error().os_errno != EINTR) return cannot_read(what, read.error().os_errno);
    if (attempt == kAttempts) {
      return fail(ErrorKind::System,
                  fmt::format("cannot read this machine's {}: they changed while they were read, "
                              "{} times; try again",
                              what, kAttempts),
                  EINTR);
    }
    TRY(connect());
  }
}

Result<std::vector<RouteDumper::Datagram>> RouteDumper::read_all(std::uint16_t type,
                                                                 std::size_t header_size,
                                                                 std::uint8_t family) {
  Datagram buffer(kBufferSize);
  nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
  request->nlmsg_type = type;
  request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request->nlmsg_seq = ++sequence_;
  // Every such structure begins with the family.
  *static_cast<std::uint8_t*>(mnl_nlmsg_put_extra_header(request, header_size)) = family;
  const auto broken = [] { return fail(ErrorKind::System, "", errno); };
  if (mnl_socket_sendto(socket_.get(), request, request->nlmsg_len) < 0) return broken();
  std::vector<Datagram> read;
  while (true) {
    const ssize_t size = mnl_socket_recvfrom(socket_.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return broken();
    const auto bytes = static_cast<std::size_t>(size);
    // EINTR: NLM_F_DUMP_INTR.
    const int status = mnl_cb_run(buffer.data(), bytes, sequence_,
                                  mnl_socket_get_portid(socket_.get()), nullptr, nullptr);
    if (status < 0) return broken();
    read.emplace_back(buffer.begin(), buffer.begin() + size);
    if (status == MNL_CB_STOP) return read;
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
  if (bytes.size() != 4 && bytes.size() != 16) return std::nullopt;
  return net::address_from_bytes(bytes);
}

std::optional<net::Address> address(const AttributeMap& attributes, std::uint16_t type) {
  const auto at = attributes.find(type);
  return at == attributes.end() ? std::nullopt : address(at->second);
}

void for_each_next_hop(View multipath,
                       const std::function<void(const rtnexthop&, const AttributeMap&)>& visit) {
  while (multipath.size() >= sizeof(rtnexthop)) {
    rtnexthop hop{};
    std::memcpy(&hop, multipath.data(), sizeof hop);
    if (hop.rtnh_len < sizeof hop || hop.rtnh_len > multipath.size()) return;
    const std::size_t size = hop.rtnh_len;
    visit(hop, attributes_in(multipath.subspan(sizeof hop, size - sizeof hop)));
    multipath = multipath.subspan(std::min(RTNH_ALIGN(size), multipath.size()));
  }
}

}  // namespace rolewall::netlink
