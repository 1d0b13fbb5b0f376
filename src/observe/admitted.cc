#include "observe/admitted.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <utility>
#include <variant>

#include "base/one_of.h"
#include "base/overloaded.h"
#include "base/visit.h"
#include "ruleset/effects.h"
#include "ruleset/expr.h"
#include "ruleset/load_size.h"
#include "ruleset/own_table.h"
#include "ruleset/registers.h"
#include "ruleset/verify.h"

namespace rolewall::observe {
namespace {

namespace r = ruleset;
using r::Chain;
using r::Register;
using r::Table;
using r::VerdictCode;

constexpr std::uint8_t kNfProtoIpv4 = 2;  // NFPROTO_IPV4 of linux/netfilter.h
constexpr std::uint8_t kNfProtoIpv6 = 10;

enum class Match : std::uint8_t { No, Maybe, Yes };

Match both(Match a, Match b) {
  return std::min(a, b);
}
Match certain(bool holds) {
  return holds ? Match::Yes : Match::No;
}

// What registers hold, as far as it is known.
class Registers {
 public:
  void put(Register first, const r::Bytes& bytes) {
    const std::size_t size = r::registers_in(bytes.size());
    for (std::size_t i = 0; i < size && first + i < r::kRegisterCount; ++i)
      known_[first + i] = true;
    std::fill_n(at(first), std::min(size * 4, room(first)), std::uint8_t{0});
    std::copy_n(bytes.begin(), std::min(bytes.size(), room(first)), at(first));
  }
  void forget(Register first, std::size_t size) {
    for (std::size_t i = 0; i < r::registers_in(size) && first + i < r::kRegisterCount; ++i) {
      known_[first + i] = false;
    }
  }
  bool knows(std::size_t first, std::size_t size) const {
    for (std::size_t i = 0; i < r::registers_in(size); ++i) {
      if (first + i >= r::kRegisterCount || !known_[first + i]) return false;
    }
    return true;
  }
  const std::uint8_t* at(std::size_t first) const { return bytes_.data() + first * 4; }
  std::uint8_t* at(std::size_t first) { return bytes_.data() + first * 4; }

 private:
  static std::size_t room(std::size_t first) { return (r::kRegisterCount - first) * 4; }
  std::array<std::uint8_t, std::size_t{r::kRegisterCount} * 4> bytes_{};
  std::array<bool, r::kRegisterCount> known_{};
};

}  // namespace

// One packet's way through the chains.
class Walk {
 public:
  Walk(const Admission& own, bool ipv6, Port port, const std::optional<net::Address>& to,
       bool translations)
      : own_(own), ipv6_(ipv6), port_(port), to_(to), translations_(translations) {}

  std::set<std::string> take() {
    const Chain* input = r::find_chain(own_.own_, r::own::kInput);
    if (input == nullptr || !input->base) return {"(no chain)"};  // nothing is asked: all passes
    if (goes_on(*input, 0) && input->base->policy == VerdictCode::Accept) {
      admitting_.insert("(policy)");
    }
    return std::move(admitting_);
  }

 private:
  // Whether a packet may come to the chain's end, or return from it.
  bool goes_on(const Chain& chain, unsigned depth) {
    if (depth > r::kJumpStackSize) return true;
    bool returns = false;
    for (const r::Rule& rule : chain.rules) {
      if (rule.comment == r::own::step::kLoopback) continue;
      registers_ = {};
      verdicts_.clear();
      Match match = Match::Yes;
      for (const r::Expr& expr : rule.exprs) {
        match = both(match, run(expr));
        if (match == Match::No) break;
      }
      if (match == Match::No || verdicts_.empty()) continue;
      const std::vector<r::Verdict> verdicts = std::exchange(verdicts_, {});
      bool passes = match == Match::Maybe || verdicts.size() > 1;
      for (const r::Verdict& verdict : verdicts) {
        const After after = follow(verdict, rule, depth);
        passes |= after == After::NextRule;
        returns |= after == After::Caller;
      }
      if (!passes) return returns;
    }
    return true;
  }

  enum class After : std::uint8_t { NextRule, Caller, Nothing };
  After follow(const r::Verdict& verdict, const r::Rule& rule, unsigned depth) {
    switch (verdict.code) {
      case VerdictCode::Accept:
        admitting_.insert(rule.comment.empty() ? "(unnamed)" : rule.comment.text());
        return After::Nothing;
      case VerdictCode::Drop:
      case VerdictCode::Queue:
        return After::Nothing;
      case VerdictCode::Continue:
      case VerdictCode::Break:
        return After::NextRule;
      case VerdictCode::Return:
        return After::Caller;
      case VerdictCode::Jump:
      case VerdictCode::Goto: {
        const Chain* chain = own_.names_.chain(verdict.chain);
        if (chain != nullptr && !goes_on(*chain, depth + 1)) return After::Nothing;
        return verdict.code == VerdictCode::Jump ? After::NextRule : After::Caller;
      }
    }
    return After::NextRule;
  }

