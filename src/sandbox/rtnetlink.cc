#include "sandbox/rtnetlink.h"

#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>

#include <cerrno>
#include <cstring>

namespace rolewall::sandbox {
namespace {

// The largest Ethernet frame's payload: packets of every length that IPv4 has.
constexpr std::uint32_t kMtu = 65535;

struct Request {
  alignas(NLMSG_ALIGNTO) std::array<char, 4096> buffer{};
  nlmsghdr* header = mnl_nlmsg_put_header(buffer.data());

  template <class Family>
  Family* begin(std::uint16_t type, std::uint16_t flags = 0) {
    header->nlmsg_type = type;
    header->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
    return static_cast<Family*>(mnl_nlmsg_put_extra_header(header, sizeof(Family)));
  }
  void put(std::uint16_t type, const std::vector<std::uint8_t>& bytes) const {
    mnl_attr_put(header, type, bytes.size(), bytes.data());
  }
};

std::uint8_t family_of(const net::Address& address) {
  return net::is_ipv4(address) ? AF_INET : AF_INET6;
}

void put_end(Request& request, const VethEnd& end) {
  mnl_attr_put_strz(request.header, IFLA_IFNAME, end.name.c_str());
  mnl_attr_put(request.header, IFLA_ADDRESS, end.mac.size(), end.mac.data());
  mnl_attr_put_u32(request.header, IFLA_MTU, kMtu);
}

}  // namespace

struct Rtnetlink::State {
  mnl_socket* socket = nullptr;
  std::uint32_t sequence = 0;

  ~State() {
    if (socket != nullptr) mnl_socket_close(socket);
  }

  Result<void> ask(Request& request, const std::string& what) {
    const auto failed = [&](int error) {
      return fail(ErrorKind::System, fmt::format("{}: {}", what, std::strerror(error)), error);
    };
    request.header->nlmsg_seq = ++sequence;
    if (mnl_socket_sendto(socket, request.header, request.header->nlmsg_len) < 0) {
      return failed(errno);
    }
    alignas(NLMSG_ALIGNTO) std::array<char, 8192> answer{};
    while (true) {
      const ssize_t size = mnl_socket_recvfrom(socket, answer.data(), answer.size());
      if (size < 0 && errno == EINTR) continue;
      if (size < 0) return failed(errno);
      const int status = mnl_cb_run(answer.data(), static_cast<std::size_t>(size), sequence,
                                    mnl_socket_get_portid(socket), nullptr, nullptr);
      if (status < 0) return failed(errno);
      if (status == MNL_CB_STOP) return {};
    }
  }

  // The device's index, or 0 and an error in `result`.
  static Result<unsigned> index(const std::string& device) {
    const unsigned found = ::if_nametoindex(device.c_str());
    if (found != 0) return found;
    return fail(ErrorKind::System, fmt::format("device {}: {}", device, std::strerror(errno)),
                errno);
  }
};

Rtnetlink::Rtnetlink(std::unique_ptr<State> state) : state_(std::move(state)) {}
Rtnetlink::~Rtnetlink() = default;
Rtnetlink::Rtnetlink(Rtnetlink&&) noexcept = default;
Rtnetlink& Rtnetlink::operator=(Rtnetlink&&) noexcept = default;

Result<Rtnetlink> Rtnetlink::open() {
  auto state = std::make_unique<State>();
  state->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
  if (state->socket == nullptr || mnl_socket_bind(state->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
    return fail(ErrorKind::System, fmt::format("open rtnetlink: {}", std::strerror(errno)), errno);
  }
  return Rtnetlink(std::move(state));
}

Result<void> Rtnetlink::add_veth(const VethEnd& a, const VethEnd& b) {
  Request request;
  auto* link = request.begin<ifinfomsg>(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  link->ifi_flags = IFF_NOARP;
  link->ifi_change = IFF_NOARP;
  put_end(request, a);
  nlattr* info = mnl_attr_nest_start(request.header, IFLA_LINKINFO);
  mnl_attr_put_str(request.header, IFLA_INFO_KIND, "veth");
  nlattr* data = mnl_attr_nest_start(request.header, IFLA_INFO_DATA);
  nlattr* peer = mnl_attr_nest_start(request.header, VETH_INFO_PEER);
  auto* other =
      static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(request.header, sizeof(ifinfomsg)));
  other->ifi_flags = IFF_NOARP;
  other->ifi_change = IFF_NOARP;
  put_end(request, b);
  mnl_attr_nest_end(request.header, peer);
  mnl_attr_nest_end(request.header, data);
  mnl_attr_nest_end(request.header, info);
  return state_->ask(request, fmt::format("make the device {}", a.name));
}

Result<void> Rtnetlink::bring_up(const std::string& device) {
  const auto index = State::index(device);
  if (!index) return std::unexpected(index.error());
  Request request;
  auto* link = request.begin<ifinfomsg>(RTM_NEWLINK);
  link->ifi_index = static_cast<int>(*index);
  link->ifi_flags = IFF_UP;
  link->ifi_change = IFF_UP;
  return state_->ask(request, fmt::format("bring up the device {}", device));
}

Result<void> Rtnetlink::add_address(const std::string& device, const net::Address& address) {
  const auto index = State::index(device);
  if (!index) return std::unexpected(index.error());
  Request request;
  auto* added = request.begin<ifaddrmsg>(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
  added->ifa_family = family_of(address);
  added->ifa_prefixlen = static_cast<std::uint8_t>(net::address_bits(address));
  added->ifa_index = *index;
  added->ifa_scope = RT_SCOPE_UNIVERSE;
  request.put(IFA_LOCAL, net::to_bytes(address));
  request.put(IFA_ADDRESS, net::to_bytes(address));
  mnl_attr_put_u32(request.header, IFA_FLAGS, IFA_F_NODAD | IFA_F_PERMANENT);
  return state_->ask(request, fmt::format("add {} to {}", net::format(address), device));
}

Result<void> Rtnetlink::add_route(const Route& route) {
  const auto index = State::index(route.device);
  if (!index) return std::unexpected(index.error());
  Request request;
  auto* added = request.begin<rtmsg>(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
  added->rtm_family = family_of(route.destination.address);
  added->rtm_dst_len = static_cast<std::uint8_t>(route.destination.length);
  added->rtm_table = RT_TABLE_MAIN;
  added->rtm_protocol = RTPROT_STATIC;
  added->rtm_scope = RT_SCOPE_LINK;
  added->rtm_type = RTN_UNICAST;
  if (route.destination.length > 0) {
    request.put(RTA_DST, net::to_bytes(route.destination.address));
  }
  mnl_attr_put_u32(request.header, RTA_OIF, *index);
  mnl_attr_put_u32(request.header, RTA_PRIORITY, route.metric);
  return state_->ask(request,
                     fmt::format("route {} by {}", net::format(route.destination), route.device));
}

}  // namespace rolewall::sandbox
