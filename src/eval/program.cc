#include "eval/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/overloaded.h"
#include "ruleset/expr.h"
#include "ruleset/load_size.h"

namespace rolewall::eval {
namespace {

using ruleset::Expr;
using ruleset::Family;
using ruleset::kRegisterCount;

constexpr std::size_t kRegisterBytes = std::size_t{kRegisterCount} * 4;

bool fits(ruleset::Register first, std::size_t length) {
  return length <= kRegisterBytes && std::size_t{first} * 4 <= kRegisterBytes - length;
}

// Whether the registers that a translation takes its ports from are there.
template <class Expression>
bool ports_fit(const Expression& nat) {
  return (!nat.port_min || fits(*nat.port_min, 2)) && (!nat.port_max || fits(*nat.port_max, 2));
}

bool keeps_state(const ruleset::StatefulExpr& expr) {
  return std::visit(Overloaded{[](const ruleset::Counter&) { return false; },
                               [](const ruleset::Limit&) { return true; },
                               [](const ruleset::Connlimit&) { return true; },
                               [](const ruleset::Quota&) { return true; },
                               [](const ruleset::Last&) { return false; }},
                    expr);
}

// What makes a stateful expression one that the kernel would refuse, or "".
std::string_view refused(const ruleset::StatefulExpr& expr) {
  return std::visit(Overloaded{[](const ruleset::Counter&) { return std::string_view{}; },
                               [](const ruleset::Limit& limit) {
                                 return limit.rate == 0 || limit.per_seconds == 0
                                            ? std::string_view{"a limit of nothing"}
                                            : std::string_view{};
                               },
                               [](const ruleset::Connlimit&) { return std::string_view{}; },
                               [](const ruleset::Quota&) { return std::string_view{}; },
                               [](const ruleset::Last&) { return std::string_view{}; }},
                    expr);
}

// The expressions that switch conntrack on, besides those that are modelled; and those of
// iptables' compatibility layer, of which some do.
ConntrackUse conntrack_use(const ruleset::Unsupported& expr) {
  for (const std::string_view name : {"ct", "nat", "masq", "redir", "synproxy", "flow_offload"}) {
    if (expr.name == name) return ConntrackUse::On;
  }
  for (const std::string_view name : {"match", "target", "xt", "objref", "dynset"}) {
    if (expr.name == name) return ConntrackUse::Unknown;
  }
  return ConntrackUse::Off;
}

// nft_nat_init(): a translation to IPv4 alone has nothing track IPv6, and the other way about.
Family family_tracked(const ruleset::Table& table, const Expr& expr) {
  const auto* nat = std::get_if<ruleset::Nat>(&expr);
  if (nat == nullptr) return table.family;
  for (const Family family : {Family::Ip, Family::Ip6}) {
    if (nat->family == static_cast<std::uint8_t>(family)) return family;
  }
  return table.family;
}

ConntrackUse conntrack_use(const std::vector<ruleset::StatefulExpr>& exprs) {
  const bool counts = std::ranges::any_of(exprs, [](const ruleset::StatefulExpr& expr) {
    return std::holds_alternative<ruleset::Connlimit>(expr);
  });
  return counts ? ConntrackUse::On : ConntrackUse::Off;
}

ConntrackUse conntrack_use(const ruleset::Object& object) {
  const ConntrackUse on = ConntrackUse::On;
  const ConntrackUse off = ConntrackUse::Off;
  return std::visit(
      Overloaded{
          [=](const ruleset::Counter&) { return off; },
          [=](const ruleset::Quota&) { return off; },
          [=](const ruleset::Limit&) { return off; },
          [=](const ruleset::Connlimit&) { return on; },
          [=](const ruleset::CtHelper&) { return on; },
          [=](const ruleset::CtTimeout&) { return on; },
          [=](const ruleset::CtExpectation&) { return on; },
          [=](const ruleset::Secmark&) { return off; },
          [=](const ruleset::Synproxy&) { return on; },
          [](const ruleset::Unsupported& unsupported) { return conntrack_use(unsupported); },
      },
      object.body);
}

// What makes a named object one that cannot be run, or "".
std::string object_problem(const ruleset::Object& object) {
  const auto none = [](const auto&) { return std::string(); };
  std::string text =
      std::visit(Overloaded{
                     [](const ruleset::Limit& limit) { return std::string(refused(limit)); },
                     [](const ruleset::Unsupported& unsupported) {
                       return fmt::format("not modelled: {}", unsupported.reason);
                     },
                     [&](const ruleset::Counter& body) { return none(body); },
                     [&](const ruleset::Quota& body) { return none(body); },
                     [&](const ruleset::Connlimit& body) { return none(body); },
                     [&](const ruleset::CtHelper& body) { return none(body); },
                     [&](const ruleset::CtTimeout& body) { return none(body); },
                     [&](const ruleset::CtExpectation& body) { return none(body); },
                     [&](const ruleset::Secmark& body) { return none(body); },
                     [&](const ruleset::Synproxy& body) { return none(body); },
                 },
                 object.body);
  return text.empty() ? text : fmt::format("object {}: {}", object.name, text);
}

ConntrackUse conntrack_use(const Expr& expr) {
  if (std::holds_alternative<ruleset::Ct>(expr) || std::holds_alternative<ruleset::CtSet>(expr) ||
      std::holds_alternative<ruleset::Connlimit>(expr) ||
      std::holds_alternative<ruleset::Nat>(expr) ||
      std::holds_alternative<ruleset::Masquerade>(expr) ||
      std::holds_alternative<ruleset::Redirect>(expr) ||
      std::holds_alternative<ruleset::Synproxy>(expr)) {
    return ConntrackUse::On;
  }
  if (const auto* dynset = std::get_if<ruleset::Dynset>(&expr)) return conntrack_use(dynset->exprs);
  if (const auto* unsupported = std::get_if<ruleset::Unsupported>(&expr)) {
    return conntrack_use(*unsupported);
  }
  return ConntrackUse::Off;
}

}  // namespace

const std::vector<ruleset::StatefulExpr>& element_exprs(const ruleset::Set& set,
                                                        std::uint32_t element) {
  const auto& own = set.elements.exprs;
  return element < own.size() && !own[element].empty() ? own[element] : set.exprs;
}

// Prepares one table after the other.
class Program::Preparer {
 public:
  Preparer(Program& program, State& state, PartialSets* partial)
      : program_(program), state_(state), partial_(partial) {}