  Match unknown(Register to, std::size_t size) {
    registers_.forget(to, size);
    return Match::Yes;
  }
  Match known(Register to, const r::Bytes& bytes) {
    registers_.put(to, bytes);
    return Match::Yes;
  }
  Match decides(r::Verdict verdict) {
    verdicts_.push_back(std::move(verdict));
    return Match::Yes;
  }

  r::Bytes port_bytes() const {
    return {static_cast<std::uint8_t>(port_.number >> 8), static_cast<std::uint8_t>(port_.number)};
  }

  Match load(const r::Meta& meta) {
    if (meta.key == r::MetaKey::L4Proto) return known(meta.destination, {port_.protocol});
    if (meta.key == r::MetaKey::NfProto) {
      return known(meta.destination, {ipv6_ ? kNfProtoIpv6 : kNfProtoIpv4});
    }
    return unknown(meta.destination, r::load_size(meta.key));
  }

  Match load(const r::Payload& payload) {
    constexpr std::uint32_t kDestinationPort = 2;
    if (payload.base == r::PayloadBase::Transport && payload.offset == kDestinationPort &&
        payload.length == 2) {
      return known(payload.destination, port_bytes());
    }
    const std::uint32_t destination = ipv6_ ? 24 : 16;  // struct ipv6hdr, struct iphdr
    const std::uint32_t size = ipv6_ ? 16 : 4;
    if (payload.base == r::PayloadBase::Network && payload.offset == destination &&
        payload.length <= size && to_) {
      r::Bytes bytes = net::to_bytes(*to_);
      bytes.resize(payload.length);
      return known(payload.destination, bytes);
    }
    return unknown(payload.destination, payload.length);
  }

  // Of the first packet of a flow, which nobody has translated unless `translations_`.
  Match load(const r::Ct& ct) {
    const auto number = [&](std::uint32_t value) {
      r::Bytes bytes(4);
      std::memcpy(bytes.data(), &value, 4);
      return known(ct.destination, bytes);
    };
    const bool original = ct.direction == r::CtDirection::Original;
    switch (ct.key) {
      case r::CtKey::State:
        return number(r::ct_state::kNew);
      case r::CtKey::Status:
        if (!translations_) return number(0);
        break;
      case r::CtKey::Protocol:
        return known(ct.destination, {port_.protocol});
      case r::CtKey::ProtoDestination:
        if (original && !translations_) return known(ct.destination, port_bytes());
        break;
      case r::CtKey::Direction:
      case r::CtKey::Mark:
      case r::CtKey::SecMark:
      case r::CtKey::Expiration:
      case r::CtKey::Helper:
      case r::CtKey::L3Protocol:
      case r::CtKey::Source:
      case r::CtKey::Destination:
      case r::CtKey::ProtoSource:
      case r::CtKey::Labels:
      case r::CtKey::Packets:
      case r::CtKey::Bytes:
      case r::CtKey::AvgPacket:
      case r::CtKey::Zone:
      case r::CtKey::EventMask:
      case r::CtKey::SourceIp:
      case r::CtKey::DestinationIp:
      case r::CtKey::SourceIp6:
      case r::CtKey::DestinationIp6:
      case r::CtKey::Id:
        break;
    }
    return unknown(ct.destination, r::load_size(ct.key, own_.own_.family));
  }

  Match mask(const r::BitwiseMask& e) {
    if (!registers_.knows(e.source, e.length)) return unknown(e.destination, e.length);
    r::Bytes bytes(registers_.at(e.source), registers_.at(e.source) + e.length);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      bytes[i] = static_cast<std::uint8_t>((bytes[i] & e.mask.bytes[i]) ^ e.xor_with.bytes[i]);
    }
    return known(e.destination, bytes);
  }

