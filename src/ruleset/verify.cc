#include "ruleset/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <unordered_map>
#include <utility>

#include "base/overloaded.h"
#include "ruleset/expr.h"
#include "ruleset/load_size.h"

namespace rolewall::ruleset {
namespace {

// "" where there is nothing wrong, as all the functions below.
using Wrong = std::string;

Wrong check_registers(Register first, std::uint64_t size) {
  if (size == 0) return "a length of 0";
  if (first >= kRegisterCount) return fmt::format("there is no register {}", first);
  if (std::uint64_t{first} * 4 + size > std::uint64_t{kRegisterCount} * 4) {
    return fmt::format("{} bytes do not fit in the registers from {} on", size, first);
  }
  return {};
}

Wrong check_name(std::string_view name, std::string_view kind) {
  if (name.empty()) return fmt::format("a {} without a name", kind);
  if (name.size() > kMaxNameSize) {
    return fmt::format("the {}'s name is longer than {} bytes", kind, kMaxNameSize);
  }
  if (name.find('\0') != std::string_view::npos) {
    return fmt::format("the {}'s name holds a zero byte", kind);
  }
  return {};
}

Wrong check_comment(std::string_view comment) {
  if (comment.size() <= kMaxCommentSize) return {};
  return fmt::format("the comment is longer than {} bytes", kMaxCommentSize);
}

Wrong check_limit(const Limit& limit) {
  if (limit.rate == 0 || limit.per_seconds == 0) return "a limit whose rate is 0";
  return {};
}

// One or two registers that may be left out; `before` is what was wrong before.
Wrong check_ends(const std::optional<Register>& from, const std::optional<Register>& to,
                 std::uint64_t size, Wrong before) {
  for (const std::optional<Register>& end : {from, to}) {
    if (before.empty() && end) before = check_registers(*end, size);
  }
  return before;
}

// Of an address of NFPROTO_*; the least where the family does not say.
std::uint64_t address_size(std::uint8_t family) {
  return family == static_cast<std::uint8_t>(Family::Ip6) ? 16 : 4;
}

std::uint64_t fib_size(const Fib& fib) {
  if (fib.result != FibResult::OifName) return 4;
  return (fib.flags & fib_flag::kPresent) != 0 ? 1 : 16;
}

// The type that a body has.
std::optional<std::uint32_t> type_of(const ObjectBody& body) {
  using Type = std::optional<std::uint32_t>;
  return std::visit(
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

Wrong check_object_itself(const Object& object) {
  if (Wrong wrong = check_name(object.name, "object"); !wrong.empty()) return wrong;
  if (Wrong wrong = check_comment(object.comment); !wrong.empty()) return wrong;
  if (const auto type = type_of(object.body); type && *type != object.type) {
    return fmt::format("type {}, where its body is one of type {}", object.type, *type);
  }
  if (const auto* limit = std::get_if<Limit>(&object.body)) return check_limit(*limit);
  return {};
}

Wrong check_stateful(const StatefulExpr& expr) {
  return std::visit(
      Overloaded{[](const Counter&) { return Wrong{}; },
                 [](const Limit& limit) { return check_limit(limit); },
                 [](const Connlimit&) { return Wrong{}; }, [](const Quota&) { return Wrong{}; },
                 [](const Last&) { return Wrong{}; }},
      expr);
}

// Names of one table, for rules that refer to them; and how deep jumps go from each chain.
class TableChecker {
 public:
  explicit TableChecker(const Table& table) : table_(table) {
    for (const Set& set : table.sets) sets_.emplace(set.name, &set);
    for (const Chain& chain : table.chains) chains_.emplace(chain.name, &chain);
    for (const Object& object : table.objects) objects_.emplace(object.type, object.name);
  }

  bool names_are_unique() const {
    return sets_.size() == table_.sets.size() && chains_.size() == table_.chains.size() &&
           objects_.size() == table_.objects.size();
  }

  Wrong check_object(std::uint32_t type, const std::string& name) const {
    if (objects_.contains({type, name})) return {};
    return fmt::format("there is no object {} of type {}", name, type);
  }

  Wrong check_verdict(const Verdict& verdict) const {
    const bool names_a_chain =
        verdict.code == VerdictCode::Jump || verdict.code == VerdictCode::Goto;
    if (!names_a_chain) {
      return verdict.chain.empty() ? Wrong{} : "a chain beside a verdict that goes to none";
    }
    const auto found = chains_.find(verdict.chain);
    if (found == chains_.end()) return fmt::format("there is no chain {}", verdict.chain);
    if (found->second->base) return fmt::format("a jump to the base chain {}", verdict.chain);
    return {};
  }

  Wrong check_set(const Set& set) const;
  Wrong check_expr(const Expr& expr) const;
  // Once every verdict is checked.
  Wrong check_depth(const Chain& chain);

 private:
  Wrong check_key_fields(const Set& set) const;
  Wrong check_elements(const Set& set) const;
  Wrong check_lookup(const Lookup& lookup) const;
  Wrong check_object_lookup(const ObjectLookup& lookup) const;
  Wrong check_dynset(const Dynset& dynset) const;
  std::optional<unsigned> depth_below(const Chain& chain, unsigned above);

  const Table& table_;
  std::unordered_map<std::string_view, const Set*> sets_;
  std::unordered_map<std::string_view, const Chain*> chains_;
  std::set<std::pair<std::uint32_t, std::string_view>> objects_;
  std::unordered_map<const Chain*, unsigned> depths_;  // frames that jumps from a chain can open
};

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

Wrong TableChecker::check_elements(const Set& set) const {
  const Elements& elements = set.elements;
  const std::uint32_t key_size = set.key_size();
  if (elements.keys.empty() && elements.key_size == 0) {
    if (elements.data_size != 0) return "elements with data and without keys";
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
    if (!set.interval) return "ranges in a set that holds none";
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

  for (std::size_t i = 0; i < count; ++i) {
    if (!elements.key_ends.empty()) {
      std::uint32_t at = 0;
      for (const KeyField& field : set.key) {
        if (std::memcmp(elements.key(i).data() + at, elements.key_end(i).data() + at, field.size) >
            0) {
          return fmt::format("element {} ends before it begins", i);
        }
        at += (field.size + 3) / 4 * 4;
      }
    }
  }
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto less = [&](std::size_t a, std::size_t b) {
    const int keys = std::memcmp(elements.key(a).data(), elements.key(b).data(), key_size);
    if (keys != 0) return keys < 0;
    return std::memcmp(elements.key_end(a).data(), elements.key_end(b).data(), key_size) < 0;
  };
  // Ranges of a concatenation stand as the kernel tries them.
  if (set.interval && set.key.size() > 1) std::ranges::sort(order, less);
  for (std::size_t i = 1; i < count; ++i) {
    if (!less(order[i - 1], order[i])) {
      return fmt::format("element {} is out of order or there twice", order[i]);
    }
  }

  for (const Verdict& verdict : elements.verdicts) {
    if (Wrong wrong = check_verdict(verdict); !wrong.empty()) return wrong;
  }
  for (const std::string& object : elements.objects) {
    if (Wrong wrong = check_object(set.object_type, object); !wrong.empty()) return wrong;
  }
  for (const auto& exprs : elements.exprs) {
    for (const StatefulExpr& expr : exprs) {
      if (Wrong wrong = check_stateful(expr); !wrong.empty()) return wrong;
    }
  }
  if (elements.has_catch_all) {
    if (elements.catch_all_data.size() != (maps_to_values ? set.data.size : 0)) {
      return fmt::format("a catch-all value of {} bytes", elements.catch_all_data.size());
    }
    if (Wrong wrong = check_comment(elements.catch_all_comment); !wrong.empty()) return wrong;
    if (set.kind == SetKind::ObjectMap) {
      return check_object(set.object_type, elements.catch_all_object);
    }
    if (!elements.catch_all_object.empty()) return "a catch-all object, but no map of objects";
    return check_verdict(elements.catch_all_verdict);
  }
  if (!elements.catch_all_data.empty() || elements.catch_all_verdict != Verdict{} ||
      !elements.catch_all_object.empty() || !elements.catch_all_comment.empty()) {
    return "a catch-all value without a catch-all element";
  }
  return {};
}

Wrong TableChecker::check_set(const Set& set) const {
  if (Wrong wrong = check_name(set.name, "set"); !wrong.empty()) return wrong;
  if (Wrong wrong = check_comment(set.comment); !wrong.empty()) return wrong;
  if (!set.unsupported.empty() && set.key.empty()) {
    return set.elements.keys.empty() ? Wrong{} : "elements in a set without a key";
  }
  if (Wrong wrong = check_key_fields(set); !wrong.empty()) return wrong;
  for (const StatefulExpr& expr : set.exprs) {
    if (Wrong wrong = check_stateful(expr); !wrong.empty()) return wrong;
  }
  return check_elements(set);
}

Wrong TableChecker::check_lookup(const Lookup& lookup) const {
  const auto found = sets_.find(lookup.set);
  if (found == sets_.end()) return fmt::format("there is no set {}", lookup.set);
  const Set& set = *found->second;
  if (lookup.inverted && lookup.result != LookupResult::Membership) {
    return "an inverted lookup has no result";
  }
  if (set.key.empty()) return {};  // not read whole: nothing more is known
  if (Wrong wrong = check_registers(lookup.source, set.key_size()); !wrong.empty()) return wrong;
  switch (lookup.result) {
    case LookupResult::Membership:
      return {};
    case LookupResult::Data:
      if (set.kind != SetKind::Map) return fmt::format("{} maps to no values", lookup.set);
      return check_registers(lookup.destination, set.data.size);
    case LookupResult::Verdict:
      return set.kind == SetKind::VerdictMap ? Wrong{}
                                             : fmt::format("{} maps to no verdicts", lookup.set);
  }
  return {};
}

Wrong TableChecker::check_object_lookup(const ObjectLookup& lookup) const {
  const auto found = sets_.find(lookup.set);
  if (found == sets_.end()) return fmt::format("there is no map {}", lookup.set);
  const Set& set = *found->second;
  if (set.key.empty()) return {};  // not read whole: nothing more is known
  if (set.kind != SetKind::ObjectMap) return fmt::format("{} maps to no objects", lookup.set);
  return check_registers(lookup.source, set.key_size());
}

Wrong TableChecker::check_dynset(const Dynset& dynset) const {
  const auto found = sets_.find(dynset.set);
  if (found == sets_.end()) return fmt::format("there is no set {}", dynset.set);
  const Set& set = *found->second;
  for (const StatefulExpr& expr : dynset.exprs) {
    if (Wrong wrong = check_stateful(expr); !wrong.empty()) return wrong;
  }
  if (set.key.empty()) return {};
  if (Wrong wrong = check_registers(dynset.key, set.key_size()); !wrong.empty()) return wrong;
  if (dynset.data.has_value() != (set.kind == SetKind::Map)) {
    return "a value is given where the set maps to values, and there alone";
  }
  return dynset.data ? check_registers(*dynset.data, set.data.size) : Wrong{};
}

Wrong TableChecker::check_expr(const Expr& expr) const {
  return std::visit(
      Overloaded{
          [](const Payload& load) -> Wrong {
            if (load.offset > 255) return fmt::format("an offset of {} bytes", load.offset);
            return check_registers(load.destination, load.length);
          },
          [](const Meta& load) { return check_registers(load.destination, load_size(load.key)); },
          [&](const Ct& load) {
            return check_registers(load.destination, load_size(load.key, table_.family));
          },
          [](const Immediate& load) { return check_registers(load.destination, load.value.size); },
          [](const BitwiseMask& mask) -> Wrong {
            if (mask.mask.size != mask.length || mask.xor_with.size != mask.length) {
              return "mask and xor are not as long as the operation";
            }
            Wrong wrong = check_registers(mask.source, mask.length);
            return wrong.empty() ? check_registers(mask.destination, mask.length) : wrong;
          },
          [](const BitwiseShift& shift) -> Wrong {
            if (shift.bits >= 32) return fmt::format("a shift by {} bits", shift.bits);
            Wrong wrong = check_registers(shift.source, shift.length);
            return wrong.empty() ? check_registers(shift.destination, shift.length) : wrong;
          },
          [](const Byteorder& swap) -> Wrong {
            if (swap.size != 2 && swap.size != 4 && swap.size != 8) {
              return fmt::format("a swap of {} bytes", swap.size);
            }
            Wrong wrong = check_registers(swap.source, swap.length);
            return wrong.empty() ? check_registers(swap.destination, swap.length) : wrong;
          },
          [](const Cmp& cmp) { return check_registers(cmp.source, cmp.value.size); },
          [](const Range& range) -> Wrong {
            if (range.from.size != range.to.size) return "a range's ends differ in length";
            return check_registers(range.source, range.from.size);
          },
          [&](const Lookup& lookup) { return check_lookup(lookup); },
          [](const Counter&) { return Wrong{}; },
          [](const Limit& limit) { return check_limit(limit); },
          [](const Connlimit&) { return Wrong{}; },
          [](const Quota&) { return Wrong{}; },
          [](const Last&) { return Wrong{}; },
          [&](const Dynset& dynset) { return check_dynset(dynset); },
          [&](const ImmediateVerdict& immediate) { return check_verdict(immediate.verdict); },
          [](const MetaSet& set) { return check_registers(set.source, load_size(set.key)); },
          [&](const CtSet& set) {
            return check_registers(set.source, load_size(set.key, table_.family));
          },
          [](const Log& log) -> Wrong {
            if (log.prefix.size() <= kMaxLogPrefixSize) return {};
            return fmt::format("a log prefix of more than {} bytes", kMaxLogPrefixSize);
          },
          [](const Reject&) { return Wrong{}; },
          [](const Notrack&) { return Wrong{}; },
          [](const Exthdr& e) { return check_registers(e.destination, e.present ? 1 : e.length); },
          [](const Numgen& e) { return check_registers(e.destination, 4); },
          [](const SymmetricHash& e) { return check_registers(e.destination, 4); },
          [](const Tunnel& e) { return check_registers(e.destination, 4); },
          [](const Osf& e) { return check_registers(e.destination, 16); },
          [](const PayloadWrite& e) { return check_registers(e.source, e.length); },
          [](const ExthdrWrite& e) { return check_registers(e.source, e.length); },
          [](const ExthdrReset&) { return Wrong{}; },
          [](const Synproxy&) { return Wrong{}; },
          [](const JenkinsHash& hash) -> Wrong {
            Wrong wrong = check_registers(hash.source, hash.length);
            return wrong.empty() ? check_registers(hash.destination, 4) : wrong;
          },
          [](const BitwiseRegisters& bitwise) -> Wrong {
            for (const Register at : {bitwise.source, bitwise.other, bitwise.destination}) {
              if (Wrong wrong = check_registers(at, bitwise.length); !wrong.empty()) return wrong;
            }
            return {};
          },
          [&](const ObjectRef& object) { return check_object(object.type, object.name); },
          [&](const ObjectLookup& lookup) { return check_object_lookup(lookup); },
          [](const Fib& e) { return check_registers(e.destination, fib_size(e)); },
          [](const Rt& e) {
            return check_registers(e.destination, e.key == RtKey::NextHop6 ? 16 : 4);
          },
          [](const Socket& e) {
            return check_registers(e.destination, e.key == SocketKey::CgroupV2 ? 8 : 4);
          },
          [](const Xfrm& e) {
            const bool ipv6 = e.key == XfrmKey::Daddr6 || e.key == XfrmKey::Saddr6;
            return check_registers(e.destination, ipv6 ? 16 : 4);
          },
          [](const Nat& e) {
            return check_ends(e.address_min, e.address_max, address_size(e.family),
                              check_ends(e.port_min, e.port_max, 2, {}));
          },
          [](const Masquerade& e) { return check_ends(e.port_min, e.port_max, 2, {}); },
          [](const Redirect& e) { return check_ends(e.port_min, e.port_max, 2, {}); },
          [](const Tproxy& e) {
            return check_ends(e.address, {}, address_size(e.family), check_ends(e.port, {}, 2, {}));
          },
          [&](const Dup& e) {
            const auto family = static_cast<std::uint8_t>(table_.family);
            return check_ends(e.address, {}, address_size(family), check_ends(e.device, {}, 4, {}));
          },
          [](const Fwd& e) {
            const auto family = static_cast<std::uint8_t>(e.family);
            return check_ends(e.device, e.address, 4,
                              check_ends(e.address, {}, address_size(family), {}));
          },
          [](const Unsupported&) { return Wrong{}; }},
      expr);
}

// Frames below `chain`; std::nullopt where there would be more than the kernel's. A loop has no
// end, so it is found by the same bound, and recursion is never deeper than it.
std::optional<unsigned> TableChecker::depth_below(const Chain& chain, unsigned above) {
  if (above >= kJumpStackSize) return std::nullopt;
  if (const auto known = depths_.find(&chain); known != depths_.end()) {
    if (known->second + above >= kJumpStackSize) return std::nullopt;
    return known->second;
  }
  unsigned deepest = 0;
  const auto follow = [&](const Verdict& verdict) {
    if (verdict.chain.empty()) return true;
    const auto below = depth_below(*chains_.find(verdict.chain)->second, above + 1);
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
        const Elements& elements = sets_.find(lookup->set)->second->elements;
        if (!std::all_of(elements.verdicts.begin(), elements.verdicts.end(), follow) ||
            !follow(elements.catch_all_verdict)) {
          return std::nullopt;
        }
      }
    }
  }
  depths_.emplace(&chain, deepest);
  return deepest;
}

Wrong TableChecker::check_depth(const Chain& chain) {
  if (depth_below(chain, 0)) return {};
  return fmt::format("jumps from {} run in a circle or open {} frames or more", chain.name,
                     kJumpStackSize);
}

std::optional<Flaw> verify_table(const Table& table, const std::string& path) {
  if (Wrong wrong = check_name(table.name, "table"); !wrong.empty()) return Flaw{path, wrong};
  TableChecker checker(table);
  if (!checker.names_are_unique()) {
    return Flaw{path, "two sets, chains or objects bear the same name"};
  }
  if (Wrong wrong = check_comment(table.comment); !wrong.empty()) return Flaw{path, wrong};
  for (std::size_t o = 0; o < table.objects.size(); ++o) {
    if (Wrong wrong = check_object_itself(table.objects[o]); !wrong.empty()) {
      return Flaw{fmt::format("{}.objects[{}]", path, o), std::move(wrong)};
    }
  }
  for (std::size_t s = 0; s < table.sets.size(); ++s) {
    if (Wrong wrong = checker.check_set(table.sets[s]); !wrong.empty()) {
      return Flaw{fmt::format("{}.sets[{}]", path, s), std::move(wrong)};
    }
  }
  for (std::size_t c = 0; c < table.chains.size(); ++c) {
    const Chain& chain = table.chains[c];
    if (Wrong wrong = check_name(chain.name, "chain"); !wrong.empty()) {
      return Flaw{fmt::format("{}.chains[{}]", path, c), std::move(wrong)};
    }
    if (Wrong wrong = check_comment(chain.comment); !wrong.empty()) {
      return Flaw{fmt::format("{}.chains[{}]", path, c), std::move(wrong)};
    }
    if (chain.base && chain.base->policy != VerdictCode::Accept &&
        chain.base->policy != VerdictCode::Drop) {
      return Flaw{fmt::format("{}.chains[{}].base.policy", path, c), "neither accept nor drop"};
    }
    for (std::size_t r = 0; r < chain.rules.size(); ++r) {
      const Rule& rule = chain.rules[r];
      if (Wrong wrong = check_comment(rule.comment); !wrong.empty()) {
        return Flaw{fmt::format("{}.chains[{}].rules[{}]", path, c, r), std::move(wrong)};
      }
      for (std::size_t e = 0; e < rule.exprs.size(); ++e) {
        if (Wrong wrong = checker.check_expr(rule.exprs[e]); !wrong.empty()) {
          return Flaw{fmt::format("{}.chains[{}].rules[{}].exprs[{}]", path, c, r, e),
                      std::move(wrong)};
        }
      }
    }
  }
  for (std::size_t c = 0; c < table.chains.size(); ++c) {
    if (Wrong wrong = checker.check_depth(table.chains[c]); !wrong.empty()) {
      return Flaw{fmt::format("{}.chains[{}]", path, c), std::move(wrong)};
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<Flaw> verify(const Ruleset& ruleset) {
  for (std::size_t t = 0; t < ruleset.tables.size(); ++t) {
    if (auto flaw = verify_table(ruleset.tables[t], fmt::format("tables[{}]", t))) return flaw;
  }
  return std::nullopt;
}

}  // namespace rolewall::ruleset
