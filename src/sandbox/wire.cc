#include "sandbox/wire.h"

#include <fmt/format.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <span>

#include "sandbox/sandbox.h"

namespace rolewall::sandbox {
namespace {

std::unexpected<Error> failed(std::string_view what, int error = errno) {
  return fail(ErrorKind::System, fmt::format("{}: {}", what, std::strerror(error)), error);
}

// The destination's bytes; empty where the header is cut short.
std::span<const std::uint8_t> destination(const eval::Packet& packet) {
  const std::span<const std::uint8_t> bytes(packet.bytes);
  if (is_ipv6(packet)) return bytes.size() < 40 ? bytes.first(0) : bytes.subspan(24, 16);
  return bytes.size() < 20 ? bytes.first(0) : bytes.subspan(16, 4);
}

// REQUIRES: the header is not cut short.
net::Address destination_address(const eval::Packet& packet) {
  const std::uint8_t* bytes = destination(packet).data();
  if (is_ipv6(packet)) return net::ipv6_from_bytes(bytes);
  return net::ipv4_from_bytes(bytes);
}

bool is_multicast(const eval::Packet& packet) {
  const auto to = destination(packet);
  if (to.empty()) return false;
  return is_ipv6(packet) ? to[0] == 0xff : (to[0] & 0xf0) == 0xe0;
}

// Where Ethernet sends a multicast address (RFC 1112, RFC 2464).
std::array<std::uint8_t, 6> multicast_mac(const eval::Packet& packet) {
  const auto to = destination(packet);
  if (is_ipv6(packet) && to.size() == 16) return {0x33, 0x33, to[12], to[13], to[14], to[15]};
  if (!is_ipv6(packet) && to.size() == 4) {
    return {0x01, 0x00, 0x5e, static_cast<std::uint8_t>(to[1] & 0x7f), to[2], to[3]};
  }
  return {0x01, 0x00, 0x5e, 0, 0, 1};
}

Result<std::vector<std::uint8_t>> mac_of(int socket, const std::string& device) {
  ifreq request{};
  device.copy(request.ifr_name, IFNAMSIZ - 1);
  if (::ioctl(socket, SIOCGIFHWADDR, &request) != 0) return failed("address of " + device);
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(request.ifr_hwaddr.sa_data);
  return std::vector<std::uint8_t>(bytes, bytes + ETH_ALEN);
}

// One message with its mark beside it.
ssize_t send_marked(int socket, const sockaddr* to, socklen_t to_size, std::span<iovec> parts,
                    std::uint32_t mark) {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof mark)> control{};
  msghdr message{};
  message.msg_name = const_cast<sockaddr*>(to);
  message.msg_namelen = to_size;
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SO_MARK;
  header->cmsg_len = CMSG_LEN(sizeof mark);
  std::memcpy(CMSG_DATA(header), &mark, sizeof mark);
  ssize_t sent;
  do {
    sent = ::sendmsg(socket, &message, 0);
  } while (sent < 0 && errno == EINTR);
  return sent;
}

// Opens a socket whose file belongs to `user` and `group`, as the socket of such a program does;
// the capabilities that a raw socket needs stay ours.
Result<Descriptor> socket_of(int family, std::uint32_t user, std::uint32_t group) {
  const int own_group = ::setfsgid(group);
  const int own_user = ::setfsuid(user);
  const bool become = static_cast<std::uint32_t>(::setfsuid(static_cast<uid_t>(-1))) == user &&
                      static_cast<std::uint32_t>(::setfsgid(static_cast<gid_t>(-1))) == group;
  Descriptor socket(become ? ::socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW) : -1);
  const int error = errno;
  ::setfsuid(static_cast<uid_t>(own_user));
  ::setfsgid(static_cast<gid_t>(own_group));
  if (!become) {
    return fail(
        ErrorKind::System,
        fmt::format("this sandbox has no user {} or no group {}: only root can create one that "
                    "has",
                    user, group),
        EPERM);
  }
  if (!socket.valid()) return failed("open a raw socket", error);
  return socket;
}

bool set_option(int socket, int level, int option, int value) {
  return ::setsockopt(socket, level, option, &value, sizeof value) == 0;
}

}  // namespace