  void prepare(const ruleset::Table& table) {
    Table& prepared = program_.tables_.emplace_back();
    prepared.table = &table;
    chains_.clear();
    sets_.clear();
    objects_.clear();
    prepared.first_object_cell = state_.reserve(table.objects.size());
    for (const ruleset::Object& object : table.objects) {
      objects_.emplace(std::pair(object.type, std::string_view(object.name)),
                       static_cast<std::uint32_t>(objects_.size()));
      note_conntrack(table.family, conntrack_use(object));
    }
    for (const ruleset::Chain& chain : table.chains) {
      chains_.emplace(chain.name, static_cast<std::uint32_t>(chains_.size()));
    }
    prepared.sets.reserve(table.sets.size());
    for (const ruleset::Set& set : table.sets) {
      sets_.emplace(set.name, static_cast<std::uint32_t>(prepared.sets.size()));
      prepare_set(prepared, set);
    }
    for (const ruleset::Chain& chain : table.chains) {
      Chain& prepared_chain = prepared.chains.emplace_back();
      prepared_chain.chain = &chain;
      for (const ruleset::Rule& rule : chain.rules) {
        prepared_chain.rules.push_back(
            {&rule, static_cast<std::uint32_t>(program_.operands_.size())});
        for (const Expr& expr : rule.exprs) {
          note_conntrack(family_tracked(table, expr), conntrack_use(expr));
          if (const auto* tproxy = std::get_if<ruleset::Tproxy>(&expr)) note_tproxy(*tproxy);
          program_.operands_.push_back(operand_of(prepared, expr));
        }
      }
    }
  }

 private:
  std::uint32_t problem(std::string text) {
    program_.problems_.push_back(std::move(text));
    return kFirstProblem + static_cast<std::uint32_t>(program_.problems_.size() - 1);
  }
  std::uint32_t outside_registers() {
    return problem("an expression that reaches beyond the registers");
  }

