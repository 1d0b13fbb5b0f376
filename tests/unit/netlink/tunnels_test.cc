// What the kernel says of tunnels that these tests see no packets of: WireGuard, gre, ipip, IPsec.
// The messages are put together by the kernel's own headers.
#include "netlink/tunnels.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <linux/genetlink.h>
#include <linux/if_link.h>
#include <linux/if_tunnel.h>
#include <linux/rtnetlink.h>
#include <linux/udp.h>
#include <linux/wireguard.h>
#include <linux/xfrm.h>
#include <netinet/in.h>

#include <array>
#include <cstring>

#include "netlink/ipsec.h"

namespace rolewall::netlink {
namespace {

net::Address address(const char* text) {
  return *net::parse_address(text);
}

class Message {
 public:
  template <class Header>
  Message(std::uint16_t type, const Header& header) {
    message_ = mnl_nlmsg_put_header(bytes_.data());
    message_->nlmsg_type = type;
    std::memcpy(mnl_nlmsg_put_extra_header(message_, sizeof header), &header, sizeof header);
  }
  nlmsghdr* operator*() { return message_; }

 private:
  alignas(nlmsghdr) std::array<char, 4096> bytes_{};
  nlmsghdr* message_ = nullptr;
};

void put_address(nlmsghdr* message, std::uint16_t type, const char* text) {
  in_addr found{};
  REQUIRE(::inet_pton(AF_INET, text, &found) == 1);
  mnl_attr_put(message, type, sizeof found, &found);
}

TunnelLink link_of(const char* kind, std::uint16_t local, std::uint16_t remote) {
  Message message(RTM_NEWLINK, ifinfomsg{});
  mnl_attr_put_strz(*message, IFLA_IFNAME, "t0");
  nlattr* info = mnl_attr_nest_start(*message, IFLA_LINKINFO);
  mnl_attr_put_strz(*message, IFLA_INFO_KIND, kind);
  nlattr* data = mnl_attr_nest_start(*message, IFLA_INFO_DATA);
  put_address(*message, local, "192.0.2.10");
  put_address(*message, remote, "192.0.2.7");
  mnl_attr_nest_end(*message, data);
  mnl_attr_nest_end(*message, info);
  const auto tunnel = tunnel_of(**message);
  REQUIRE(tunnel.has_value());
  return *tunnel;
}

TEST_CASE("gre and ipip: the protocol and both ends (not seen with packets)") {
  struct Kind {
    const char* kind;
    std::uint16_t local;
    std::uint16_t remote;
    std::uint8_t protocol;
  };
  for (const Kind& each : {Kind{"gre", IFLA_GRE_LOCAL, IFLA_GRE_REMOTE, 47},
                           Kind{"gretap", IFLA_GRE_LOCAL, IFLA_GRE_REMOTE, 47},
                           Kind{"ipip", IFLA_IPTUN_LOCAL, IFLA_IPTUN_REMOTE, 4},
                           Kind{"sit", IFLA_IPTUN_LOCAL, IFLA_IPTUN_REMOTE, 41}}) {
    INFO(each.kind);
    const TunnelLink tunnel = link_of(each.kind, each.local, each.remote);
    CHECK(tunnel.device == "t0");
    CHECK(tunnel.protocol == each.protocol);
    REQUIRE(tunnel.peers.size() == 1);
    CHECK(tunnel.peers.front().local == address("192.0.2.10"));
    CHECK(tunnel.peers.front().remote == address("192.0.2.7"));
  }
  Message veth(RTM_NEWLINK, ifinfomsg{});
  nlattr* info = mnl_attr_nest_start(*veth, IFLA_LINKINFO);
  mnl_attr_put_strz(*veth, IFLA_INFO_KIND, "veth");
  mnl_attr_nest_end(*veth, info);
  CHECK_FALSE(tunnel_of(**veth).has_value());
}

TEST_CASE("WireGuard: its port, and peers that have an endpoint (not seen with packets)") {
  Message message(GENL_ID_CTRL, genlmsghdr{.cmd = WG_CMD_GET_DEVICE, .version = 1, .reserved = 0});
  mnl_attr_put_u16(*message, WGDEVICE_A_LISTEN_PORT, 51820);
  nlattr* peers = mnl_attr_nest_start(*message, WGDEVICE_A_PEERS);
  nlattr* first = mnl_attr_nest_start(*message, 0);
  sockaddr_in endpoint{};
  endpoint.sin_family = AF_INET;
  endpoint.sin_port = htons(40001);
  REQUIRE(::inet_pton(AF_INET, "192.0.2.7", &endpoint.sin_addr) == 1);
  mnl_attr_put(*message, WGPEER_A_ENDPOINT, sizeof endpoint, &endpoint);
  mnl_attr_nest_end(*message, first);
  nlattr* never_seen = mnl_attr_nest_start(*message, 1);
  mnl_attr_put_u16(*message, WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, 25);
  mnl_attr_nest_end(*message, never_seen);
  mnl_attr_nest_end(*message, peers);

  TunnelLink tunnel;
  add_wireguard(**message, tunnel);
  CHECK(tunnel.protocol == IPPROTO_UDP);
  CHECK(tunnel.port == 51820);
  REQUIRE(tunnel.peers.size() == 1);
  CHECK(tunnel.peers.front().remote == address("192.0.2.7"));
  CHECK(tunnel.peers.front().port == 40001);
}

xfrm_address_t ipv4(const char* text) {
  xfrm_address_t found{};
  REQUIRE(::inet_pton(AF_INET, text, &found.a4) == 1);
  return found;
}

xfrm_usersa_info association() {
  xfrm_usersa_info info{};
  info.family = AF_INET;
  info.saddr = ipv4("203.0.113.10");
  info.id.daddr = ipv4("192.0.2.7");
  info.id.proto = IPPROTO_ESP;
  return info;
}

TEST_CASE("IPsec: ESP, and ESP within UDP (not seen with packets)") {
  Ipsec found;
  Message plain(XFRM_MSG_NEWSA, association());
  add_ipsec(**plain, found);
  Message within_udp(XFRM_MSG_NEWSA, association());
  xfrm_encap_tmpl encapsulation{};
  encapsulation.encap_type = UDP_ENCAP_ESPINUDP;
  encapsulation.encap_sport = htons(4500);
  encapsulation.encap_dport = htons(4501);
  mnl_attr_put(*within_udp, XFRMA_ENCAP, sizeof encapsulation, &encapsulation);
  add_ipsec(**within_udp, found);
  const IpsecAssociation esp{
      .from = address("203.0.113.10"), .to = address("192.0.2.7"), .protocol = IPPROTO_ESP};
  IpsecAssociation udp = esp;
  udp.protocol = IPPROTO_UDP;
  udp.from_port = 4500;
  udp.to_port = 4501;
  CHECK(found.associations == std::vector{esp, udp});
}

TEST_CASE("IPsec: between which ends packets may be blocked or wrapped") {
  xfrm_userpolicy_info info{};
  info.sel.family = AF_INET;
  info.sel.saddr = ipv4("10.8.0.0");
  info.sel.prefixlen_s = 24;
  info.sel.daddr = ipv4("10.9.0.1");
  info.sel.prefixlen_d = 32;
  info.dir = XFRM_POLICY_FWD;
  Ipsec found;
  Message passes(XFRM_MSG_NEWPOLICY, info);
  add_ipsec(**passes, found);
  info.action = XFRM_POLICY_BLOCK;
  Message blocks(XFRM_MSG_NEWPOLICY, info);
  add_ipsec(**blocks, found);
  Message otherwise(XFRM_MSG_GETDEFAULT,
                    xfrm_userpolicy_default{.in = XFRM_USERPOLICY_BLOCK, .fwd = 0, .out = 0});
  add_ipsec(**otherwise, found);
  const auto prefix = [](const char* text) { return *net::parse_prefix(text); };
  CHECK(found.selectors ==
        std::vector<IpsecSelector>{{"fwd", prefix("10.8.0.0/24"), prefix("10.9.0.1/32")},
                                   {"in", prefix("0.0.0.0/0"), prefix("0.0.0.0/0")},
                                   {"in", prefix("::/0"), prefix("::/0")}});
}

TEST_CASE("IPsec: the networks that a policy sends through a tunnel") {
  xfrm_userpolicy_info info{};
  info.sel.family = AF_INET;
  info.sel.daddr = ipv4("10.8.0.0");
  info.sel.prefixlen_d = 24;
  xfrm_user_tmpl ends{};
  ends.family = AF_INET;
  ends.saddr = ipv4("203.0.113.10");
  ends.id.daddr = ipv4("192.0.2.7");
  Ipsec found;
  for (const std::uint8_t direction : {XFRM_POLICY_IN, XFRM_POLICY_OUT, XFRM_POLICY_FWD}) {
    info.dir = direction;
    Message message(XFRM_MSG_NEWPOLICY, info);
    mnl_attr_put(*message, XFRMA_TMPL, sizeof ends, &ends);
    add_ipsec(**message, found);
  }
  // One without a template lets pass as it is.
  info.dir = XFRM_POLICY_OUT;
  Message passes(XFRM_MSG_NEWPOLICY, info);
  add_ipsec(**passes, found);
  const IpsecPolicy policy{.network = *net::parse_prefix("10.8.0.0/24"),
                           .local = address("203.0.113.10"),
                           .remote = address("192.0.2.7")};
  CHECK(found.policies == std::vector{policy});
}

}  // namespace
}  // namespace rolewall::netlink
