#include "ruleset/effects.h"

#include <algorithm>

#include "base/one_of.h"
#include "base/overloaded.h"
#include "base/visit.h"
#include "ruleset/expr.h"
#include "ruleset/load_size.h"
#include "ruleset/table_flags.h"
#include "ruleset/tracking.h"
#include "ruleset/xt_effects.h"

namespace rolewall::ruleset {
namespace {

constexpr std::uint32_t kPortSize = 2;   // nf_conntrack_man_proto.all
constexpr std::uint32_t kIndexSize = 4;  // of an interface; and a number, a hash, a mark

constexpr std::uint32_t kIpv6 = static_cast<std::uint32_t>(Family::Ip6);

// Of an address of NFPROTO_*. Where the family is of neither, the kernel refuses an address, and so
// does verify().
std::uint32_t address_size(std::uint32_t family) {
  return family == kIpv6 ? 16 : 4;
}

// nft_fib_init(): with NFTA_FIB_F_PRESENT, whether there is one.
std::uint32_t size_of(const Fib& fib) {
  if ((fib.flags & fib_flag::kPresent) != 0) return 1;
  switch (fib.result) {
    case FibResult::Oif:
    case FibResult::AddressType:
      return 4;
    case FibResult::OifName:
      return kInterfaceNameSize;
  }
  return 0;
}

// nft_rt_get_init().
std::uint32_t size_of(RtKey key) {
  switch (key) {
    case RtKey::ClassId:
    case RtKey::NextHop4:
      return 4;
    case RtKey::NextHop6:
      return 16;
    case RtKey::TcpMss:
      return 2;
    case RtKey::Xfrm:
      return 1;
  }
  return 0;
}

// nft_socket_init().
std::uint32_t size_of(SocketKey key) {
  switch (key) {
    case SocketKey::Transparent:
    case SocketKey::Wildcard:
      return 1;
    case SocketKey::Mark:
      return 4;
    case SocketKey::CgroupV2:
      return 8;
  }
  return 0;
}

// nft_tunnel_get_init().
std::uint32_t size_of(TunnelKey key) {
  switch (key) {
    case TunnelKey::Path:
      return 1;
    case TunnelKey::Id:
      return 4;
  }
  return 0;
}

// nft_xfrm_get_init().
std::uint32_t size_of(XfrmKey key) {
  switch (key) {
    case XfrmKey::Daddr4:
    case XfrmKey::Saddr4:
    case XfrmKey::RequestId:
    case XfrmKey::Spi:
      return 4;
    case XfrmKey::Daddr6:
    case XfrmKey::Saddr6:
      return 16;
  }
  return 0;
}

// nft_meta_get_eval(): where there is no such header, device, socket, route or control group. The
// index and the name of a device that is not there are 0 and "".
bool may_break(MetaKey key) {
  switch (key) {
    case MetaKey::Length:
    case MetaKey::Protocol:
    case MetaKey::Priority:
    case MetaKey::Mark:
    case MetaKey::Iif:
    case MetaKey::Oif:
    case MetaKey::IifName:
    case MetaKey::OifName:
    case MetaKey::SecMark:
    case MetaKey::NfProto:
    case MetaKey::Cpu:
    case MetaKey::Prandom:
    case MetaKey::SecPath:
    case MetaKey::TimeNs:
    case MetaKey::TimeDay:
    case MetaKey::TimeHour:
    case MetaKey::SdIif:
    case MetaKey::SdIfName:
      return false;
    case MetaKey::IifType:
    case MetaKey::OifType:
    case MetaKey::SkUid:
    case MetaKey::SkGid:
    case MetaKey::NfTrace:  // can only be set
    case MetaKey::RtClassId:
    case MetaKey::L4Proto:
    case MetaKey::BriIifName:
    case MetaKey::BriOifName:
    case MetaKey::PktType:
    case MetaKey::IifGroup:
    case MetaKey::OifGroup:
    case MetaKey::Cgroup:
    case MetaKey::IifKind:
    case MetaKey::OifKind:
    case MetaKey::BriIifPvid:
    case MetaKey::BriIifVproto:
    case MetaKey::BriBroute:
      return true;
  }
  return true;
}

// --- named objects, by their type --------------------------------------------------------------

void run_object(std::uint32_t type, Effects& effects) {
  switch (type) {
    case object_type::kCounter:
      effects.memory = Memory::Count;
      return;
    case object_type::kQuota:
      effects.memory = Memory::Bytes;
      effects.may_break = true;
      return;
    case object_type::kLimit:
      effects.memory = Memory::Tokens;
      effects.may_break = true;
      return;
    case object_type::kConnlimit:
      effects.memory = Memory::Connections;
      effects.may_break = true;
      return;
    case object_type::kCtHelper:
    case object_type::kCtTimeout:
      effects.memory = Memory::Flow;
      return;
    case object_type::kCtExpectation:
      effects.memory = Memory::Flow;
      effects.may_break = true;
      return;
    case object_type::kSynproxy:
      effects.memory = Memory::Flow;
      effects.ending = Ending::Drop;
      effects.may_break = true;
      return;
    case object_type::kSecmark:
    case kTunnelObject:
      return;
    default:
      effects.memory = Memory::Unknown;
      effects.ending = Ending::Unknown;
      effects.may_break = true;
      return;
  }
}

// --- the visit ---------------------------------------------------------------------------------

class Visit {
 public:
  explicit Visit(const TableIndex& table) : table_(table), family_(table.table().family) {}

