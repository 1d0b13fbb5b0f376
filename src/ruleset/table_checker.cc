#include "ruleset/table_checker.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>
#include <utility>

#include "base/one_of.h"
#include "base/overloaded.h"
#include "base/visit.h"
#include "ruleset/expr.h"
#include "ruleset/registers.h"
#include "ruleset/verify.h"

namespace rolewall::ruleset {
namespace {

// nft_validate_register_load(), nft_validate_register_store().
Wrong check_registers(RegisterRange range) {
  const auto [first, size] = range;
  if (size == 0) return "a length of 0";
  if (first >= kRegisterCount) return fmt::format("there is no register {}", first);
  if (std::uint64_t{first} * 4 + size > std::uint64_t{kRegisterCount} * 4) {
    return fmt::format("{} bytes do not fit in the registers from {} on", size, first);
  }
  return {};
}

Wrong check_registers(const Effects& effects) {
  for (const RegisterRange& range : effects.reads) {
    if (Wrong wrong = check_registers(range); !wrong.empty()) return wrong;
  }
  return effects.writes ? check_registers(*effects.writes) : Wrong{};
}

// Of a set without a key the widths are not known: of each, the first register is there.
Effects at_least_a_byte(Effects effects) {
  RegisterRanges reads;
  for (const auto& [first, bytes] : effects.reads) reads.add({first, std::max(bytes, 1U)});
  effects.reads = reads;
  if (effects.writes) effects.writes->bytes = std::max(effects.writes->bytes, 1U);
  return effects;
}

// A set that could not be read as far as its key: nothing that stands by its key can be there.
Wrong check_keyless(const Set& set) {
  if (set.elements != Elements{}) return "elements in a set without a key";
  if (!set.exprs.empty()) return "expressions of elements in a set without a key";
  return set.data == KeyField{} ? Wrong{} : "a value's type in a set without a key";
}

Wrong check_limit(const Limit& limit) {
  if (limit.rate == 0 || limit.per_seconds == 0) return "a limit whose rate is 0";
  return {};
}

// The type that a body has.
std::optional<std::uint32_t> type_of(const ObjectBody& body) {
  using Type = std::optional<std::uint32_t>;
  return visit_closed(
      Overloaded{[](const Counter&) -> Type { return object_type::kCounter; },
                 [](const Quota&) -> Type { return object_type::kQuota; },
                 [](const CtHelper&) -> Type { return object_type::kCtHelper; },
                 [](const Limit&) -> Type { return object_type::kLimit; },
                 [](const Connlimit&) -> Type { return object_type::kConnlimit; },
                 [](const CtTimeout&) -> Type { return object_type::kCtTimeout; },
                 [](const Secmark&) -> Type { return object_type::kSecmark; },
                 [](const CtExpectation&) -> Type { return object_type::kCtExpectation; },
                 [](const Synproxy&) -> Type { return object_type::kSynproxy; },
                 [](const Unsupported&) -> Type { return std::nullopt; }},
      body);
}

// nft_ng_inc_init(), nft_jhash_init(), nft_symhash_init().
Wrong check_modulus(std::uint32_t modulus, std::uint32_t offset) {
  if (modulus == 0) return "a modulus of 0";
  const bool fits =
      std::uint64_t{offset} + modulus - 1 <= std::numeric_limits<std::uint32_t>::max();
  return fits ? "" : "an offset that carries the numbers beyond 32 bits";
}

// nft_fib_policy, nft_fib_init().
Wrong check_fib(const Fib& fib) {
  namespace flag = fib_flag;
  constexpr std::uint32_t kKnown =
      flag::kSource | flag::kDestination | flag::kMark | flag::kIif | flag::kOif | flag::kPresent;
  const bool source = (fib.flags & flag::kSource) != 0;
  const bool destination = (fib.flags & flag::kDestination) != 0;
  const bool by_iif = (fib.flags & flag::kIif) != 0;
  const bool by_oif = (fib.flags & flag::kOif) != 0;
  if ((fib.flags & ~kKnown) != 0) return fmt::format("flags {:#x}", fib.flags);
  if (source == destination) return "either the source or the destination must be asked about";
  if (by_iif && by_oif) return "both devices to go by";
  if (by_oif && fib.result != FibResult::AddressType) return "a device asked for by the device";
  if ((fib.flags & flag::kPresent) != 0 && fib.result != FibResult::Oif) {
    return "whether there is a route is asked of oif alone";
  }
  return {};
}

// nft_nat_init(), nft_tproxy_init(), nft_fwd_neigh_init(): an address is of one family.
Wrong check_address(std::uint32_t family, bool has_address) {
  const bool known = family == static_cast<std::uint32_t>(Family::Ip) ||
                     family == static_cast<std::uint32_t>(Family::Ip6);
  return known || !has_address ? "" : "an address that is neither IPv4 nor IPv6";
}

Wrong check_stateful(const StatefulExpr& expr) {
  return visit_closed(
      Overloaded{[](const Counter&) { return Wrong{}; },
                 [](const Limit& limit) { return check_limit(limit); },
                 [](const Connlimit&) { return Wrong{}; }, [](const Quota&) { return Wrong{}; },
                 [](const Last&) { return Wrong{}; }},
      expr);
}

}  // namespace

Wrong check_name(std::string_view name, std::string_view kind) {
  if (name.empty()) return fmt::format("a {} without a name", kind);
  if (name.size() > kMaxNameSize) {
    return fmt::format("the {}'s name is longer than {} bytes", kind, kMaxNameSize);
  }
  if (name.find('\0') != std::string_view::npos) {
    return fmt::format("the {}'s name contains a zero byte", kind);
  }
  return {};
}

Wrong check_comment(const Comment& comment) {
  if (comment.text().size() <= kMaxCommentSize) return {};
  return fmt::format("the comment is longer than {} bytes", kMaxCommentSize);
}

Wrong check_object(const Object& object) {
  if (Wrong wrong = check_name(object.name, "object"); !wrong.empty()) return wrong;
  if (Wrong wrong = check_comment(object.comment); !wrong.empty()) return wrong;
  if (const auto type = type_of(object.body); type && *type != object.type) {
    return fmt::format("type {}, but its body is of type {}", object.type, *type);
  }
  if (const auto* limit = std::get_if<Limit>(&object.body)) return check_limit(*limit);
  return {};
}

Wrong TableChecker::check_named(std::uint32_t object_type, const std::string& name) const {
  if (names_.object(object_type, name) != nullptr) return {};
  return fmt::format("there is no object {} of type {}", name, object_type);
}

Wrong TableChecker::check_verdict(const Verdict& verdict) const {
  const bool names_a_chain = verdict.code == VerdictCode::Jump || verdict.code == VerdictCode::Goto;
  if (!names_a_chain) {
    return verdict.chain.empty() ? Wrong{} : "a chain with a verdict that does not jump";
  }
  const Chain* chain = names_.chain(verdict.chain);
  if (chain == nullptr) return fmt::format("there is no chain {}", verdict.chain);
  if (chain->base) return fmt::format("a jump to the base chain {}", verdict.chain);
  return {};
}

// --- sets --------------------------------------------------------------------------------------

Wrong TableChecker::check_key_fields(const Set& set) const {
  if (set.key.empty()) return "a set without a key";
  for (const KeyField& field : set.key) {
    if (field.size == 0 || field.size > Value::kMaxSize) {
      return fmt::format("a key's part of {} bytes", field.size);
    }
  }
  if (set.key_size() > Value::kMaxSize) return fmt::format("a key of {} bytes", set.key_size());
  if (set.kind == SetKind::Map && (set.data.size == 0 || set.data.size > Value::kMaxSize)) {
    return fmt::format("a map to values of {} bytes", set.data.size);
  }
  if (set.kind != SetKind::Map && set.data != KeyField{})
    return "a value's type, but no map to values";
  return {};
}

Wrong TableChecker::check_columns(const Set& set) const {
  const Elements& elements = set.elements;
  const std::uint32_t key_size = set.key_size();
  if (elements.keys.empty() && elements.key_size == 0) {
    if (elements.data_size != 0) return "elements with data but without keys";
  } else if (elements.key_size != key_size) {
    return fmt::format("elements of {} bytes in a set of {}", elements.key_size, key_size);
  }
  if (elements.key_size != 0 && elements.keys.size() % elements.key_size != 0) {
    return "a key is cut short";
  }

  const std::size_t count = elements.count();
  const bool maps_to_values = set.kind == SetKind::Map;
  const auto check_column = [&](std::size_t size, std::string_view column) {
    return size == 0 || size == count ? Wrong{}
                                      : fmt::format("{} {} for {} elements", size, column, count);
  };
  if (!elements.key_ends.empty()) {
    if (!set.interval) return "ranges in a set without intervals";
    if (elements.key_ends.size() != elements.keys.size()) return "as many ends as keys are needed";
  }
  if (elements.data_size != 0 && (!maps_to_values || elements.data_size != set.data.size)) {
    return fmt::format("values of {} bytes, where the set's have {}", elements.data_size,
                       maps_to_values ? set.data.size : 0);
  }
  if (elements.data.size() != count * elements.data_size)
    return "as many values as keys are needed";
  if (maps_to_values && count > 0 && elements.data_size == 0)
    return "a map's elements without values";
  if (set.kind == SetKind::VerdictMap ? elements.verdicts.size() != count
                                      : !elements.verdicts.empty()) {
    return fmt::format("{} verdicts for {} elements", elements.verdicts.size(), count);
  }
  if (set.kind == SetKind::ObjectMap ? elements.objects.size() != count
                                     : !elements.objects.empty()) {
    return fmt::format("{} objects for {} elements", elements.objects.size(), count);
  }
  for (Wrong wrong : {check_column(elements.timeouts_ms.size(), "timeouts"),
                      check_column(elements.expirations_ms.size(), "expirations"),
                      check_column(elements.exprs.size(), "lists of expressions"),
                      check_column(elements.comments.size(), "comments")}) {
    if (!wrong.empty()) return wrong;
  }
  return {};
}

Wrong TableChecker::check_order(const Set& set) const {
  const Elements& elements = set.elements;
  const std::uint32_t key_size = elements.key_size;
  const std::size_t count = elements.count();
  for (std::size_t i = 0; i < count && !elements.key_ends.empty(); ++i) {
    std::size_t at = 0;
    for (const KeyField& field : set.key) {
      if (std::memcmp(elements.key(i).data() + at, elements.key_end(i).data() + at, field.size) >
          0) {
        return fmt::format("element {} ends before it begins", i);
      }
      at += padded_size(field.size);
    }
  }
  const auto less = [&](std::size_t a, std::size_t b) {
    const int keys = std::memcmp(elements.key(a).data(), elements.key(b).data(), key_size);
    if (keys != 0) return keys < 0;
    return std::memcmp(elements.key_end(a).data(), elements.key_end(b).data(), key_size) < 0;
  };
  const auto out_of_order = [](std::size_t element) {
    return fmt::format("element {} is out of order or a duplicate", element);
  };
  // Ranges of a concatenation stand as the kernel tries them, and may overlap. Others may not,
  // which
  // __nft_rbtree_insert() sees to; whoever looks a key up finds one at most.
  if (set.interval && set.key.size() > 1) {
    std::vector<std::size_t> order(count);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::sort(order, less);
    for (std::size_t i = 1; i < count; ++i) {
      if (!less(order[i - 1], order[i])) return out_of_order(order[i]);
    }
    return {};
  }
  for (std::size_t i = 1; i < count; ++i) {
    if (!less(i - 1, i)) return out_of_order(i);
    if (std::memcmp(elements.key_end(i - 1).data(), elements.key(i).data(), key_size) >= 0) {
      return fmt::format("element {} overlaps the one before it", i);
    }
  }
  return {};
}

Wrong TableChecker::check_catch_all(const Set& set) const {
  const Elements& elements = set.elements;
  if (!elements.has_catch_all) {
    const bool nothing = elements.catch_all_data.empty() &&
                         elements.catch_all_verdict == Verdict{} &&
                         elements.catch_all_object.empty() && !elements.catch_all_comment.exists();
    return nothing ? Wrong{} : "a catch-all value without a catch-all element";
  }
  if (elements.catch_all_data.size() != (set.kind == SetKind::Map ? set.data.size : 0)) {
    return fmt::format("a catch-all value of {} bytes", elements.catch_all_data.size());
  }
  if (Wrong wrong = check_comment(elements.catch_all_comment); !wrong.empty()) return wrong;
  if (set.kind == SetKind::ObjectMap) {
    return check_named(set.object_type, elements.catch_all_object);
  }
  if (!elements.catch_all_object.empty()) return "a catch-all object, but no map of objects";
  return check_verdict(elements.catch_all_verdict);
}

Wrong TableChecker::check_elements(const Set& set) const {
  if (Wrong wrong = check_columns(set); !wrong.empty()) return wrong;
  if (Wrong wrong = check_order(set); !wrong.empty()) return wrong;
  const Elements& elements = set.elements;
  for (const Verdict& verdict : elements.verdicts) {
    if (Wrong wrong = check_verdict(verdict); !wrong.empty()) return wrong;
  }
  for (const std::string& object : elements.objects) {
    if (Wrong wrong = check_named(set.object_type, object); !wrong.empty()) return wrong;
  }
  for (const auto& exprs : elements.exprs) {
    for (const StatefulExpr& expr : exprs) {
      if (Wrong wrong = check_stateful(expr); !wrong.empty()) return wrong;
    }
  }
  return check_catch_all(set);
}

Wrong TableChecker::check_set(const Set& set) const {
  if (Wrong wrong = check_name(set.name, "set"); !wrong.empty()) return wrong;
  if (Wrong wrong = check_comment(set.comment); !wrong.empty()) return wrong;
  if (!set.unsupported.empty() && set.key.empty()) return check_keyless(set);
  if (Wrong wrong = check_key_fields(set); !wrong.empty()) return wrong;
  for (const StatefulExpr& expr : set.exprs) {
    if (Wrong wrong = check_stateful(expr); !wrong.empty()) return wrong;
  }
  return check_elements(set);
}

// --- expressions: what can be wrong beside the registers ---------------------------------------

Wrong TableChecker::check_lookup(const Lookup& lookup) const {
  const Set* set = names_.set(lookup.set);
  if (set == nullptr) return fmt::format("there is no set {}", lookup.set);
  if (lookup.inverted && lookup.result != LookupResult::Membership) {
    return "an inverted lookup has no result";
  }
  if (set->key.empty()) return {};  // not read whole: nothing more is known
  switch (lookup.result) {
    case LookupResult::Membership: {
      const bool maps = set->kind == SetKind::Map || set->kind == SetKind::VerdictMap;
      return set->anonymous && maps ? "what an anonymous map gives is not asked for" : Wrong{};
    }
    case LookupResult::Data:
      return set->kind == SetKind::Map ? Wrong{}
                                       : fmt::format("{} does not map to values", lookup.set);
    case LookupResult::Verdict:
      return set->kind == SetKind::VerdictMap
                 ? Wrong{}
                 : fmt::format("{} does not map to verdicts", lookup.set);
  }
  return {};
}

Wrong TableChecker::check_object_lookup(const ObjectLookup& lookup) const {
  const Set* set = names_.set(lookup.set);
  if (set == nullptr) return fmt::format("there is no map {}", lookup.set);
  if (set->key.empty() || set->kind == SetKind::ObjectMap) return {};
  return fmt::format("{} does not map to objects", lookup.set);
}

// nft_dynset_init(): of the stores with intervals none takes elements from packets.
Wrong TableChecker::check_dynset(const Dynset& dynset) const {
  const Set* set = names_.set(dynset.set);
  if (set == nullptr) return fmt::format("there is no set {}", dynset.set);
  for (const StatefulExpr& expr : dynset.exprs) {
    if (Wrong wrong = check_stateful(expr); !wrong.empty()) return wrong;
  }
  if (set->key.empty()) return {};
  if (set->interval) return fmt::format("{} has intervals: packets cannot add to it", set->name);
  if (set->kind == SetKind::VerdictMap || set->kind == SetKind::ObjectMap) {
    return fmt::format("packets cannot add to the map {}", set->name);
  }
  if (dynset.data.has_value() != (set->kind == SetKind::Map)) {
    return "a value must be given exactly when the set maps to values";
  }
  return {};
}

Wrong TableChecker::check_values(const Expr& expr) const {
  return visit_closed(
      Overloaded{
          [](const Payload& e) -> Wrong {
            return e.offset > 255 ? fmt::format("an offset of {} bytes", e.offset) : Wrong{};
          },
          [](const BitwiseMask& e) -> Wrong {
            const bool alike = e.mask.size == e.length && e.xor_with.size == e.length;
            return alike ? "" : "mask and xor are not as long as the operation";
          },
          [](const BitwiseShift& e) -> Wrong {
            return e.bits >= 32 ? fmt::format("a shift by {} bits", e.bits) : Wrong{};
          },
          [](const Byteorder& e) -> Wrong {
            const bool known = e.size == 2 || e.size == 4 || e.size == 8;
            return known ? Wrong{} : fmt::format("a swap of {} bytes", e.size);
          },
          [](const Range& e) -> Wrong {
            return e.from.size == e.to.size ? "" : "a range's ends differ in length";
          },
          [](const Numgen& e) { return check_modulus(e.modulus, e.offset); },
          [](const JenkinsHash& e) { return check_modulus(e.modulus, e.offset); },
          [](const SymmetricHash& e) { return check_modulus(e.modulus, e.offset); },
          [](const Fib& e) { return check_fib(e); },
          [](const Limit& e) { return check_limit(e); },
          [](const Log& e) -> Wrong {
            if (e.prefix.size() <= kMaxLogPrefixSize) return {};
            return fmt::format("a log prefix of more than {} bytes", kMaxLogPrefixSize);
          },
          [](const ExthdrWrite& e) -> Wrong {
            const bool taken = e.kind == ExthdrKind::TcpOption && (e.length == 2 || e.length == 4);
            return taken ? "" : "only 2 or 4 bytes of a TCP option can be written";
          },
          [](const ExthdrReset& e) -> Wrong {
            return e.kind == ExthdrKind::TcpOption ? "" : "only TCP options can be reset";
          },
          [](const Nat& e) { return check_address(e.family, e.address_min || e.address_max); },
          [](const Tproxy& e) { return check_address(e.family, e.address.has_value()); },
          [](const Fwd& e) { return check_address(e.family, e.address.has_value()); },
          [this](const Lookup& e) { return check_lookup(e); },
          [this](const Dynset& e) { return check_dynset(e); },
          [this](const ImmediateVerdict& e) { return check_verdict(e.verdict); },
          [this](const ObjectRef& e) { return check_named(e.type, e.name); },
          [this](const ObjectLookup& e) { return check_object_lookup(e); },
          [](const OneOf<Meta, Ct, Exthdr, Rt, Socket, Osf, Tunnel, Xfrm, Immediate,
                         BitwiseRegisters, Cmp, Counter, Connlimit, Quota, Last, MetaSet, CtSet,
                         PayloadWrite, Reject, Notrack, Masquerade, Redirect, Synproxy, Dup,
                         XtMatch, XtTarget, Unsupported> auto&) { return Wrong{}; },
      },
      expr);
}

Wrong TableChecker::check_expr(const Expr& expr) const {
  Wrong wrong = check_values(expr);
  if (wrong.empty()) {
    const Effects effects = effects_of(expr, names_);
    const Set* set = effects.set == nullptr ? nullptr : names_.set(*effects.set);
    const bool keyless = set != nullptr && set->key.empty();
    wrong = check_registers(keyless ? at_least_a_byte(effects) : effects);
  }
  return wrong;
}

// --- jumps -------------------------------------------------------------------------------------

// Frames below `chain`; std::nullopt where there would be more than the kernel's. A loop has no
// end, so it is found by the same bound, and recursion is never deeper than it.
std::optional<unsigned> TableChecker::depth_below(const Chain& chain, unsigned above) {
  if (above >= kJumpStackSize) return std::nullopt;
  std::optional<unsigned>& known =
      depths_[static_cast<std::size_t>(&chain - names_.table().chains.data())];
  if (known) return *known + above >= kJumpStackSize ? std::nullopt : known;
  unsigned deepest = 0;
  const auto follow = [&](const Verdict& verdict) {
    if (verdict.chain.empty()) return true;
    const auto below = depth_below(*names_.chain(verdict.chain), above + 1);
    if (!below) return false;
    deepest = std::max(deepest, *below + 1);
    return true;
  };
  for (const Rule& rule : chain.rules) {
    for (const Expr& expr : rule.exprs) {
      if (const auto* immediate = std::get_if<ImmediateVerdict>(&expr)) {
        if (!follow(immediate->verdict)) return std::nullopt;
      } else if (const auto* lookup = std::get_if<Lookup>(&expr);
                 lookup != nullptr && lookup->result == LookupResult::Verdict) {
        const Elements& elements = names_.set(lookup->set)->elements;
        if (!std::all_of(elements.verdicts.begin(), elements.verdicts.end(), follow) ||
            !follow(elements.catch_all_verdict)) {
          return std::nullopt;
        }
      }
    }
  }
  known = deepest;
  return deepest;
}

Wrong TableChecker::check_depth(const Chain& chain) {
  if (depth_below(chain, 0)) return {};
  return fmt::format("jumps from {} make a loop or are nested {} deep or more", chain.name,
                     kJumpStackSize);
}

}  // namespace rolewall::ruleset
