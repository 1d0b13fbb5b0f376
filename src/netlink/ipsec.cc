#include "netlink/ipsec.h"

#include <arpa/inet.h>
#include <linux/udp.h>
#include <linux/xfrm.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "net/protocol.h"
#include "netlink/route_dump.h"
#include "netlink/socket.h"

namespace rolewall::netlink {
namespace {

net::Address address_of(std::uint16_t family, const xfrm_address_t& address) {
  if (family == AF_INET) return net::Ipv4{ntohl(address.a4)};
  std::array<std::uint8_t, 16> bytes{};
  std::memcpy(bytes.data(), &address, bytes.size());
  return net::ipv6_from_bytes(bytes.data());
}

template <class Structure>
std::optional<Structure> structure_at(const AttributeMap& attributes, std::uint16_t type) {
  const auto at = attributes.find(type);
  if (at == attributes.end() || at->second.size() < sizeof(Structure)) return std::nullopt;
  Structure found{};
  std::memcpy(&found, at->second.data(), sizeof found);
  return found;
}

void add_association(const nlmsghdr& message, Ipsec& to) {
  const auto& found = header_of<xfrm_usersa_info>(message);
  IpsecAssociation association{.from = address_of(found.family, found.saddr),
                               .to = address_of(found.family, found.id.daddr),
                               .protocol = found.id.proto};
  const auto encapsulation =
      structure_at<xfrm_encap_tmpl>(attributes_of<xfrm_usersa_info>(message), XFRMA_ENCAP);
  if (encapsulation && encapsulation->encap_type == UDP_ENCAP_ESPINUDP) {
    association.protocol = net::protocol::kUdp;
    association.from_port = ntohs(encapsulation->encap_sport);
    association.to_port = ntohs(encapsulation->encap_dport);
  }
  to.associations.push_back(association);
}

void add_selector(const nlmsghdr& message, Ipsec& to) {
  const auto& found = header_of<xfrm_userpolicy_info>(message);
  const bool wraps = attributes_of<xfrm_userpolicy_info>(message).contains(XFRMA_TMPL);
  if (found.action == XFRM_POLICY_ALLOW && !wraps) return;
  const char* const direction = found.dir == XFRM_POLICY_IN    ? "in"
                                : found.dir == XFRM_POLICY_OUT ? "out"
                                                               : "fwd";
  const auto add = [&](std::uint16_t family) {
    to.selectors.push_back({direction,
                            {address_of(family, found.sel.saddr), found.sel.prefixlen_s},
                            {address_of(family, found.sel.daddr), found.sel.prefixlen_d}});
  };
  if (found.sel.family != AF_INET6) add(AF_INET);  // AF_UNSPEC: of both
  if (found.sel.family != AF_INET) add(AF_INET6);
}

// What meets no policy (`ip xfrm policy setdefault`).
void add_default(const nlmsghdr& message, Ipsec& to) {
  const auto& found = header_of<xfrm_userpolicy_default>(message);
  const std::pair<const char*, std::uint8_t> each[] = {
      {"in", found.in}, {"fwd", found.fwd}, {"out", found.out}};
  for (const auto& [direction, action] : each) {
    if (action != XFRM_USERPOLICY_BLOCK) continue;
    to.selectors.push_back({direction, {net::Ipv4{}, 0}, {net::Ipv4{}, 0}});
    to.selectors.push_back({direction, {net::Ipv6{}, 0}, {net::Ipv6{}, 0}});
  }
}

void add_policy(const nlmsghdr& message, Ipsec& to) {
  const auto& found = header_of<xfrm_userpolicy_info>(message);
  if (found.dir != XFRM_POLICY_OUT || found.action != XFRM_POLICY_ALLOW) return;
  // Of several templates the first is the innermost; the packets' own is the last, and nearly
  // always there is one.
  const auto ends =
      structure_at<xfrm_user_tmpl>(attributes_of<xfrm_userpolicy_info>(message), XFRMA_TMPL);
  if (!ends) return;  // it passes as it is
  IpsecPolicy policy{
      .network = {address_of(found.sel.family, found.sel.daddr), found.sel.prefixlen_d},
      .local = address_of(ends->family, ends->saddr),
      .remote = address_of(ends->family, ends->id.daddr)};
  // In transport mode its ends are the packet's own.
  if (net::is_unspecified(policy.remote)) policy.remote = policy.network.address;
  to.policies.push_back(policy);
}

std::vector<std::uint8_t> dump_request(std::uint16_t type) {
  nlmsghdr request{};
  request.nlmsg_len = sizeof request;
  request.nlmsg_type = type;
  request.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  std::vector<std::uint8_t> bytes(sizeof request);
  std::memcpy(bytes.data(), &request, sizeof request);
  return bytes;
}

std::vector<std::uint8_t> default_request() {
  struct {
    nlmsghdr header;
    xfrm_userpolicy_default body;
  } request{};
  request.header.nlmsg_len = NLMSG_LENGTH(sizeof request.body);
  request.header.nlmsg_type = XFRM_MSG_GETDEFAULT;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  std::vector<std::uint8_t> bytes(sizeof request);
  std::memcpy(bytes.data(), &request, sizeof request);
  return bytes;
}

}  // namespace

void add_ipsec(const nlmsghdr& message, Ipsec& to) {
  const std::size_t size = mnl_nlmsg_get_payload_len(&message);
  if (message.nlmsg_type == XFRM_MSG_NEWSA && size >= sizeof(xfrm_usersa_info)) {
    add_association(message, to);
  } else if (message.nlmsg_type == XFRM_MSG_NEWPOLICY && size >= sizeof(xfrm_userpolicy_info)) {
    add_policy(message, to);
    add_selector(message, to);
  } else if (message.nlmsg_type == XFRM_MSG_GETDEFAULT && size >= sizeof(xfrm_userpolicy_default)) {
    add_default(message, to);
  }
}

Result<Ipsec> read_ipsec() {
  Ipsec found;
  const SocketPtr socket = open_socket(NETLINK_XFRM);
  if (!socket) return found;
  for (const std::uint16_t type : {XFRM_MSG_GETSA, XFRM_MSG_GETPOLICY}) {
    const int error = exchange(socket.get(), dump_request(type),
                               [&](const nlmsghdr& message) { add_ipsec(message, found); });
    if (error == EPERM) return not_permitted();
    if (error != 0) {
      return fail(ErrorKind::System,
                  std::string("cannot read this machine's IPsec: ") + std::strerror(error), error);
    }
  }
  // Kernels before 5.15 have no such default.
  [[maybe_unused]] const int unknown = exchange(
      socket.get(), default_request(), [&](const nlmsghdr& message) { add_ipsec(message, found); });
  return found;
}

}  // namespace rolewall::netlink