  Effects of(const Expr& expr) const {
    return visit_closed(
        Overloaded{
            // nft_payload_init()
            [](const Payload& e) { return breaking_load(e.destination, e.length); },
            [](const Meta& e) {
              Effects effects = load(e.destination, load_size(e.key));
              effects.may_break = may_break(e.key);
              return effects;
            },
            [this](const Ct& e) {
              Effects effects = load(e.destination, load_size(e.key, family_));
              effects.may_break = e.key != CtKey::State;
              effects.tracking = tracked();
              return effects;
            },
            // nft_exthdr_init(): the kernel takes a length of 1 alone with NFT_EXTHDR_F_PRESENT.
            [](const Exthdr& e) {
              Effects effects = load(e.destination, e.present ? 1 : e.length);
              effects.may_break = !e.present;
              return effects;
            },
            [](const Fib& e) { return breaking_load(e.destination, size_of(e)); },
            [](const Rt& e) { return breaking_load(e.destination, size_of(e.key)); },
            [](const Socket& e) { return breaking_load(e.destination, size_of(e.key)); },
            // nft_osf_init(): NFT_OSF_MAXGENRELEN
            [](const Osf& e) { return breaking_load(e.destination, 16); },
            // nft_ng_inc_init(), nft_ng_random_init()
            [](const Numgen& e) {
              Effects effects = load(e.destination, kIndexSize);
              if (e.kind == NumgenKind::Incremental) effects.memory = Memory::Number;
              return effects;
            },
            // nft_jhash_init(), nft_symhash_init()
            [](const JenkinsHash& e) {
              Effects effects = load(e.destination, kIndexSize);
              effects.reads.add({e.source, e.length});
              return effects;
            },
            [](const SymmetricHash& e) { return load(e.destination, kIndexSize); },
            [](const Tunnel& e) {
              Effects effects = load(e.destination, size_of(e.key));
              effects.may_break = e.key == TunnelKey::Id;
              return effects;
            },
            [](const Xfrm& e) { return breaking_load(e.destination, size_of(e.key)); },
            [](const Immediate& e) { return load(e.destination, e.value.size); },

            // nft_bitwise_init()
            [](const BitwiseMask& e) { return reshape(e.source, e.destination, e.length); },
            [](const BitwiseShift& e) { return reshape(e.source, e.destination, e.length); },
            [](const BitwiseRegisters& e) {
              Effects effects = reshape(e.source, e.destination, e.length);
              effects.reads.add({e.other, e.length});
              return effects;
            },
            // Whole units of the size within the length, which may be none.
            [](const Byteorder& e) { return reshape(e.source, e.destination, e.length); },
            [](const Cmp& e) { return test(e.source, e.value.size); },
            [](const Range& e) { return test(e.source, e.from.size); },
            [this](const Lookup& e) { return of_lookup(e); },

            [](const Counter&) { return remembers(Memory::Count, false); },
            [](const Limit&) { return remembers(Memory::Tokens, true); },
            [this](const Connlimit&) {
              Effects effects = remembers(Memory::Connections, true);
              effects.tracking = tracked();
              return effects;
            },
            [](const Quota&) { return remembers(Memory::Bytes, true); },
            [](const Last&) { return remembers(Memory::Count, false); },
            [this](const Dynset& e) { return of_dynset(e); },

            [](const ImmediateVerdict& e) { return of_verdict(e.verdict); },
            // nft_meta_set_init(), nft_ct_set_init()
            [](const MetaSet& e) { return use(e.source, load_size(e.key)); },
            [this](const CtSet& e) {
              Effects effects = use(e.source, load_size(e.key, family_));
              effects.memory = Memory::Flow;
              effects.tracking = tracked();
              return effects;
            },
            // nft_payload_set_init(), nft_exthdr_tcp_set_init(); to strip an option that is not
            // there breaks nothing, a packet that is not TCP does
            [](const PayloadWrite& e) { return write(e.source, e.length); },
            [](const ExthdrWrite& e) { return write(e.source, e.length); },
            [](const ExthdrReset&) {
              Effects effects;
              effects.may_break = true;
              effects.writes_packet = true;
              return effects;
            },
            [](const Log&) { return Effects{}; },
            [](const Reject&) { return ends(Ending::Drop); },
            // nft_notrack_ops has no init function: it switches nothing on.
            [](const Notrack&) {
              Effects effects;
              effects.untracks = true;
              return effects;
            },
            [this](const Nat& e) {
              Effects effects = translation(e.kind);
              add(effects, e.address_min, address_size(e.family));
              add(effects, e.address_max, address_size(e.family));
              add(effects, e.port_min, kPortSize);
              add(effects, e.port_max, kPortSize);
              effects.tracking = tracking_by(e, family_);
              return effects;
            },
            [this](const Masquerade& e) { return of_ports(e, NatKind::Source); },
            [this](const Redirect& e) { return of_ports(e, NatKind::Destination); },
            [](const Tproxy& e) {
              Effects effects;
              effects.may_break = true;
              add(effects, e.address, address_size(e.family));
              add(effects, e.port, kPortSize);
              effects.tracking = tracking_by(e);
              return effects;
            },
            [this](const Synproxy&) {
              Effects effects = remembers(Memory::Flow, true);
              effects.ending = Ending::Drop;
              effects.tracking = tracked();
              return effects;
            },
            // nft_dup_ipv4_init(), nft_dup_ipv6_init(), nft_dup_netdev_init()
            [this](const Dup& e) {
              Effects effects;
              add(effects, e.address, address_size(static_cast<std::uint32_t>(family_)));
              add(effects, e.device, kIndexSize);
              return effects;
            },
            // nft_fwd_netdev_init(), nft_fwd_neigh_init(), which breaks for another family
            [](const Fwd& e) {
              Effects effects = ends(Ending::OtherDevice);
              effects.reads.add({e.device, kIndexSize});
              add(effects, e.address, address_size(e.family));
              effects.may_break = e.address.has_value();
              return effects;
            },
            [](const ObjectRef& e) {
              Effects effects;
              run_object(e.type, effects);
              effects.object = &e;
              return effects;
            },
            [this](const ObjectLookup& e) { return of_object_lookup(e); },
            [this](const OneOf<XtMatch, XtTarget> auto& e) { return effects_by(e, family_); },
            [this](const Unsupported& e) { return of_unsupported(e); },
        },
        expr);
  }