  Match compare(const r::Cmp& e) const {
    if (!registers_.knows(e.source, e.value.size)) return Match::Maybe;
    const int order = std::memcmp(registers_.at(e.source), e.value.begin(), e.value.size);
    switch (e.op) {
      case r::CmpOp::Eq:
        return certain(order == 0);
      case r::CmpOp::Neq:
        return certain(order != 0);
      case r::CmpOp::Lt:
        return certain(order < 0);
      case r::CmpOp::Lte:
        return certain(order <= 0);
      case r::CmpOp::Gt:
        return certain(order > 0);
      case r::CmpOp::Gte:
        return certain(order >= 0);
    }
    return Match::Maybe;
  }

  Match compare(const r::Range& e) const {
    if (!registers_.knows(e.source, e.from.size)) return Match::Maybe;
    const std::uint8_t* held = registers_.at(e.source);
    const bool inside = std::memcmp(held, e.from.begin(), e.from.size) >= 0 &&
                        std::memcmp(held, e.to.begin(), e.to.size) <= 0;
    return certain(inside != e.negated);
  }

  // Whether the element's key is the one looked up: part by part, as far as parts are known.
  Match fits(const r::Set& set, std::size_t element, Register source) const {
    const auto low = set.elements.key(element);
    const auto high = set.elements.key_end(element);
    Match match = Match::Yes;
    std::size_t offset = 0;
    for (const r::KeyField& field : set.key) {
      if (!registers_.knows(source + offset / 4, field.size)) {
        match = both(match, Match::Maybe);
      } else {
        const std::uint8_t* held = registers_.at(source) + offset;
        const bool inside = std::memcmp(held, low.data() + offset, field.size) >= 0 &&
                            std::memcmp(held, high.data() + offset, field.size) <= 0;
        if (!inside) return Match::No;
      }
      offset += r::padded_size(field.size);
    }
    return match;
  }

  struct Found {
    std::vector<std::size_t> elements;
    bool certain = false;  // one of them is the one
  };
  Found find(const r::Set& set, Register source) const {
    Found found;
    const std::size_t count = set.elements.count();
    const std::size_t size = set.key_size();
    std::size_t begin = 0;
    std::size_t end = count;
    // Elements are sorted by key: a whole key is found by bisection (ranges of a concatenation are
    // not, and overlap).
    if (registers_.knows(source, size) && (set.key.size() == 1 || !set.interval)) {
      const std::uint8_t* held = registers_.at(source);
      while (begin < end) {
        const std::size_t middle = std::midpoint(begin, end);
        const auto high = set.elements.key_end(middle);
        if (std::memcmp(high.data(), held, size) < 0) {
          begin = middle + 1;
        } else {
          end = middle;
        }
      }
      end = std::min(begin + 1, count);
    }
    for (std::size_t i = begin; i < end; ++i) {
      const Match match = fits(set, i, source);
      if (match == Match::No) continue;
      found.elements.push_back(i);
      found.certain = match == Match::Yes;
      if (found.certain) break;
    }
    return found;
  }

  Match look_up(const r::Lookup& e) {
    const r::Set* set = own_.names_.set(e.set);
    if (set == nullptr) return Match::Maybe;
    if (e.result == r::LookupResult::Membership && !registers_.knows(e.source, 1) &&
        set->key.size() == 1) {
      return set->elements.empty() ? certain(e.inverted) : Match::Maybe;  // by no element
    }
    const Found found = find(*set, e.source);
    const bool any = !found.elements.empty() || set->elements.has_catch_all;
    if (e.result == r::LookupResult::Data) {
      registers_.forget(e.destination, set->data.size);
      return any ? Match::Maybe : Match::No;
    }
    if (e.result == r::LookupResult::Verdict) {
      for (const std::size_t i : found.elements) verdicts_.push_back(set->elements.verdicts[i]);
      if (!found.certain && set->elements.has_catch_all) {
        verdicts_.push_back(set->elements.catch_all_verdict);
      }
      if (!any) return Match::No;
      return found.certain || set->elements.has_catch_all ? Match::Yes : Match::Maybe;
    }
    if (found.certain || set->elements.has_catch_all) return certain(!e.inverted);
    return any ? Match::Maybe : certain(e.inverted);
  }

