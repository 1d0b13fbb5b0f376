// Payloads of iptables' matches and targets: their sizes are those of the kernel's structs, and
// what is read is said in iptables' own words.
#include <netinet/in.h>  // before the kernel's headers, which define no type twice then

#include <doctest/doctest.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/xt_addrtype.h>
#include <linux/netfilter/xt_comment.h>
#include <linux/netfilter/xt_connbytes.h>
#include <linux/netfilter/xt_connlabel.h>
#include <linux/netfilter/xt_connlimit.h>
#include <linux/netfilter/xt_connmark.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_cpu.h>
#include <linux/netfilter/xt_dccp.h>
#include <linux/netfilter/xt_devgroup.h>
#include <linux/netfilter/xt_dscp.h>
#include <linux/netfilter/xt_ecn.h>
#include <linux/netfilter/xt_esp.h>
#include <linux/netfilter/xt_hashlimit.h>
#include <linux/netfilter/xt_helper.h>
#include <linux/netfilter/xt_iprange.h>
#include <linux/netfilter/xt_length.h>
#include <linux/netfilter/xt_limit.h>
#include <linux/netfilter/xt_mac.h>
#include <linux/netfilter/xt_mark.h>
#include <linux/netfilter/xt_multiport.h>
#include <linux/netfilter/xt_owner.h>
#include <linux/netfilter/xt_physdev.h>
#include <linux/netfilter/xt_pkttype.h>
#include <linux/netfilter/xt_policy.h>
#include <linux/netfilter/xt_quota.h>
#include <linux/netfilter/xt_realm.h>
#include <linux/netfilter/xt_recent.h>
#include <linux/netfilter/xt_rpfilter.h>
#include <linux/netfilter/xt_socket.h>
#include <linux/netfilter/xt_state.h>
#include <linux/netfilter/xt_statistic.h>
#include <linux/netfilter/xt_string.h>
#include <linux/netfilter/xt_tcpmss.h>
#include <linux/netfilter/xt_tcpudp.h>
#include <linux/netfilter/xt_time.h>
#include <linux/netfilter/xt_u32.h>

#include <random>

#include "ruleset/xt_match.h"
#include "ruleset/xt_target.h"