  void note_conntrack(Family family, ConntrackUse use) {
    const auto raise = [use](ConntrackUse& current) {
      if (use == ConntrackUse::On || current == ConntrackUse::Off) current = use;
    };
    if (use == ConntrackUse::Off) return;
    if (family == Family::Inet || family == Family::Ip || family == Family::Bridge) {
      raise(program_.conntrack_ipv4_);
    }
    if (family == Family::Inet || family == Family::Ip6 || family == Family::Bridge) {
      raise(program_.conntrack_ipv6_);
    }
  }

  void note_tproxy(const ruleset::Tproxy& tproxy) {
    program_.tproxy_ipv4_ |= tproxy.family != static_cast<std::uint8_t>(Family::Ip6);
    program_.tproxy_ipv6_ |= tproxy.family != static_cast<std::uint8_t>(Family::Ip);
  }

  std::uint32_t chain_named(const std::string& name) const {
    const auto at = chains_.find(name);
    return at == chains_.end() ? kNone : at->second;
  }
  std::uint32_t target_of(const ruleset::Verdict& verdict) const {
    const bool leads_to_chain =
        verdict.code == ruleset::VerdictCode::Jump || verdict.code == ruleset::VerdictCode::Goto;
    return leads_to_chain ? chain_named(verdict.chain) : kNone;
  }

  std::uint32_t object_named(std::uint32_t type, std::string_view name) const {
    const auto at = objects_.find({type, name});
    return at == objects_.end() ? kNone : at->second;
  }

  PartialSet* partial_of(const ruleset::Set& set) const {
    if (partial_ == nullptr) return nullptr;
    const auto at = partial_->find(&set);
    return at == partial_->end() ? nullptr : &at->second;
  }

  void prepare_set(Table& table, const ruleset::Set& set) {
    Set& prepared = table.sets.emplace_back(set);
    prepared.number = next_set_++;
    prepared.partial = partial_of(set);
    // An element that was not read may count connections.
    if (prepared.partial != nullptr) note_conntrack(table.table->family, ConntrackUse::Unknown);
    for (const ruleset::Verdict& verdict : set.elements.verdicts) {
      prepared.targets.push_back(target_of(verdict));
    }
    if (set.elements.has_catch_all) {
      prepared.catch_all_target = target_of(set.elements.catch_all_verdict);
    }
    for (const std::string& object : set.elements.objects) {
      prepared.targets.push_back(object_named(set.object_type, object));
    }
    if (set.kind == ruleset::SetKind::ObjectMap && set.elements.has_catch_all) {
      prepared.catch_all_target = object_named(set.object_type, set.elements.catch_all_object);
    }
    note_conntrack(table.table->family, conntrack_use(set.exprs));
    std::size_t most = std::ranges::any_of(set.exprs, keeps_state) ? set.exprs.size() : 0;
    for (const auto& exprs : set.elements.exprs) {
      if (std::ranges::any_of(exprs, keeps_state)) most = std::max(most, exprs.size());
      note_conntrack(table.table->family, conntrack_use(exprs));
    }
    prepared.cells_each = static_cast<std::uint32_t>(most);
    prepared.first_cell = state_.reserve(most * set.elements.count());
  }

  // "" where the machine can look things up in the set and run its elements.
  std::string set_problem(const ruleset::Set& set) const {
    if (!set.unsupported.empty()) {
      return fmt::format("set {} could not be read whole: {}", set.name, set.unsupported);
    }
    const ruleset::Elements& elements = set.elements;
    if (elements.count() != 0 && elements.key_size != set.key_size()) {
      return fmt::format("the keys of set {} have the wrong size", set.name);
    }
    const std::size_t count = elements.count();
    const bool whole =
        (elements.key_ends.empty() || elements.key_ends.size() == elements.keys.size()) &&
        (set.kind != ruleset::SetKind::VerdictMap || elements.verdicts.size() == count) &&
        (set.kind != ruleset::SetKind::ObjectMap || elements.objects.size() == count) &&
        (set.kind != ruleset::SetKind::Map || elements.data.size() == count * elements.data_size) &&
        (elements.timeouts_ms.empty() || elements.timeouts_ms.size() == count) &&
        (elements.expirations_ms.empty() || elements.expirations_ms.size() == count) &&
        (elements.exprs.empty() || elements.exprs.size() == count);
    if (!whole) return fmt::format("the columns of set {} differ in length", set.name);
    for (const auto& exprs : elements.exprs) {
      for (const auto& expr : exprs) {
        if (!refused(expr).empty()) return fmt::format("set {}: {}", set.name, refused(expr));
      }
    }
    for (const auto& expr : set.exprs) {
      if (!refused(expr).empty()) return fmt::format("set {}: {}", set.name, refused(expr));
    }
    return "";
  }