  Match run(const r::Expr& expr) {
    return visit_closed(
        Overloaded{
            [&](const r::Meta& e) { return load(e); },
            [&](const r::Payload& e) { return load(e); },
            [&](const r::Ct& e) { return load(e); },
            [&](const r::Immediate& e) {
              return known(e.destination, {e.value.begin(), e.value.end()});
            },
            [&](const r::BitwiseMask& e) { return mask(e); },
            [&](const r::Cmp& e) { return compare(e); },
            [&](const r::Range& e) { return compare(e); },
            [&](const r::Lookup& e) { return look_up(e); },
            [&](const r::ImmediateVerdict& e) { return decides(e.verdict); },
            [&](const r::Reject&) { return decides({.code = VerdictCode::Drop, .chain = {}}); },
            [&](const OneOf<r::Exthdr, r::Fib, r::Rt, r::Socket, r::Osf, r::Numgen, r::JenkinsHash,
                            r::SymmetricHash, r::Tunnel, r::Xfrm, r::BitwiseShift,
                            r::BitwiseRegisters, r::Byteorder, r::Counter, r::Limit, r::Connlimit,
                            r::Quota, r::Last, r::Dynset, r::MetaSet, r::CtSet, r::PayloadWrite,
                            r::ExthdrWrite, r::ExthdrReset, r::Log, r::Notrack, r::Nat,
                            r::Masquerade, r::Redirect, r::Tproxy, r::Synproxy, r::Dup, r::Fwd,
                            r::ObjectRef, r::ObjectLookup, r::XtMatch, r::XtTarget,
                            r::Unsupported> auto&) { return any_other(expr); },
        },
        expr);
  }
  // What compiled rules do not load on input, and what acts: whatever it leaves in a register is
  // not known, and what may break, may.
  Match any_other(const r::Expr& expr) {
    const r::Effects effects = r::effects_of(expr, own_.names_);
    if (effects.writes) registers_.forget(effects.writes->first, effects.writes->bytes);
    switch (effects.ending) {
      case r::Ending::None:
        break;
      case r::Ending::OtherDevice:
        decides({.code = VerdictCode::Drop, .chain = {}});
        break;
      case r::Ending::Drop:  // a SYN proxy lets in whom it has proved
      case r::Ending::Accept:
      case r::Ending::Verdict:
      case r::Ending::SetVerdict:
      case r::Ending::Unknown:
        decides({.code = VerdictCode::Accept, .chain = {}});
        return Match::Maybe;
    }
    return effects.may_break ? Match::Maybe : Match::Yes;
  }

  const Admission& own_;
  const bool ipv6_;
  const Port port_;
  const std::optional<net::Address>& to_;
  const bool translations_;
  Registers registers_;
  std::vector<r::Verdict> verdicts_;  // of the rule that runs
  std::set<std::string> admitting_;
};

namespace {

std::uint32_t port_in(const std::uint8_t* bytes) {
  return static_cast<std::uint32_t>(bytes[0] << 8 | bytes[1]);
}

}  // namespace

Admission::Admission(const Table& own) : own_(own), names_(own) {}

std::set<std::string> Admission::of(bool ipv6, Port port, const std::optional<net::Address>& to,
                                    bool translations) const {
  return Walk(*this, ipv6, port, to, translations).take();
}

std::vector<PortRange> told_apart(const Table& own) {
  // First ports of ranges. What is compared in two bytes may be something else than a port: then a
  // range is told apart in vain.
  std::set<std::uint32_t> begins{0};
  for (const r::Set& set : own.sets) {
    std::size_t offset = 0;
    for (const r::KeyField& field : set.key) {
      if (field.type == r::DataType::InetService) {
        for (std::size_t i = 0; i < set.elements.count(); ++i) {
          begins.insert(port_in(set.elements.key(i).data() + offset));
          begins.insert(port_in(set.elements.key_end(i).data() + offset) + 1);
        }
      }
      offset += r::padded_size(field.size);
    }
  }
  for (const Chain& chain : own.chains) {
    for (const r::Rule& rule : chain.rules) {
      for (const r::Expr& expr : rule.exprs) {
        if (const auto* cmp = std::get_if<r::Cmp>(&expr); cmp != nullptr && cmp->value.size == 2) {
          begins.insert(port_in(cmp->value.begin()));
          begins.insert(port_in(cmp->value.begin()) + 1);
        }
        if (const auto* range = std::get_if<r::Range>(&expr);
            range != nullptr && range->from.size == 2) {
          begins.insert(port_in(range->from.begin()));
          begins.insert(port_in(range->to.begin()) + 1);
        }
      }
    }
  }
  constexpr std::uint32_t kPorts = 65536;
  std::vector<PortRange> ranges;
  for (auto at = begins.begin(); at != begins.end() && *at < kPorts; ++at) {
    const auto next = std::next(at);
    const std::uint32_t end = next == begins.end() ? kPorts : std::min(*next, kPorts);
    ranges.push_back({static_cast<std::uint16_t>(*at), static_cast<std::uint16_t>(end - 1)});
  }
  return ranges;
}

}  // namespace rolewall::observe