namespace rolewall::ruleset {
namespace {

struct Payload {
  const char* name;
  std::uint32_t revision;
  std::size_t size;
};

// Whether a payload of the kernel's size is taken, and one of another is not.
void check_size(const Payload& payload) {
  CAPTURE(payload.name);
  const std::size_t padded = (payload.size + 7) / 8 * 8;
  const auto refuses_size = [&](std::size_t size) {
    const auto meaning = meaning_of(XtMatch{payload.name, payload.revision, Bytes(size)});
    return !meaning && meaning.error().message.starts_with("its payload has ");
  };
  CHECK_FALSE(refuses_size(padded));
  CHECK(refuses_size(padded + 8));
  CHECK(refuses_size(0));
}

void put_u16(Bytes& bytes, std::size_t at, std::uint16_t number) {
  std::memcpy(bytes.data() + at, &number, sizeof number);
}

TEST_CASE("the sizes are those of the kernel's structs") {
  for (const Payload& payload : {
           Payload{"addrtype", 0, sizeof(xt_addrtype_info)},
           Payload{"addrtype", 1, sizeof(xt_addrtype_info_v1)},
           Payload{"comment", 0, sizeof(xt_comment_info)},
           Payload{"connbytes", 0, sizeof(xt_connbytes_info)},
           Payload{"connlabel", 0, sizeof(xt_connlabel_mtinfo)},
           Payload{"connlimit", 1, sizeof(xt_connlimit_info)},
           Payload{"connmark", 1, sizeof(xt_connmark_mtinfo1)},
           Payload{"conntrack", 1, sizeof(xt_conntrack_mtinfo1)},
           Payload{"conntrack", 2, sizeof(xt_conntrack_mtinfo2)},
           Payload{"conntrack", 3, sizeof(xt_conntrack_mtinfo3)},
           Payload{"cpu", 0, sizeof(xt_cpu_info)},
           Payload{"dccp", 0, sizeof(xt_dccp_info)},
           Payload{"devgroup", 0, sizeof(xt_devgroup_info)},
           Payload{"dscp", 0, sizeof(xt_dscp_info)},
           Payload{"ecn", 0, sizeof(xt_ecn_info)},
           Payload{"esp", 0, sizeof(xt_esp)},
           Payload{"hashlimit", 1, sizeof(xt_hashlimit_mtinfo1)},
           Payload{"hashlimit", 2, sizeof(xt_hashlimit_mtinfo2)},
           Payload{"hashlimit", 3, sizeof(xt_hashlimit_mtinfo3)},
           Payload{"helper", 0, sizeof(xt_helper_info)},
           Payload{"iprange", 1, sizeof(xt_iprange_mtinfo)},
           Payload{"length", 0, sizeof(xt_length_info)},
           Payload{"limit", 0, sizeof(xt_rateinfo)},
           Payload{"mac", 0, sizeof(xt_mac_info)},
           Payload{"mark", 1, sizeof(xt_mark_mtinfo1)},
           Payload{"multiport", 1, sizeof(xt_multiport_v1)},
           Payload{"owner", 1, sizeof(xt_owner_match_info)},
           Payload{"physdev", 0, sizeof(xt_physdev_info)},
           Payload{"pkttype", 0, sizeof(xt_pkttype_info)},
           Payload{"policy", 0, sizeof(xt_policy_info)},
           Payload{"quota", 0, sizeof(xt_quota_info)},
           Payload{"realm", 0, sizeof(xt_realm_info)},
           Payload{"recent", 0, sizeof(xt_recent_mtinfo)},
           Payload{"recent", 1, sizeof(xt_recent_mtinfo_v1)},
           Payload{"rpfilter", 0, sizeof(xt_rpfilter_info)},
           Payload{"socket", 3, sizeof(xt_socket_mtinfo3)},
           Payload{"state", 0, sizeof(xt_state_info)},
           Payload{"statistic", 0, sizeof(xt_statistic_info)},
           Payload{"string", 1, sizeof(xt_string_info)},
           Payload{"tcp", 0, sizeof(xt_tcp)},
           Payload{"tcpmss", 0, sizeof(xt_tcpmss_match_info)},
           Payload{"time", 0, sizeof(xt_time_info)},
           Payload{"tos", 1, sizeof(xt_tos_match_info)},
           Payload{"u32", 0, sizeof(xt_u32)},
           Payload{"udp", 0, sizeof(xt_udp)},
       }) {
    check_size(payload);
  }
}

TEST_CASE("a match in iptables' words") {
  XtMatch multiport{"multiport", 1, Bytes(48)};
  multiport.info[0] = 1;
  multiport.info[1] = 3;
  put_u16(multiport.info, 2, 22);
  put_u16(multiport.info, 4, 80);
  put_u16(multiport.info, 6, 90);
  multiport.info[2 + 30 + 1] = 1;  // of the second on, a range
  CHECK_EQ(in_words(multiport, XtFamily::Ipv4), "-m multiport --dports 22,80:90");
  multiport.info[2 + 30 + 15] = 1;
  CHECK_EQ(in_words(multiport, XtFamily::Ipv4), "-m multiport ! --dports 22,80:90");

  XtMatch state{"state", 0, {0x46, 0, 0, 0, 0, 0, 0, 0}};
  CHECK_EQ(in_words(state, XtFamily::Ipv4), "-m state --state RELATED,ESTABLISHED,UNTRACKED");
  CHECK_EQ(in_words(XtMatch{"bpf", 1, {}}, XtFamily::Ipv4), "-m bpf");
}

// Later ones write expressions of nf_tables instead.
TEST_CASE("what iptables up to 1.8.7 writes, in its words") {
  XtMatch udp{"udp", 0, Bytes(16)};
  put_u16(udp.info, 0, 1024);
  put_u16(udp.info, 2, 0xffff);
  put_u16(udp.info, 4, 53);
  put_u16(udp.info, 6, 53);
  udp.info[8] = XT_UDP_INV_DSTPT;
  CHECK_EQ(in_words(udp, XtFamily::Ipv6), "-m udp --sport 1024:65535 ! --dport 53");

  XtMatch tcp{"tcp", 0, Bytes(16)};
  put_u16(tcp.info, 2, 0xffff);
  put_u16(tcp.info, 4, 22);
  put_u16(tcp.info, 6, 22);
  tcp.info[9] = 0x17;
  tcp.info[10] = 0x02;
  CHECK_EQ(in_words(tcp, XtFamily::Ipv4), "-m tcp --dport 22 --tcp-flags FIN,SYN,RST,ACK SYN");

  XtMatch mark{"mark", 1, {5, 0, 0, 0, 0xf, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}};
  CHECK_EQ(in_words(mark, XtFamily::Ipv4), "-m mark ! --mark 0x5/0xf");

  XtMatch limit{"limit", 0, Bytes(40)};
  put_u16(limit.info, 0, 120000 & 0xffff);
  put_u16(limit.info, 2, 120000 >> 16);
  limit.info[4] = 7;
  CHECK_EQ(in_words(limit, XtFamily::Ipv4), "-m limit --limit 5/min --limit-burst 7");

  XtTarget nflog{"NFLOG", 0, Bytes(80)};
  nflog.info[4] = 3;
  nflog.info[12] = 'x';
  CHECK_EQ(in_words(nflog, XtFamily::Ipv4), "-j NFLOG --nflog-prefix x --nflog-group 3");
}

TEST_CASE("what is not known has no meaning, and says why") {
  const auto why = [](const XtMatch& match) { return meaning_of(match).error().message; };
  CHECK_EQ(why({"bpf", 1, {}}), "it is not modelled");
  CHECK_EQ(why({"conntrack", 9, {}}), "revision 9 is not known");
  CHECK_EQ(why({"state", 0, Bytes(3)}), "its payload has 3 bytes");
  CHECK_EQ(why({"length", 0, {0, 0, 0, 0, 7, 0, 0, 0}}), "its payload is not known");
}

// Bytes that no iptables writes: texts without an end, counts beyond their lists, flags of no
// kernel.
TEST_CASE("whatever a payload holds, it is read or refused, and has words") {
  struct Known {
    const char* name;
    std::uint32_t revision;
    std::size_t size;
  };
  std::mt19937_64 random(7);
  for (const Known& known :
       {Known{"cgroup", 1, 4112},  Known{"comment", 0, 256},   Known{"dccp", 0, 16},
        Known{"hashlimit", 1, 56}, Known{"hashlimit", 3, 312}, Known{"hbh", 0, 40},
        Known{"helper", 0, 40},    Known{"multiport", 1, 48},  Known{"policy", 0, 312},
        Known{"recent", 0, 216},   Known{"recent", 1, 232},    Known{"rt", 0, 280},
        Known{"sctp", 0, 296},     Known{"set", 0, 32},        Known{"set", 3, 48},
        Known{"set", 4, 48},       Known{"string", 1, 160},    Known{"time", 0, 24},
        Known{"u32", 0, 1984},     Known{"limit", 0, 40},      Known{"statistic", 0, 24},
        Known{"conntrack", 1, 152}}) {
    for (int round = 0; round < 200; ++round) {
      XtMatch match{known.name, known.revision, Bytes(known.size)};
      const unsigned density = round % 4;  // all bytes, or few
      for (std::uint8_t& byte : match.info) {
        if (density == 0 || random() % (8 * density) == 0)
          byte = static_cast<std::uint8_t>(random());
      }
      CHECK_FALSE(in_words(match, round % 2 == 0 ? XtFamily::Ipv4 : XtFamily::Ipv6).empty());
    }
  }
  for (const Known& known :
       {Known{"CT", 2, 72}, Known{"DNAT", 2, 48}, Known{"LOG", 0, 32}, Known{"NFLOG", 0, 80},
        Known{"RATEEST", 0, 32}, Known{"IDLETIMER", 0, 40}, Known{"SET", 0, 64},
        Known{"SET", 3, 24}, Known{"REJECT", 0, 8}, Known{"TEE", 1, 40}}) {
    for (int round = 0; round < 200; ++round) {
      XtTarget target{known.name, known.revision, Bytes(known.size)};
      for (std::uint8_t& byte : target.info) {
        if (round % 2 == 0 || random() % 8 == 0) byte = static_cast<std::uint8_t>(random());
      }
      CHECK_FALSE(in_words(target, XtFamily::Ipv4).empty());
    }
  }
}

TEST_CASE("a target in iptables' words") {
  XtTarget nat{"DNAT", 2, Bytes(48)};
  nat.info[0] = NF_NAT_RANGE_MAP_IPS | NF_NAT_RANGE_PROTO_SPECIFIED;
  for (const std::size_t at : {4U, 20U}) {
    nat.info[at] = 10;
    nat.info[at + 3] = 7;
  }
  nat.info[37] = nat.info[39] = 80;
  CHECK_EQ(in_words(nat, XtFamily::Ipv4), "-j DNAT --to-destination 10.0.0.7:80");
  CHECK_EQ(in_words(XtTarget{"REJECT", 0, {3, 0, 0, 0, 0, 0, 0, 0}}, XtFamily::Ipv4),
           "-j REJECT --reject-with icmp-port-unreachable");
  CHECK_EQ(in_words(XtTarget{"REJECT", 0, {4, 0, 0, 0, 0, 0, 0, 0}}, XtFamily::Ipv6),
           "-j REJECT --reject-with icmp6-port-unreachable");
}

}  // namespace
}  // namespace rolewall::ruleset
