#include "ruleset/xt_effects.h"

#include <algorithm>
#include <string_view>
#include <variant>

#include "base/one_of.h"
#include "base/overloaded.h"
#include "base/visit.h"
#include "ruleset/xt_match.h"
#include "ruleset/xt_target.h"

namespace rolewall::ruleset {
namespace {

enum class Asks : std::uint8_t { Nothing, Conntrack, Reassembly };

struct MatchRow {
  std::string_view name;
  Memory memory = Memory::Nothing;
  Asks asks = Asks::Nothing;
};

// By the checkentry function of each (net/netfilter/xt_*.c, net/ipv4/netfilter/ipt_*.c, net/ipv6/
// netfilter/ip6t_*.c), those that have no meaning here among them. What is not in the list may do
// anything.
constexpr std::array kMatches{
    MatchRow{"addrtype"},
    MatchRow{"ah"},
    MatchRow{"bpf"},
    MatchRow{"cgroup"},
    MatchRow{"cluster", Memory::Nothing, Asks::Conntrack},
    MatchRow{"comment"},
    MatchRow{"connbytes", Memory::Nothing, Asks::Conntrack},
    MatchRow{"connlabel", Memory::Flow, Asks::Conntrack},
    MatchRow{"connlimit", Memory::Connections, Asks::Conntrack},
    MatchRow{"connmark", Memory::Nothing, Asks::Conntrack},
    MatchRow{"conntrack", Memory::Nothing, Asks::Conntrack},
    MatchRow{"cpu"},
    MatchRow{"dccp"},
    MatchRow{"devgroup"},
    MatchRow{"dscp"},
    MatchRow{"dst"},
    MatchRow{"ecn"},
    MatchRow{"esp"},
    MatchRow{"eui64"},
    MatchRow{"frag"},
    MatchRow{"hashlimit", Memory::Elements},
    MatchRow{"hbh"},
    MatchRow{"helper", Memory::Nothing, Asks::Conntrack},
    MatchRow{"hl"},
    MatchRow{"icmp"},
    MatchRow{"icmp6"},
    MatchRow{"ipcomp"},
    MatchRow{"iprange"},
    MatchRow{"ipv6header"},
    MatchRow{"length"},
    MatchRow{"limit", Memory::Tokens},
    MatchRow{"mac"},
    MatchRow{"mark"},
    MatchRow{"mh"},
    MatchRow{"multiport"},
    MatchRow{"osf"},
    MatchRow{"owner"},
    MatchRow{"physdev"},
    MatchRow{"pkttype"},
    MatchRow{"policy"},
    MatchRow{"quota", Memory::Bytes},
    MatchRow{"realm"},
    MatchRow{"recent", Memory::Elements},
    MatchRow{"rpfilter"},
    MatchRow{"rt"},
    MatchRow{"sctp"},
    MatchRow{"set"},
    MatchRow{"socket", Memory::Nothing, Asks::Reassembly},
    MatchRow{"srh"},
    MatchRow{"state", Memory::Nothing, Asks::Conntrack},
    MatchRow{"statistic", Memory::Number},
    MatchRow{"string"},
    MatchRow{"tcp"},
    MatchRow{"tcpmss"},
    MatchRow{"time"},
    MatchRow{"tos"},
    MatchRow{"ttl"},
    MatchRow{"u32"},
    MatchRow{"udp"},
    MatchRow{"udplite"},
    // Of ebtables (net/bridge/netfilter/ebt_*.c).
    MatchRow{"802_3"},
    MatchRow{"among"},
    MatchRow{"arp"},
    MatchRow{"ip"},
    MatchRow{"ip6"},
    MatchRow{"mark_m"},
    MatchRow{"stp"},
    MatchRow{"vlan"},
};

const MatchRow* row_of(std::string_view name) {
  const auto found = std::ranges::find(kMatches, name, &MatchRow::name);
  return found == kMatches.end() ? nullptr : &*found;
}

TrackingUse reassembly_in(Family table) {
  TrackingUse use = tracking_in(table, ConntrackUse::On);
  use.ipv4 = ConntrackUse::Off;
  use.ipv6 = ConntrackUse::Off;
  return use;
}

Effects anything(Family table) {
  Effects effects;
  effects.may_break = true;
  effects.memory = Memory::Unknown;
  effects.ending = Ending::Unknown;
  effects.writes_packet = true;
  effects.tracking = tracking_in(table, ConntrackUse::Unknown);
  return effects;
}

Effects writing() {
  Effects effects;
  effects.writes_packet = true;
  return effects;
}

Effects dropping(bool may_go_on) {
  Effects effects;
  effects.ending = Ending::Drop;
  effects.may_go_on = may_go_on;
  return effects;
}

Effects translating(XtNat::Kind kind, Family table) {
  Effects effects;
  effects.ending = Ending::Accept;
  effects.may_go_on = false;
  effects.memory = Memory::Flow;
  effects.writes_packet = true;
  const bool source = kind == XtNat::Kind::Source || kind == XtNat::Kind::Masquerade;
  // NETMAP is either, by the hook that it stands at.
  effects.translates = source ? NatKind::Source : NatKind::Destination;
  effects.tracking = tracking_in(table, ConntrackUse::On);
  return effects;
}

}  // namespace

Effects effects_by(const XtMatch& match, Family table) {
  const MatchRow* row = row_of(match.name);
  Effects effects;
  effects.may_break = match.name != "comment";
  if (row == nullptr) {
    effects.memory = Memory::Unknown;
    effects.tracking = tracking_in(table, ConntrackUse::Unknown);
    return effects;
  }
  effects.memory = row->memory;
  switch (row->asks) {
    case Asks::Nothing:
      break;
    case Asks::Conntrack:
      effects.tracking = tracking_in(table, ConntrackUse::On);
      break;
    case Asks::Reassembly:
      // The first revision asks for none (socket_mt_reg of net/netfilter/xt_socket.c).
      if (match.revision != 0) effects.tracking = reassembly_in(table);
      break;
  }
  return effects;
}

Effects effects_by(const XtTarget& target, Family table) {
  const auto meaning = meaning_of(target);
  if (!meaning) return anything(table);
  const auto tracked = [&](Effects effects) {
    effects.tracking = tracking_in(table, ConntrackUse::On);
    return effects;
  };
  Effects effects = visit_closed(
      Overloaded{
          [](const OneOf<XtNotes, XtTee, XtSetMark, XtClassify, XtSetTarget> auto&) {
            return Effects{};
          },
          [](const XtReject&) { return dropping(false); },
          [&](const XtConnmarkTarget&) {
            Effects flow;
            flow.memory = Memory::Flow;
            return tracked(flow);
          },
          [&](const XtNat& nat) { return translating(nat.kind, table); },
          // xt_ct_tg_check(): to leave untracked switches nothing on.
          [&](const XtCt& ct) {
            Effects flow;
            flow.untracks = ct.untracks;
            if (ct.untracks) return flow;
            flow.memory = Memory::Flow;
            return tracked(flow);
          },
          [](const OneOf<XtSetMss, XtStripOptions, XtSetTos, XtSetTtl, XtSetEcn> auto&) {
            return writing();
          },
          // To a socket, else dropped (xt_TPROXY.c).
          [&](const XtTproxyTarget&) {
            Effects proxied = dropping(true);
            proxied.tracking = reassembly_in(table);
            return proxied;
          },
          [&](const XtSynproxyTarget&) {
            Effects proxied = dropping(true);
            proxied.memory = Memory::Flow;
            return tracked(proxied);
          },
          // The program may drop it, and may change it.
          [](const XtQueue&) {
            Effects queued = dropping(false);
            queued.writes_packet = true;
            return queued;
          },
      },
      *meaning);
  if (target.name == "CONNSECMARK") effects = tracked(effects);
  return effects;
}

bool is_seen_elsewhere(const XtMatch& match) {
  const MatchRow* row = row_of(match.name);
  if (row == nullptr || row->memory == Memory::Flow) return true;
  const auto meaning = meaning_of(match);
  if (!meaning) return false;  // it matches or not: in its own table
  const auto* socket = std::get_if<XtSocket>(&*meaning);
  return socket != nullptr && socket->restores_mark;
}

bool is_seen_elsewhere(const XtTarget& target) {
  const auto meaning = meaning_of(target);
  if (!meaning) return true;
  return visit_closed(
      Overloaded{
          [](const OneOf<XtNotes, XtTee, XtReject> auto&) { return false; },
          [](const OneOf<XtSetMark, XtConnmarkTarget, XtNat, XtCt, XtSetMss, XtStripOptions,
                         XtSetTos, XtSetTtl, XtSetEcn, XtClassify, XtTproxyTarget, XtSetTarget,
                         XtSynproxyTarget, XtQueue> auto&) { return true; },
      },
      *meaning);
}

}  // namespace rolewall::ruleset
