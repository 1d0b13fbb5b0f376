#include "ruleset/xt_target.h"
#include "base/visit.h"

#include <fmt/format.h>

#include <utility>

#include "ruleset/xt_host.h"

namespace rolewall::ruleset {
namespace {

using Meaning = std::optional<XtTargetMeaning>;

// --- notes -------------------------------------------------------------------------------------

// struct xt_log_info
Meaning read_log(const XtBytes& bytes) {
  constexpr std::uint8_t kUsualLevel = 4;
  struct Flag {
    std::uint8_t bit;
    std::string_view option;
  };
  constexpr std::array kFlags{Flag{1, "tcp-sequence"}, Flag{2, "tcp-options"},
                              Flag{4, "ip-options"}, Flag{8, "uid"}, Flag{32, "macdecode"}};
  std::string words;
  if (const std::string prefix = bytes.text(2, 30); !prefix.empty()) {
    words += " --log-prefix " + xt_quoted(prefix);
  }
  if (bytes.u8(0) != kUsualLevel) words += fmt::format(" --log-level {}", bytes.u8(0));
  for (const Flag& flag : kFlags) {
    if ((bytes.u8(1) & flag.bit) != 0) words += " --log-" + std::string(flag.option);
  }
  return XtNotes{words};
}
// struct xt_nflog_info
Meaning read_nflog(const XtBytes& bytes) {
  std::string words;
  if (const std::string prefix = bytes.text(12, 64); !prefix.empty()) {
    words += " --nflog-prefix " + xt_quoted(prefix);
  }
  if (bytes.u16(4) != 0) words += fmt::format(" --nflog-group {}", bytes.u16(4));
  const bool is_copied = (bytes.u16(8) & 1) != 0;
  if (bytes.u32(0) != 0) {
    words += fmt::format(" --nflog-{} {}", is_copied ? "size" : "range", bytes.u32(0));
  }
  if (bytes.u16(6) != 0) words += fmt::format(" --nflog-threshold {}", bytes.u16(6));
  return XtNotes{words};
}
// struct xt_audit_info
Meaning read_audit(const XtBytes& bytes) {
  constexpr std::array<std::string_view, 3> kTypes{"accept", "drop", "reject"};
  if (bytes.u8(0) >= kTypes.size()) return std::nullopt;
  return XtNotes{" --type " + std::string(kTypes[bytes.u8(0)])};
}
// struct idletimer_tg_info, _v1
Meaning read_idletimer(const XtBytes& bytes) {
  return XtNotes{fmt::format(" --timeout {} --label {}", bytes.u32(0), bytes.text(4, 28))};
}
Meaning read_idletimer_1(const XtBytes& bytes) {
  Meaning meaning = read_idletimer(bytes);
  if (bytes.u8(33) != 0) std::get<XtNotes>(*meaning).words += " --alarm";
  return meaning;
}
// struct xt_rateest_target_info
Meaning read_rateest(const XtBytes& bytes) {
  constexpr std::uint64_t kSecond = 1'000'000;
  const auto interval = static_cast<std::int8_t>(bytes.u8(16));
  const std::uint8_t log = bytes.u8(17);
  if (interval < -2 || interval > 3 || log > 31) return std::nullopt;
  const std::uint64_t each = (kSecond << (interval + 2)) / 4;
  const auto time = [](std::uint64_t us) {
    constexpr double kMillisecond = 1000;
    return us >= kSecond ? fmt::format("{:.1f}s", static_cast<double>(us) / kSecond)
                         : fmt::format("{:.1f}ms", static_cast<double>(us) / kMillisecond);
  };
  return XtNotes{fmt::format(" --rateest-name {} --rateest-interval {} --rateest-ewmalog {}",
                             bytes.text(0, 16), time(each), time(each << log))};
}
// Of which nothing that is modelled depends on the payload.
Meaning read_note(const XtBytes& /*bytes*/) {
  return XtNotes{};
}
// struct xt_CHECKSUM_info: what leaves has whole checksums in any case.
Meaning read_checksum(const XtBytes& /*bytes*/) {
  return XtNotes{" --checksum-fill"};
}
// struct xt_tee_tginfo
Meaning read_tee(const XtBytes& bytes) {
  return XtTee{.gateway = bytes.address(0), .device = bytes.text(16, 16)};
}

// --- verdicts, marks, connections --------------------------------------------------------------

// struct ipt_reject_info, struct ip6t_reject_info
Meaning read_reject(const XtBytes& bytes) {
  constexpr std::uint32_t kMost = 8;
  if (bytes.u32(0) > kMost) return std::nullopt;
  return XtReject{bytes.u32(0)};
}
// struct xt_mark_tginfo2
Meaning read_mark(const XtBytes& bytes) {
  return XtSetMark{.value = bytes.u32(0), .mask = bytes.u32(4)};
}
Meaning read_connmark(const XtBytes& bytes, std::size_t mode_at) {
  const std::uint8_t mode = bytes.u8(mode_at);
  if (mode > 2) return std::nullopt;
  return XtConnmarkTarget{.does = static_cast<XtConnmarkTarget::Does>(mode),
                          .value = bytes.u32(0),
                          .connection_mask = bytes.u32(4),
                          .packet_mask = bytes.u32(8)};
}
// struct xt_connmark_tginfo1
Meaning read_connmark_1(const XtBytes& bytes) {
  return read_connmark(bytes, 12);
}
// struct xt_connmark_tginfo2
Meaning read_connmark_2(const XtBytes& bytes) {
  Meaning meaning = read_connmark(bytes, 14);
  if (!meaning || bytes.u8(12) > 1 || bytes.u8(13) >= 32) return std::nullopt;
  auto& target = std::get<XtConnmarkTarget>(*meaning);
  target.shifts_right = bytes.u8(12) == 1;
  target.shift = bytes.u8(13);
  return meaning;
}
// struct xt_ct_target_info
Meaning read_ct(const XtBytes& bytes) {
  enum : std::uint16_t { kNotrack = 1, kAlias = 2, kOriginal = 4, kReply = 8, kMark = 16 };
  const std::uint16_t flags = bytes.u16(0);
  if ((flags & ~31) != 0) return std::nullopt;
  return XtCt{.untracks = (flags & kNotrack) != 0,
              .is_alias = (flags & kAlias) != 0,
              .zone = bytes.u16(2),
              .zone_of_mark = (flags & kMark) != 0,
              .zone_of_direction = (flags & (kOriginal | kReply)) != 0,
              .zone_of_reply = (flags & kReply) != 0,
              .helper = bytes.text(12, 16),
              .timeout = {},
              .events = bytes.u32(4),
              .expectation_events = bytes.u32(8)};
}
// struct xt_ct_target_info_v1
Meaning read_ct_1(const XtBytes& bytes) {
  Meaning meaning = read_ct(bytes);
  if (meaning) std::get<XtCt>(*meaning).timeout = bytes.text(28, 32);
  return meaning;
}
Meaning read_notrack(const XtBytes& /*bytes*/) {
  return XtCt{.untracks = true, .is_alias = true, .helper = {}, .timeout = {}};
}
// struct xt_set_info_target_v1 to _v3
XtSetTarget::Use set_use(const XtBytes& bytes, std::size_t at) {
  return {.number = bytes.u16(at),
          .dimensions = bytes.u8(at + 2),
          .sources = static_cast<std::uint8_t>(bytes.u8(at + 3) & 0x7e),
          .inverted = (bytes.u8(at + 3) & 1) != 0};
}
XtSetTarget read_sets(const XtBytes& bytes) {
  XtSetTarget target;
  target.add = set_use(bytes, 0);
  target.remove = set_use(bytes, 4);
  return target;
}
// IPSET_FLAG_*, and a timeout
void read_set_options(XtSetTarget& target, const XtBytes& bytes, std::size_t at) {
  enum : std::uint32_t {
    kExist = 1,
    kMapMark = 1 << 8,
    kMapPriority = 1 << 9,
    kMapQueue = 1 << 10
  };
  const std::uint32_t flags = bytes.u32(at);
  target.renews = (flags & kExist) != 0;
  target.maps_mark = (flags & kMapMark) != 0;
  target.maps_priority = (flags & kMapPriority) != 0;
  target.maps_queue = (flags & kMapQueue) != 0;
  const std::uint32_t timeout = bytes.u32(at + 4);
  if (timeout != 0xffffffff) target.timeout = timeout;
}
// struct xt_set_info_target_v0
Meaning read_set_0(const XtBytes& bytes) {
  const auto use_at = [&](std::size_t at) {
    const XtSetSides sides = xt_set_sides_0(bytes, at);
    return XtSetTarget::Use{.number = bytes.u16(at),
                            .dimensions = sides.dimensions,
                            .sources = sides.sources,
                            .inverted = sides.inverted};
  };
  XtSetTarget target;
  target.add = use_at(0);
  target.remove = use_at(32);
  return target;
}
Meaning read_set_1(const XtBytes& bytes) {
  return read_sets(bytes);
}
Meaning read_set_2(const XtBytes& bytes) {
  XtSetTarget target = read_sets(bytes);
  read_set_options(target, bytes, 8);
  return target;
}
Meaning read_set_3(const XtBytes& bytes) {
  XtSetTarget target = read_sets(bytes);
  target.map = set_use(bytes, 8);
  read_set_options(target, bytes, 12);
  return target;
}
// struct nf_synproxy_info
Meaning read_synproxy(const XtBytes& bytes) {
  return XtSynproxyTarget{.options = bytes.u8(0), .window_scale = bytes.u8(1), .mss = bytes.u16(2)};
}
// struct xt_NFQ_info to xt_NFQ_info_v3
Meaning read_queue(const XtBytes& bytes) {
  return XtQueue{.first = bytes.u16(0)};
}
Meaning read_queue_1(const XtBytes& bytes) {
  return XtQueue{.first = bytes.u16(0), .count = bytes.u16(2)};
}
Meaning read_queue_3(const XtBytes& bytes) {
  return XtQueue{.first = bytes.u16(0),
                 .count = bytes.u16(2),
                 .by_cpu = (bytes.u16(4) & 2) != 0,
                 .bypass = (bytes.u16(4) & 1) != 0};
}
// struct xt_tproxy_target_info, _v1
Meaning read_tproxy(const XtBytes& bytes) {
  XtTproxyTarget target{
      .address = {}, .port = bytes.be16(12), .mark_value = bytes.u32(4), .mark_mask = bytes.u32(0)};
  for (std::size_t i = 0; i < 4; ++i) target.address[i] = bytes.u8(8 + i);
  return target;
}
Meaning read_tproxy_1(const XtBytes& bytes) {
  return XtTproxyTarget{.address = bytes.address(8),
                        .port = bytes.be16(24),
                        .mark_value = bytes.u32(4),
                        .mark_mask = bytes.u32(0)};
}

// --- translations ------------------------------------------------------------------------------

// struct nf_nat_ipv4_multi_range_compat
template <XtNat::Kind Kind>
Meaning read_nat_ipv4(const XtBytes& bytes) {
  if (bytes.u32(0) != 1) return std::nullopt;
  XtNat nat{.kind = Kind, .flags = bytes.u32(4)};
  for (std::size_t i = 0; i < 4; ++i) {
    nat.first[i] = bytes.u8(8 + i);
    nat.last[i] = bytes.u8(12 + i);
  }
  nat.first_port = bytes.be16(16);
  nat.last_port = bytes.be16(18);
  return nat;
}
// struct nf_nat_range; nf_nat_range2 has one port more.
template <XtNat::Kind Kind>
Meaning read_nat(const XtBytes& bytes) {
  return XtNat{.kind = Kind,
               .flags = bytes.u32(0),
               .first = bytes.address(4),
               .last = bytes.address(20),
               .first_port = bytes.be16(36),
               .last_port = bytes.be16(38),
               .base_port = bytes.be16(40)};  // of struct nf_nat_range2 alone
}

// --- writes into the packet --------------------------------------------------------------------

// struct xt_tcpmss_info
Meaning read_tcpmss(const XtBytes& bytes) {
  constexpr std::uint16_t kClamp = 0xffff;
  XtSetMss target;
  if (bytes.u16(0) != kClamp) target.size = bytes.u16(0);
  return target;
}
// struct xt_tcpoptstrip_target_info
Meaning read_strip(const XtBytes& bytes) {
  XtStripOptions target;
  for (std::size_t i = 0; i < target.options.size(); ++i) target.options[i] = bytes.u32(4 * i);
  return target;
}
// struct xt_DSCP_info, struct xt_tos_target_info
Meaning read_dscp(const XtBytes& bytes) {
  if (bytes.u8(0) > 0x3f) return std::nullopt;
  return XtSetTos{
      .value = static_cast<std::uint8_t>(bytes.u8(0) << 2), .mask = 0xfc, .is_dscp = true};
}
Meaning read_tos(const XtBytes& bytes) {
  return XtSetTos{.value = bytes.u8(0), .mask = bytes.u8(1)};
}
// struct ipt_TTL_info, struct ip6t_HL_info
Meaning read_ttl(const XtBytes& bytes) {
  if (bytes.u8(0) > 2) return std::nullopt;
  return XtSetTtl{.does = static_cast<XtSetTtl::Does>(bytes.u8(0)), .value = bytes.u8(1)};
}
Meaning read_hl(const XtBytes& bytes) {
  Meaning meaning = read_ttl(bytes);
  if (meaning) std::get<XtSetTtl>(*meaning).hop_limit = true;
  return meaning;
}
// struct ipt_ECN_info
Meaning read_ecn(const XtBytes& bytes) {
  const std::uint8_t does = bytes.u8(0);
  if ((does & ~0x31) != 0) return std::nullopt;
  return XtSetEcn{.ip = (does & 1) != 0,
                  .ip_value = bytes.u8(1),
                  .echo = (does & 0x10) != 0,
                  .reduced = (does & 0x20) != 0,
                  .echo_value = (bytes.u8(2) & 1) != 0,
                  .reduced_value = (bytes.u8(2) & 2) != 0};
}
// struct xt_classify_target_info
Meaning read_classify(const XtBytes& bytes) {
  return XtClassify{bytes.u32(0)};
}

struct TargetRow {
  std::string_view name;
  std::uint32_t revision;
  std::size_t size;  // of the struct; 0: any
  Meaning (*read)(const XtBytes&);
};

using NatTo = XtNat::Kind;
constexpr std::array kTargetRows{
    TargetRow{"AUDIT", 0, 1, read_audit},
    TargetRow{"CHECKSUM", 0, 1, read_checksum},
    TargetRow{"CLASSIFY", 0, 4, read_classify},
    TargetRow{"CONNMARK", 1, 16, read_connmark_1},
    TargetRow{"CONNMARK", 2, 16, read_connmark_2},
    TargetRow{"CONNSECMARK", 0, 1, read_note},
    TargetRow{"CT", 0, 40, read_ct},
    TargetRow{"CT", 1, 72, read_ct_1},
    TargetRow{"CT", 2, 72, read_ct_1},
    TargetRow{"DNAT", 0, 20, read_nat_ipv4<NatTo::Destination>},
    TargetRow{"DNAT", 1, 40, read_nat<NatTo::Destination>},
    TargetRow{"DNAT", 2, 44, read_nat<NatTo::Destination>},
    TargetRow{"DSCP", 0, 1, read_dscp},
    TargetRow{"ECN", 0, 3, read_ecn},
    TargetRow{"HL", 0, 2, read_hl},
    TargetRow{"IDLETIMER", 0, 40, read_idletimer},
    TargetRow{"IDLETIMER", 1, 48, read_idletimer_1},
    TargetRow{"LED", 0, 0, read_note},
    TargetRow{"LOG", 0, 32, read_log},
    TargetRow{"MARK", 2, 8, read_mark},
    TargetRow{"MASQUERADE", 0, 20, read_nat_ipv4<NatTo::Masquerade>},
    TargetRow{"MASQUERADE", 0, 40, read_nat<NatTo::Masquerade>},
    TargetRow{"NETMAP", 0, 20, read_nat_ipv4<NatTo::Netmap>},
    TargetRow{"NETMAP", 0, 40, read_nat<NatTo::Netmap>},
    TargetRow{"NFLOG", 0, 76, read_nflog},
    TargetRow{"NFQUEUE", 0, 2, read_queue},
    TargetRow{"NFQUEUE", 1, 4, read_queue_1},
    TargetRow{"NFQUEUE", 2, 6, read_queue_3},
    TargetRow{"NFQUEUE", 3, 6, read_queue_3},
    TargetRow{"NOTRACK", 0, 0, read_notrack},
    TargetRow{"RATEEST", 0, 32, read_rateest},
    TargetRow{"REDIRECT", 0, 20, read_nat_ipv4<NatTo::Redirect>},
    TargetRow{"REDIRECT", 0, 40, read_nat<NatTo::Redirect>},
    TargetRow{"REJECT", 0, 4, read_reject},
    TargetRow{"SECMARK", 0, 0, read_note},
    TargetRow{"SECMARK", 1, 0, read_note},
    TargetRow{"SET", 0, 64, read_set_0},
    TargetRow{"SET", 1, 8, read_set_1},
    TargetRow{"SET", 2, 16, read_set_2},
    TargetRow{"SET", 3, 20, read_set_3},
    TargetRow{"SNAT", 0, 20, read_nat_ipv4<NatTo::Source>},
    TargetRow{"SNAT", 1, 40, read_nat<NatTo::Source>},
    TargetRow{"SNAT", 2, 44, read_nat<NatTo::Source>},
    TargetRow{"SYNPROXY", 0, 4, read_synproxy},
    TargetRow{"TCPMSS", 0, 2, read_tcpmss},
    TargetRow{"TCPOPTSTRIP", 0, 32, read_strip},
    TargetRow{"TEE", 0, 40, read_tee},
    TargetRow{"TEE", 1, 40, read_tee},
    TargetRow{"TOS", 1, 2, read_tos},
    TargetRow{"TPROXY", 0, 16, read_tproxy},
    TargetRow{"TPROXY", 1, 28, read_tproxy_1},
    TargetRow{"TRACE", 0, 0, read_note},
    // Of ebtables: struct ebt_log_info, ebt_nflog_info.
    TargetRow{"log", 0, 36, read_note},
    TargetRow{"nflog", 0, 76, read_note},
    TargetRow{"TTL", 0, 2, read_ttl},
};

std::string words(const XtNotes& notes, XtFamily /*family*/) {
  return notes.words;
}
std::string words(const XtTee& target, XtFamily family) {
  return " --gateway " + xt_text(target.gateway, family) +
         (target.device.empty() ? "" : " --oif " + target.device);
}
std::string words(const XtReject& target, XtFamily family) {
  constexpr std::array<std::string_view, 9> kIpv4{"icmp-net-unreachable",
                                                  "icmp-host-unreachable",
                                                  "icmp-proto-unreachable",
                                                  "icmp-port-unreachable",
                                                  "echo-reply",
                                                  "icmp-net-prohibited",
                                                  "icmp-host-prohibited",
                                                  "tcp-reset",
                                                  "icmp-admin-prohibited"};
  constexpr std::array<std::string_view, 9> kIpv6{"icmp6-no-route",
                                                  "icmp6-adm-prohibited",
                                                  "icmp6-not-neighbour",
                                                  "icmp6-addr-unreachable",
                                                  "icmp6-port-unreachable",
                                                  "echo-reply",
                                                  "tcp-reset",
                                                  "icmp6-policy-fail",
                                                  "icmp6-reject-route"};
  return " --reject-with " + std::string((family == XtFamily::Ipv6 ? kIpv6 : kIpv4)[target.with]);
}
std::string words(const XtSetMark& target, XtFamily /*family*/) {
  return xt_option("set-xmark", false, fmt::format("{:#x}/{:#x}", target.value, target.mask));
}
std::string words(const XtConnmarkTarget& target, XtFamily /*family*/) {
  using Does = XtConnmarkTarget::Does;
  const std::string shift = target.shift == 0
                                ? ""
                                : fmt::format(" --{}-shift-mark {}",
                                              target.shifts_right ? "right" : "left", target.shift);
  if (target.does == Does::Sets) {
    return fmt::format(" --set-xmark {:#x}/{:#x}", target.value, target.connection_mask) + shift;
  }
  return fmt::format(" --{}-mark --nfmask {:#x} --ctmask {:#x}",
                     target.does == Does::Saves ? "save" : "restore", target.packet_mask,
                     target.connection_mask) +
         shift;
}
std::string words(const XtNat& nat, XtFamily family) {
  enum : std::uint32_t {
    kAddress = 1,
    kPort = 2,
    kRandom = 4,
    kPersistent = 8,
    kFully = 16,
    kOffset = 32
  };
  std::string to;
  if ((nat.flags & kAddress) != 0) {
    const bool brackets = family == XtFamily::Ipv6 && (nat.flags & kPort) != 0;
    to = (brackets ? "[" : "") + xt_text(nat.first, family);
    if (nat.last != nat.first) to += "-" + xt_text(nat.last, family);
    if (brackets) to += "]";
  }
  std::string ports;
  if ((nat.flags & kPort) != 0) {
    ports = nat.first_port == nat.last_port ? fmt::format("{}", nat.first_port)
                                            : fmt::format("{}-{}", nat.first_port, nat.last_port);
    if ((nat.flags & kOffset) != 0) ports += fmt::format("/{}", nat.base_port);
  }
  std::string words;
  switch (nat.kind) {
    case NatTo::Source:
      words = " --to-source " + to + (ports.empty() ? "" : ":" + ports);
      break;
    case NatTo::Destination:
      words = " --to-destination " + to + (ports.empty() ? "" : ":" + ports);
      break;
    case NatTo::Masquerade:
    case NatTo::Redirect:
      if (!ports.empty()) words = " --to-ports " + ports;
      break;
    case NatTo::Netmap: {
      XtAddress mask{};
      for (std::size_t i = 0; i < mask.size(); ++i) {
        mask[i] = static_cast<std::uint8_t>(~(nat.first[i] ^ nat.last[i]));
      }
      const std::string network = xt_network(nat.first, mask, family);
      const bool is_single = nat.first == nat.last;
      words = " --to " + network + (!is_single ? "" : family == XtFamily::Ipv6 ? "/128" : "/32");
      break;
    }
  }
  if ((nat.flags & kRandom) != 0) words += " --random";
  if ((nat.flags & kFully) != 0) words += " --random-fully";
  return (nat.flags & kPersistent) != 0 ? words + " --persistent" : words;
}
std::string words(const XtCt& target, XtFamily /*family*/) {
  if (target.untracks) return target.is_alias ? "" : " --notrack";
  std::string words;
  if (!target.helper.empty()) words += " --helper " + target.helper;
  if (!target.timeout.empty()) words += " --timeout " + target.timeout;
  constexpr std::array<std::string_view, 10> kEvents{"new",        "related",   "destroy", "reply",
                                                     "assured",    "protoinfo", "helper",  "mark",
                                                     "natseqinfo", "secmark"};
  const auto add = [&](std::string_view option, std::uint32_t events) {
    std::string list;
    for (std::size_t i = 0; i < kEvents.size(); ++i) {
      if ((events >> i & 1) != 0) list += (list.empty() ? "" : ",") + std::string(kEvents[i]);
    }
    if (!list.empty()) words += fmt::format(" --{} {}", option, list);
  };
  add("ctevents", target.events);
  add("expevents", target.expectation_events);
  if (!target.zone_of_mark && target.zone == 0) return words;
  const std::string_view zone = !target.zone_of_direction ? "zone"
                                : target.zone_of_reply    ? "zone-reply"
                                                          : "zone-orig";
  return words + fmt::format(" --{} {}", zone,
                             target.zone_of_mark ? "mark" : fmt::format("{}", target.zone));
}
std::string words(const XtSetMss& target, XtFamily /*family*/) {
  return target.size ? fmt::format(" --set-mss {}", *target.size) : " --clamp-mss-to-pmtu";
}
std::string words(const XtStripOptions& target, XtFamily /*family*/) {
  std::string list;
  for (std::size_t i = 0; i < 256; ++i) {
    if ((target.options[i / 32] >> i % 32 & 1) != 0) {
      list += fmt::format("{}{}", list.empty() ? "" : ",", i);
    }
  }
  return " --strip-options " + list;
}
std::string words(const XtSetTos& target, XtFamily /*family*/) {
  return target.is_dscp ? fmt::format(" --set-dscp {:#04x}", target.value >> 2)
                        : fmt::format(" --set-tos {:#04x}/{:#04x}", target.value, target.mask);
}
std::string words(const XtSetTtl& target, XtFamily /*family*/) {
  constexpr std::array<std::string_view, 3> kDoes{"set", "inc", "dec"};
  return fmt::format(" --{}-{} {}", target.hop_limit ? "hl" : "ttl",
                     kDoes[static_cast<std::size_t>(target.does)], target.value);
}
std::string words(const XtSetEcn& target, XtFamily /*family*/) {
  if (target.echo || target.reduced) return " --ecn-tcp-remove";
  return fmt::format(" --ecn-ip-ect {}", target.ip_value);
}
std::string words(const XtClassify& target, XtFamily /*family*/) {
  return fmt::format(" --set-class {:04x}:{:04x}", target.priority >> 16, target.priority & 0xffff);
}
std::string words(const XtTproxyTarget& target, XtFamily family) {
  return fmt::format(" --on-port {} --on-ip {} --tproxy-mark {:#x}/{:#x}", target.port,
                     xt_text(target.address, family), target.mark_value, target.mark_mask);
}
std::string words(const XtSetTarget& target, IpsetNumbers sets) {
  std::string words;
  const auto say = [&](std::string_view option, const XtSetTarget::Use& use) {
    if (!use.is_there()) return;
    words += fmt::format(" --{} {} {}", option, xt_set_name(use.number, sets),
                         xt_sides(use.dimensions, use.sources));
  };
  say("add-set", target.add);
  if (target.add.is_there() && target.renews) words += " --exist";
  if (target.add.is_there() && target.timeout) {
    words += fmt::format(" --timeout {}", *target.timeout);
  }
  say("del-set", target.remove);
  say("map-set", target.map);
  if (target.maps_mark) words += " --map-mark";
  if (target.maps_priority) words += " --map-prio";
  return target.maps_queue ? words + " --map-queue" : words;
}
std::string words(const XtSetTarget& target, XtFamily /*family*/) {
  return words(target, IpsetNumbers());
}
std::string words(const XtSynproxyTarget& target, XtFamily /*family*/) {
  enum : std::uint8_t { kMss = 1, kScale = 2, kSack = 4, kTime = 8, kEcn = 16 };
  std::string words;
  if ((target.options & kSack) != 0) words += " --sack-perm";
  if ((target.options & kTime) != 0) words += " --timestamp";
  if ((target.options & kScale) != 0) words += fmt::format(" --wscale {}", target.window_scale);
  if ((target.options & kMss) != 0) words += fmt::format(" --mss {}", target.mss);
  return (target.options & kEcn) != 0 ? words + " --ecn" : words;
}
std::string words(const XtQueue& target, XtFamily /*family*/) {
  std::string words = target.count <= 1 ? fmt::format(" --queue-num {}", target.first)
                                        : fmt::format(" --queue-balance {}:{}", target.first,
                                                      target.first + target.count - 1);
  if (target.bypass) words += " --queue-bypass";
  return target.by_cpu ? words + " --queue-cpu-fanout" : words;
}

}  // namespace

Result<XtTargetMeaning> meaning_of(const XtTarget& target) {
  bool known_name = false;
  bool known_revision = false;
  for (const TargetRow& row : kTargetRows) {
    if (row.name != target.name) continue;
    known_name = true;
    if (row.revision != target.revision) continue;
    known_revision = true;
    constexpr std::size_t kAlignment = 8;  // XT_ALIGN
    const std::size_t padded = (row.size + kAlignment - 1) / kAlignment * kAlignment;
    if (row.size != 0 && target.info.size() != padded) continue;
    if (auto meaning = row.read(XtBytes(target.info))) return std::move(*meaning);
    return fail(ErrorKind::Usage, "its payload is not known");
  }
  if (known_revision) {
    return fail(ErrorKind::Usage, fmt::format("its payload has {} bytes", target.info.size()));
  }
  if (known_name) {
    return fail(ErrorKind::Usage, fmt::format("revision {} is not known", target.revision));
  }
  return fail(ErrorKind::Usage, "it is not modelled");
}

std::string in_words(const XtTarget& target, XtFamily family, IpsetNumbers sets) {
  const auto meaning = meaning_of(target);
  if (!meaning) return "-j " + target.name;
  if (const auto* set = std::get_if<XtSetTarget>(&*meaning)) return "-j SET" + words(*set, sets);
  const auto* ct = std::get_if<XtCt>(&*meaning);
  const bool is_notrack = ct != nullptr && ct->untracks && ct->is_alias;
  return "-j " + (is_notrack ? "NOTRACK" : target.name) +
         visit_closed([&](const auto& m) { return words(m, family); }, *meaning);
}

}  // namespace rolewall::ruleset