  std::uint32_t operand_of(const Table& table, const ruleset::Lookup& lookup) {
    const auto at = sets_.find(lookup.set);
    if (at == sets_.end()) return problem(fmt::format("there is no set {}", lookup.set));
    const ruleset::Set& set = *table.sets[at->second].set;
    if (std::string text = set_problem(set); !text.empty()) return problem(std::move(text));
    if (!fits(lookup.source, set.key_size())) return outside_registers();
    switch (lookup.result) {
      case ruleset::LookupResult::Membership:
        break;
      case ruleset::LookupResult::Data:
        if (set.kind != ruleset::SetKind::Map) {
          return problem(fmt::format("set {} is no map of values", set.name));
        }
        if (!fits(lookup.destination, std::max<std::size_t>(set.elements.data_size,
                                                            set.elements.catch_all_data.size()))) {
          return outside_registers();
        }
        break;
      case ruleset::LookupResult::Verdict:
        if (set.kind != ruleset::SetKind::VerdictMap) {
          return problem(fmt::format("set {} is no verdict map", set.name));
        }
        break;
    }
    return at->second;
  }

  std::uint32_t operand_of(const Table& table, const ruleset::ObjectRef& reference) {
    const std::uint32_t object = object_named(reference.type, reference.name);
    if (object == kNone) return problem(fmt::format("there is no object {}", reference.name));
    std::string text = object_problem(table.table->objects[object]);
    return text.empty() ? object : problem(std::move(text));
  }

  std::uint32_t operand_of(const Table& table, const ruleset::ObjectLookup& lookup) {
    const auto at = sets_.find(lookup.set);
    if (at == sets_.end()) return problem(fmt::format("there is no set {}", lookup.set));
    const Set& prepared = table.sets[at->second];
    const ruleset::Set& set = *prepared.set;
    if (std::string text = set_problem(set); !text.empty()) return problem(std::move(text));
    if (set.kind != ruleset::SetKind::ObjectMap) {
      return problem(fmt::format("set {} is no map of objects", set.name));
    }
    std::vector<std::uint32_t> targets = prepared.targets;
    if (set.elements.has_catch_all) targets.push_back(prepared.catch_all_target);
    for (const std::uint32_t object : targets) {
      if (object == kNone) {
        return problem(fmt::format("map {} names an object that there is not", set.name));
      }
      if (std::string text = object_problem(table.table->objects[object]); !text.empty()) {
        return problem(std::move(text));
      }
    }
    return fits(lookup.source, set.key_size()) ? at->second : outside_registers();
  }

  std::uint32_t operand_of(const Table& table, const ruleset::Dynset& dynset) {
    const auto at = sets_.find(dynset.set);
    if (at == sets_.end()) return problem(fmt::format("there is no set {}", dynset.set));
    const ruleset::Set& set = *table.sets[at->second].set;
    if (std::string text = set_problem(set); !text.empty()) return problem(std::move(text));
    if (set.interval) {
      return problem(fmt::format("set {} holds intervals: packets cannot add to it", set.name));
    }
    if (set.kind == ruleset::SetKind::VerdictMap || set.kind == ruleset::SetKind::ObjectMap) {
      return problem(fmt::format("packets cannot add to the map {}", set.name));
    }
    for (const auto& expr : dynset.exprs) {
      if (!refused(expr).empty()) return problem(std::string(refused(expr)));
    }
    if (!fits(dynset.key, set.key_size()) ||
        (dynset.data && !fits(*dynset.data, set.elements.data_size))) {
      return outside_registers();
    }
    return at->second;
  }