 private:
  static Effects load(Register to, std::uint32_t bytes) {
    Effects effects;
    effects.writes = RegisterRange{to, bytes};
    return effects;
  }
  static Effects breaking_load(Register to, std::uint32_t bytes) {
    Effects effects = load(to, bytes);
    effects.may_break = true;
    return effects;
  }
  static Effects use(Register from, std::uint32_t bytes) {
    Effects effects;
    effects.reads.add({from, bytes});
    return effects;
  }
  static Effects test(Register from, std::uint32_t bytes) {
    Effects effects = use(from, bytes);
    effects.may_break = true;
    return effects;
  }
  static Effects reshape(Register from, Register to, std::uint32_t bytes) {
    Effects effects = load(to, bytes);
    effects.reads.add({from, bytes});
    return effects;
  }
  static Effects write(Register from, std::uint32_t bytes) {
    Effects effects = test(from, bytes);
    effects.writes_packet = true;
    return effects;
  }
  static Effects remembers(Memory memory, bool may_break) {
    Effects effects;
    effects.memory = memory;
    effects.may_break = may_break;
    return effects;
  }
  static Effects ends(Ending how) {
    Effects effects;
    effects.ending = how;
    effects.may_go_on = false;
    return effects;
  }
  static void add(Effects& effects, std::optional<Register> from, std::uint32_t bytes) {
    if (from) effects.reads.add({*from, bytes});
  }
  TrackingUse tracked() const { return tracking_in(family_, ConntrackUse::On); }

  static Effects of_verdict(const Verdict& verdict) {
    if (verdict.code == VerdictCode::Continue) return {};
    Effects effects = ends(Ending::Verdict);
    if (verdict.code == VerdictCode::Break) {
      effects.ending = Ending::None;
      effects.may_break = true;
    }
    if (!verdict.chain.empty()) effects.chain = &verdict.chain;
    return effects;
  }