Result<Wire> Wire::open(const ruleset::Host& host) {
  Wire wire;
  // Protocol 0: it only sends.
  wire.packet_socket_ = Descriptor(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  if (!wire.packet_socket_.valid()) return failed("open a packet socket");
  const auto add = [&](const std::string& device, const std::string& peer) -> Result<void> {
    auto mac = mac_of(wire.packet_socket_.get(), device);
    auto peer_mac = mac_of(wire.packet_socket_.get(), peer);
    if (!mac) return std::unexpected(mac.error());
    if (!peer_mac) return std::unexpected(peer_mac.error());
    wire.ends_[device] = {::if_nametoindex(device.c_str()), ::if_nametoindex(peer.c_str()),
                          std::move(*mac), std::move(*peer_mac)};
    return {};
  };
  for (std::size_t n = 0; n < host.interfaces.size(); ++n) {
    TRY(add(host.interfaces[n].device, peer_device(n)));
  }
  TRY(add("lo", "lo"));
  wire.joins_all_ = !host.joined_groups;
  for (const auto& joined : host.joined_groups.value_or(std::vector<ruleset::JoinedGroup>())) {
    const auto end = wire.ends_.find(joined.device);
    if (end == wire.ends_.end()) {
      return fail(ErrorKind::Usage, fmt::format("the sandbox has no device `{}`", joined.device));
    }
    TRY(wire.join(joined.group, end->second.index));
  }
  return wire;
}

Result<void> Wire::join(const net::Address& group, unsigned device) {
  if (!joined_.emplace(device, group).second) return {};
  const auto bytes = net::to_bytes(group);
  const bool ipv6 = !net::is_ipv4(group);
  Descriptor socket(::socket(ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return failed("open a socket");
  int status = 0;
  if (ipv6) {
    ipv6_mreq request{};
    std::memcpy(&request.ipv6mr_multiaddr, bytes.data(), bytes.size());
    request.ipv6mr_interface = device;
    status =
        ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &request, sizeof request);
  } else {
    ip_mreqn request{};
    std::memcpy(&request.imr_multiaddr, bytes.data(), bytes.size());
    request.imr_ifindex = static_cast<int>(device);
    status = ::setsockopt(socket.get(), IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request);
  }
  if (status != 0 && errno != EADDRINUSE) return failed("join a multicast group");
  memberships_.push_back(std::move(socket));
  return {};
}

Result<void> Wire::arrive(const eval::Packet& packet, std::uint32_t mark) {
  const auto found = ends_.find(packet.in_device);
  if (found == ends_.end()) {
    return fail(ErrorKind::Usage, fmt::format("the sandbox has no device `{}`", packet.in_device));
  }
  const End& end = found->second;
  if (joins_all_ && is_multicast(packet)) {
    TRY(join(destination_address(packet), end.index));
  }

  std::array<std::uint8_t, ETH_HLEN> header{};
  switch (packet.type) {
    case eval::PacketType::Host:
      std::memcpy(header.data(), end.mac.data(), ETH_ALEN);
      break;
    case eval::PacketType::Broadcast:
      std::memset(header.data(), 0xff, ETH_ALEN);
      break;
    case eval::PacketType::Multicast:
      std::memcpy(header.data(), multicast_mac(packet).data(), ETH_ALEN);
      break;
    case eval::PacketType::OtherHost:
      std::memcpy(header.data(), end.peer_mac.data(), ETH_ALEN);
      break;
  }
  const auto* source =
      packet.link.size() == ETH_HLEN ? packet.link.data() + ETH_ALEN : end.peer_mac.data();
  std::memcpy(header.data() + ETH_ALEN, source, ETH_ALEN);
  header[12] = static_cast<std::uint8_t>(packet.ether_type >> 8);
  header[13] = static_cast<std::uint8_t>(packet.ether_type);

  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_protocol = htons(packet.ether_type);
  to.sll_ifindex = static_cast<int>(end.peer_index);
  std::array<iovec, 2> parts{
      iovec{header.data(), header.size()},
      iovec{const_cast<std::uint8_t*>(packet.bytes.data()), packet.bytes.size()}};
  if (send_marked(packet_socket_.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to, parts,
                  mark) < 0) {
    return failed(fmt::format("put {} bytes on {}", packet.bytes.size(), packet.in_device));
  }
  return {};
}

Result<int> Wire::raw_socket(const SocketKey& key) {
  if (const auto found = raw_sockets_.find(key); found != raw_sockets_.end()) {
    return found->second.get();
  }
  const auto& [family, device, user, group] = key;
  auto socket = socket_of(family, user, group);
  if (!socket) return std::unexpected(socket.error());
  const int fd = socket->get();
  // A multicast packet's copy for this host's own listeners would run through postrouting too.
  const bool ready =
      set_option(fd, SOL_SOCKET, SO_BROADCAST, 1) &&
      (family == AF_INET ? set_option(fd, IPPROTO_IP, IP_HDRINCL, 1) &&
                               set_option(fd, IPPROTO_IP, IP_MULTICAST_LOOP, 0)
                         : set_option(fd, IPPROTO_IPV6, IPV6_HDRINCL, 1) &&
                               set_option(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0)) &&
      (device.empty() || ::setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device.data(),
                                      static_cast<socklen_t>(device.size())) == 0);
  if (!ready) return failed(fmt::format("prepare a raw socket on `{}`", device));
  return raw_sockets_.emplace(key, std::move(*socket)).first->second.get();
}

Result<int> Wire::send(const eval::Packet& packet, std::uint32_t mark) {
  const bool loopback = packet.out_device == "lo";
  const int family = is_ipv6(packet) ? AF_INET6 : AF_INET;
  const auto to = destination(packet);
  if (to.empty()) return fail(ErrorKind::Usage, "a local program cannot send half a header");
  const auto socket = raw_socket({family, loopback ? "" : packet.out_device,
                                  packet.user.value_or(0), packet.group.value_or(0)});
  if (!socket) return std::unexpected(socket.error());

  sockaddr_storage address{};
  socklen_t size = 0;
  if (family == AF_INET) {
    auto* in = reinterpret_cast<sockaddr_in*>(&address);
    in->sin_family = AF_INET;
    std::memcpy(&in->sin_addr, to.data(), to.size());
    size = sizeof *in;
  } else {
    auto* in6 = reinterpret_cast<sockaddr_in6*>(&address);
    in6->sin6_family = AF_INET6;
    std::memcpy(&in6->sin6_addr, to.data(), to.size());
    if (const auto end = ends_.find(packet.out_device); end != ends_.end() && !loopback) {
      in6->sin6_scope_id = end->second.index;
    }
    size = sizeof *in6;
  }
  std::array<iovec, 1> parts{
      iovec{const_cast<std::uint8_t*>(packet.bytes.data()), packet.bytes.size()}};
  if (send_marked(*socket, reinterpret_cast<const sockaddr*>(&address), size, parts, mark) >= 0) {
    return 0;
  }
  if (errno == ENOBUFS || errno == ENOMEM) return failed("send a packet");
  return errno;
}

}  // namespace rolewall::sandbox