  std::uint32_t operand_of(const Table& table, const ruleset::Nat& nat) {
    constexpr std::uint8_t kIpv4 = 2;
    const bool ipv4 = nat.family == kIpv4 || table.table->family == Family::Ip;
    const std::size_t size = ipv4 ? 4 : 16;
    const bool fit = (!nat.address_min || fits(*nat.address_min, size)) &&
                     (!nat.address_max || fits(*nat.address_max, size)) && ports_fit(nat);
    return fit ? 0U : outside_registers();
  }

  std::uint32_t cell_for(const ruleset::StatefulExpr& expr) {
    if (!refused(expr).empty()) return problem(std::string(refused(expr)));
    return state_.reserve(1);
  }

  std::uint32_t operand_of(const Table& table, const Expr& expr) {
    const auto bounded = [this](bool in_bounds) { return in_bounds ? 0U : outside_registers(); };
    return std::visit(
        Overloaded{
            [&](const ruleset::Payload& load) {
              return bounded(fits(load.destination, load.length));
            },
            [&](const ruleset::Meta& load) {
              return bounded(fits(load.destination, ruleset::load_size(load.key)));
            },
            [&](const ruleset::Ct& load) {
              const std::uint32_t size = ruleset::load_size(load.key, table.table->family);
              return bounded(fits(load.destination, size));
            },
            [&](const ruleset::Immediate& load) {
              return bounded(fits(load.destination, load.value.size));
            },
            [&](const ruleset::BitwiseMask& op) {
              return bounded(fits(op.source, op.length) && fits(op.destination, op.length));
            },
            [&](const ruleset::BitwiseShift& op) {
              if (op.bits >= 32) return problem("a shift by more than a register");
              return bounded(fits(op.source, op.length) && fits(op.destination, op.length));
            },
            [&](const ruleset::BitwiseRegisters& op) {
              return bounded(fits(op.source, op.length) && fits(op.other, op.length) &&
                             fits(op.destination, op.length));
            },
            [&](const ruleset::JenkinsHash& hash) {
              if (hash.modulus == 0) return problem("a hash of modulus zero");
              return bounded(fits(hash.source, hash.length) && fits(hash.destination, 4));
            },
            [&](const ruleset::Numgen& numgen) {
              if (numgen.modulus == 0) return problem("a number below zero");
              if (!fits(numgen.destination, 4)) return outside_registers();
              return state_.reserve(1);
            },
            [&](const ruleset::SymmetricHash& hash) {
              if (hash.modulus == 0) return problem("a hash of modulus zero");
              return bounded(fits(hash.destination, 4));
            },
            [&](const ruleset::Fib& fib) {
              const bool name = fib.result == ruleset::FibResult::OifName;
              return bounded(fits(fib.destination, name ? ruleset::kInterfaceNameSize : 4));
            },
            [&](const ruleset::Rt& rt) {
              const bool ipv6 = rt.key == ruleset::RtKey::NextHop6;
              return bounded(fits(rt.destination, ipv6 ? 16 : 4));
            },
            [&](const ruleset::Socket& socket) {
              const bool cgroup = socket.key == ruleset::SocketKey::CgroupV2;
              return bounded(fits(socket.destination, cgroup ? 8 : 4));
            },
            [&](const ruleset::Osf& osf) { return bounded(fits(osf.destination, 16)); },
            [&](const ruleset::Tunnel& tunnel) { return bounded(fits(tunnel.destination, 4)); },
            [&](const ruleset::Xfrm&) { return 0U; },
            [&](const ruleset::Exthdr& load) {
              return bounded(fits(load.destination, load.present ? 1 : load.length));
            },
            [&](const ruleset::PayloadWrite& write) {
              if (write.base == ruleset::PayloadBase::Link) {
                return problem("a write into the Ethernet header, which is not modelled");
              }
              return bounded(fits(write.source, write.length));
            },
            [&](const ruleset::ExthdrWrite& write) {
              if (write.kind != ruleset::ExthdrKind::TcpOption ||
                  (write.length != 2 && write.length != 4)) {
                return problem("a write to an option that the kernel would refuse");
              }
              return bounded(fits(write.source, write.length));
            },
            [&](const ruleset::ExthdrReset& reset) {
              return reset.kind == ruleset::ExthdrKind::TcpOption
                         ? 0U
                         : problem("a reset of an option that the kernel would refuse");
            },
            [&](const ruleset::ObjectRef& reference) { return operand_of(table, reference); },
            [&](const ruleset::ObjectLookup& lookup) { return operand_of(table, lookup); },
            [&](const ruleset::Byteorder& op) {
              if (op.size != 2 && op.size != 4 && op.size != 8) {
                return problem("byteorder of a size that there is not");
              }
              return bounded(fits(op.source, std::max(op.size, op.length)) &&
                             fits(op.destination, std::max(op.size, op.length)));
            },
            [&](const ruleset::Cmp& cmp) { return bounded(fits(cmp.source, cmp.value.size)); },
            [&](const ruleset::Range& range) {
              if (range.from.size != range.to.size) {
                return problem("a range between values of two sizes");
              }
              return bounded(fits(range.source, range.from.size));
            },
            [&](const ruleset::Lookup& lookup) { return operand_of(table, lookup); },
            [&](const ruleset::Counter&) { return 0U; },
            [&](const ruleset::Limit& limit) { return cell_for(limit); },
            [&](const ruleset::Connlimit& connlimit) { return cell_for(connlimit); },
            [&](const ruleset::Quota& quota) { return cell_for(quota); },
            [&](const ruleset::Last&) { return 0U; },
            [&](const ruleset::Dynset& dynset) { return operand_of(table, dynset); },
            [&](const ruleset::ImmediateVerdict& immediate) {
              const ruleset::VerdictCode code = immediate.verdict.code;
              if (code != ruleset::VerdictCode::Jump && code != ruleset::VerdictCode::Goto) {
                return 0U;
              }
              const std::uint32_t chain = chain_named(immediate.verdict.chain);
              return chain == kNone
                         ? problem(fmt::format("there is no chain {}", immediate.verdict.chain))
                         : chain;
            },
            [&](const ruleset::MetaSet& set) { return bounded(fits(set.source, 4)); },
            [&](const ruleset::CtSet& set) {
              return bounded(fits(set.source, set.key == ruleset::CtKey::Labels ? 16 : 4));
            },
            [&](const ruleset::Log&) { return 0U; },
            [&](const ruleset::Reject&) { return 0U; },
            [&](const ruleset::Notrack&) { return 0U; },
            [&](const ruleset::Nat& nat) { return operand_of(table, nat); },
            [&](const ruleset::Masquerade& nat) { return bounded(ports_fit(nat)); },
            [&](const ruleset::Redirect& nat) { return bounded(ports_fit(nat)); },
            [&](const ruleset::Tproxy& tproxy) {
              return bounded((!tproxy.address || fits(*tproxy.address, 4)) &&
                             (!tproxy.port || fits(*tproxy.port, 2)));
            },
            [&](const ruleset::Synproxy&) { return 0U; },
            [&](const ruleset::Dup&) { return 0U; },
            [&](const ruleset::Fwd& fwd) { return bounded(fits(fwd.device, 4)); },
            [&](const ruleset::Unsupported& unsupported) {
              return problem(
                  unsupported.reason.empty()
                      ? fmt::format("the expression {} is not modelled", unsupported.name)
                      : fmt::format("the expression {} is not modelled: {}", unsupported.name,
                                    unsupported.reason));
            },
        },
        expr);
  }

  Program& program_;
  State& state_;
  PartialSets* partial_;
  std::uint32_t next_set_ = 0;
  std::unordered_map<std::string_view, std::uint32_t> chains_;
  std::unordered_map<std::string_view, std::uint32_t> sets_;
  std::map<std::pair<std::uint32_t, std::string_view>, std::uint32_t> objects_;  // by type and name
};

Program::Program(const ruleset::Ruleset& ruleset, State& state, PartialSets* partial) {
  Preparer preparer(*this, state, partial);
  for (const ruleset::Table& table : ruleset.tables) preparer.prepare(table);
}

}  // namespace rolewall::eval
