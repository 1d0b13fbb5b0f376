#include "ruleset/xt_match.h"
#include "base/visit.h"

#include <fmt/format.h>

#include <array>

namespace rolewall::ruleset {
namespace {

using Read = std::optional<XtMatchMeaning> (*)(const XtBytes&);

template <auto ReadOne>
std::optional<XtMatchMeaning> as_meaning(const XtBytes& bytes) {
  auto meaning = ReadOne(bytes);
  if (!meaning) return std::nullopt;
  return XtMatchMeaning(std::move(*meaning));
}

struct PayloadRow {
  std::string_view name;
  std::uint32_t revision;
  std::size_t size;  // of the struct, before padding
  Read read;
};

// IPv4's and IPv6's payloads of one name have one size, but for padding (ah), and one shape.
constexpr std::array kPayloadRows{
    PayloadRow{"addrtype", 0, 12, as_meaning<read_xt_addrtype_0>},
    PayloadRow{"addrtype", 1, 8, as_meaning<read_xt_addrtype>},
    PayloadRow{"ah", 0, 16, as_meaning<read_xt_ah>},
    PayloadRow{"cgroup", 0, 8, as_meaning<read_xt_cgroup_0>},
    PayloadRow{"cgroup", 1, 4112, as_meaning<read_xt_cgroup_1>},
    PayloadRow{"cgroup", 2, 528, as_meaning<read_xt_cgroup_2>},
    PayloadRow{"comment", 0, 256, as_meaning<read_xt_comment>},
    PayloadRow{"connbytes", 0, 24, as_meaning<read_xt_connbytes>},
    PayloadRow{"connlabel", 0, 4, as_meaning<read_xt_connlabel>},
    PayloadRow{"connlimit", 1, 32, as_meaning<read_xt_connlimit>},
    PayloadRow{"connmark", 1, 12, as_meaning<read_xt_connmark>},
    PayloadRow{"conntrack", 1, 152, as_meaning<read_xt_conntrack_1>},
    PayloadRow{"conntrack", 2, 156, as_meaning<read_xt_conntrack_2>},
    PayloadRow{"conntrack", 3, 164, as_meaning<read_xt_conntrack>},
    PayloadRow{"cpu", 0, 8, as_meaning<read_xt_cpu>},
    PayloadRow{"dccp", 0, 16, as_meaning<read_xt_dccp>},
    PayloadRow{"devgroup", 0, 20, as_meaning<read_xt_devgroup>},
    PayloadRow{"dscp", 0, 2, as_meaning<read_xt_dscp>},
    PayloadRow{"dst", 0, 40, as_meaning<read_xt_dst>},
    PayloadRow{"ecn", 0, 4, as_meaning<read_xt_ecn>},
    PayloadRow{"esp", 0, 12, as_meaning<read_xt_esp>},
    PayloadRow{"eui64", 0, 4, as_meaning<read_xt_eui64>},
    PayloadRow{"frag", 0, 16, as_meaning<read_xt_frag>},
    PayloadRow{"hashlimit", 1, 56, as_meaning<read_xt_hashlimit_1>},
    PayloadRow{"hashlimit", 2, 304, as_meaning<read_xt_hashlimit_2>},
    PayloadRow{"hashlimit", 3, 312, as_meaning<read_xt_hashlimit_3>},
    PayloadRow{"hbh", 0, 40, as_meaning<read_xt_hbh>},
    PayloadRow{"helper", 0, 36, as_meaning<read_xt_helper>},
    PayloadRow{"hl", 0, 2, as_meaning<read_xt_hl>},
    PayloadRow{"icmp", 0, 4, as_meaning<read_xt_icmp>},
    PayloadRow{"icmp6", 0, 4, as_meaning<read_xt_icmp6>},
    PayloadRow{"iprange", 1, 68, as_meaning<read_xt_iprange>},
    PayloadRow{"ipv6header", 0, 3, as_meaning<read_xt_ipv6header>},
    PayloadRow{"length", 0, 6, as_meaning<read_xt_length>},
    PayloadRow{"limit", 0, 40, as_meaning<read_xt_limit>},
    PayloadRow{"mac", 0, 12, as_meaning<read_xt_mac>},
    PayloadRow{"mark", 1, 12, as_meaning<read_xt_mark>},
    PayloadRow{"mh", 0, 3, as_meaning<read_xt_mh>},
    PayloadRow{"multiport", 1, 48, as_meaning<read_xt_multiport>},
    PayloadRow{"owner", 1, 20, as_meaning<read_xt_owner>},
    PayloadRow{"physdev", 0, 66, as_meaning<read_xt_physdev>},
    PayloadRow{"pkttype", 0, 8, as_meaning<read_xt_pkttype>},
    PayloadRow{"policy", 0, 308, as_meaning<read_xt_policy>},
    PayloadRow{"quota", 0, 24, as_meaning<read_xt_quota>},
    PayloadRow{"realm", 0, 12, as_meaning<read_xt_realm>},
    PayloadRow{"recent", 0, 212, as_meaning<read_xt_recent_0>},
    PayloadRow{"recent", 1, 228, as_meaning<read_xt_recent>},
    PayloadRow{"rpfilter", 0, 1, as_meaning<read_xt_rpfilter>},
    PayloadRow{"rt", 0, 280, as_meaning<read_xt_rt>},
    PayloadRow{"sctp", 0, 292, as_meaning<read_xt_sctp>},
    PayloadRow{"set", 0, 32, as_meaning<read_xt_set_0>},
    PayloadRow{"set", 1, 4, as_meaning<read_xt_set_1>},
    PayloadRow{"set", 2, 4, as_meaning<read_xt_set_1>},
    PayloadRow{"set", 3, 48, as_meaning<read_xt_set_3>},
    PayloadRow{"set", 4, 48, as_meaning<read_xt_set_4>},
    PayloadRow{"socket", 0, 0, as_meaning<read_xt_socket>},
    PayloadRow{"socket", 1, 1, as_meaning<read_xt_socket>},
    PayloadRow{"socket", 2, 1, as_meaning<read_xt_socket>},
    PayloadRow{"socket", 3, 1, as_meaning<read_xt_socket>},
    PayloadRow{"state", 0, 4, as_meaning<read_xt_state>},
    PayloadRow{"statistic", 0, 24, as_meaning<read_xt_statistic>},
    PayloadRow{"string", 1, 160, as_meaning<read_xt_string>},
    PayloadRow{"tcp", 0, 12, as_meaning<read_xt_tcp>},
    PayloadRow{"tcpmss", 0, 6, as_meaning<read_xt_tcpmss>},
    PayloadRow{"time", 0, 24, as_meaning<read_xt_time>},
    PayloadRow{"tos", 1, 3, as_meaning<read_xt_tos>},
    PayloadRow{"ttl", 0, 2, as_meaning<read_xt_ttl>},
    PayloadRow{"u32", 0, 1984, as_meaning<read_xt_u32>},
    PayloadRow{"udp", 0, 10, as_meaning<read_xt_udp>},
    PayloadRow{"udplite", 0, 10, as_meaning<read_xt_udp>},
};

std::unexpected<Error> without(std::string why) {
  return fail(ErrorKind::Usage, std::move(why));
}

}  // namespace

Result<XtMatchMeaning> meaning_of(const XtMatch& match) {
  bool known = false;
  for (const PayloadRow& row : kPayloadRows) {
    if (row.name != match.name) continue;
    known = true;
    if (row.revision != match.revision) continue;
    constexpr std::size_t kAlignment = 8;  // XT_ALIGN
    const std::size_t padded = (row.size + kAlignment - 1) / kAlignment * kAlignment;
    if (match.info.size() != padded) {
      return without(fmt::format("its payload has {} bytes", match.info.size()));
    }
    auto meaning = row.read(XtBytes(match.info));
    if (!meaning) return without("its payload is not known");
    return std::move(*meaning);
  }
  if (known) return without(fmt::format("revision {} is not known", match.revision));
  return without("it is not modelled");
}

std::string in_words(const XtMatch& match, XtFamily family, IpsetNumbers sets) {
  const auto meaning = meaning_of(match);
  if (!meaning) return "-m " + match.name;
  if (match.name == "udplite") return "-m udplite";
  if (const auto* set = std::get_if<XtSet>(&*meaning)) return "-m " + xt_words(*set, sets);
  return "-m " + visit_closed([&](const auto& m) { return xt_words(m, family); }, *meaning);
}

}  // namespace rolewall::ruleset