  // nft_lookup_init().
  Effects of_lookup(const Lookup& lookup) const {
    Effects effects;
    effects.may_break = true;
    effects.set = &lookup.set;
    if (lookup.result == LookupResult::Verdict) effects.ending = Ending::SetVerdict;
    const Set* set = table_.set(lookup.set);
    if (set == nullptr) return effects;
    effects.reads.add({lookup.source, set->key_size()});
    if (lookup.result == LookupResult::Data) {
      effects.writes = RegisterRange{lookup.destination, set->data.size};
    }
    if (!set->exprs.empty() || !set->elements.exprs.empty()) effects.memory = Memory::Elements;
    return effects;
  }

  // nft_dynset_init(), nft_dynset_eval().
  Effects of_dynset(const Dynset& dynset) const {
    Effects effects = remembers(Memory::Elements, dynset.op != DynsetOp::Delete);
    effects.set = &dynset.set;
    effects.tracking = tracking_by(dynset.exprs, family_);
    const Set* set = table_.set(dynset.set);
    if (set == nullptr) return effects;
    effects.reads.add({dynset.key, set->key_size()});
    add(effects, dynset.data, set->data.size);
    return effects;
  }

  // nft_objref_map_init(), nft_objref_map_eval().
  Effects of_object_lookup(const ObjectLookup& lookup) const {
    Effects effects;
    const Set* set = table_.set(lookup.set);
    if (set != nullptr) {
      effects.reads.add({lookup.source, set->key_size()});
      run_object(set->object_type, effects);
    }
    effects.may_break = true;
    effects.set = &lookup.set;
    return effects;
  }

  static Effects translation(NatKind kind) {
    Effects effects = ends(Ending::Accept);
    effects.memory = Memory::Flow;
    effects.writes_packet = true;
    effects.translates = kind;
    return effects;
  }
  // nft_masq_init(), nft_redir_init().
  template <class Expression>
  Effects of_ports(const Expression& expr, NatKind kind) const {
    Effects effects = translation(kind);
    add(effects, expr.port_min, kPortSize);
    add(effects, expr.port_max, kPortSize);
    effects.tracking = tracked();
    return effects;
  }

  Effects of_unsupported(const Unsupported& expr) const {
    Effects effects = remembers(Memory::Unknown, true);
    effects.ending = Ending::Unknown;
    effects.writes_packet = true;
    effects.tracking = tracking_by(expr, family_);
    return effects;
  }

  const TableIndex& table_;
  const Family family_;
};

}  // namespace

Memory memory_of(const StatefulExpr& expr) {
  return visit_closed(Overloaded{[](const Counter&) { return Memory::Count; },
                                 [](const Limit&) { return Memory::Tokens; },
                                 [](const Connlimit&) { return Memory::Connections; },
                                 [](const Quota&) { return Memory::Bytes; },
                                 [](const Last&) { return Memory::Count; }},
                      expr);
}

Effects effects_of(const Expr& expr, const TableIndex& table) {
  return Visit(table).of(expr);
}

bool hands_to_flowtable(const Expr& expr) {
  const auto* unsupported = std::get_if<Unsupported>(&expr);
  return unsupported != nullptr && unsupported->name == "flow_offload";
}

bool hands_to_flowtable(const Ruleset& ruleset) {
  return std::ranges::any_of(ruleset.tables, [](const Table& table) {
    if ((table.flags & kTableDormant) != 0) return false;
    return std::ranges::any_of(table.chains, [](const Chain& chain) {
      return std::ranges::any_of(chain.rules, [](const Rule& rule) {
        return std::ranges::any_of(rule.exprs,
                                   [](const Expr& expr) { return hands_to_flowtable(expr); });
      });
    });
  });
}

bool may_translate(const TableIndex& table) {
  const std::vector<Chain>& chains = table.table().chains;
  const bool has_nat = std::ranges::any_of(
      chains, [](const Chain& chain) { return chain.base && chain.base->type == ChainType::Nat; });
  return has_nat && std::ranges::any_of(chains, [&](const Chain& chain) {
           return std::ranges::any_of(chain.rules, [&](const Rule& rule) {
             return std::ranges::any_of(rule.exprs, [&](const Expr& expr) {
               const Effects effects = effects_of(expr, table);
               return effects.translates || effects.ending == Ending::Unknown;
             });
           });
         });
}

}  // namespace rolewall::ruleset
