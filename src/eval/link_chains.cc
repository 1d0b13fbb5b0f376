#include "eval/link_chains.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>
#include <variant>

#include "eval/route.h"
#include "ruleset/effects.h"
#include "ruleset/expr.h"
#include "ruleset/hook_device.h"
#include "ruleset/names.h"
#include "ruleset/table_flags.h"

namespace rolewall::eval {
namespace {

namespace r = ruleset;

constexpr std::string_view kBridge = "bridge";
// rtnetlink's kinds of devices that take others as ports, which then have no IP of their own; and
// of those that stand on another, which goes on by itself.
constexpr std::array<std::string_view, 4> kWithPorts = {kBridge, "bond", "team", "hsr"};
constexpr std::array<std::string_view, 6> kOnAnother = {"vlan",   "macvlan", "macvtap",
                                                        "ipvlan", "ipvtap",  "macsec"};

bool is_one_of(std::span<const std::string_view> names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

// Whether a chain, or one of its table, does more than accept and count. A jump leads to a chain of
// the same table: what none of them does, no way through them does.
bool does_nothing(const Program::Table& table) {
  const auto is_harmless = [&](const r::Expr& expr) {
    if (r::is_seen_elsewhere(expr, table.names)) return false;
    if (const auto* verdict = std::get_if<r::ImmediateVerdict>(&expr)) {
      const r::VerdictCode code = verdict->verdict.code;
      return code != r::VerdictCode::Drop && code != r::VerdictCode::Queue;
    }
    const r::Effects effects = r::effects_of(expr, table.names);
    return effects.ending == r::Ending::None || effects.ending == r::Ending::Verdict;
  };
  return std::ranges::all_of(table.chains, [&](const Program::Chain& chain) {
    const auto& base = chain.chain->base;
    if (base && base->policy == r::VerdictCode::Drop) return false;
    return std::ranges::all_of(chain.rules, [&](const Program::Rule& rule) {
      return std::ranges::all_of(rule.rule->exprs, is_harmless);
    });
  });
}

// What does not deny it may still send it on as another: with another mark, to another port.
bool may_change(const Program::Table& table) {
  return std::ranges::any_of(table.chains, [&](const Program::Chain& chain) {
    return std::ranges::any_of(chain.rules, [&](const Program::Rule& rule) {
      return std::ranges::any_of(rule.rule->exprs, [&](const r::Expr& expr) {
        return r::is_seen_elsewhere(expr, table.names);
      });
    });
  });
}

// Those that a frame for this host's IP, or from it, meets; `of` forward: one between the ports of
// a bridge.
bool is_on_the_way(r::Hook hook, r::Hook of) {
  const bool arrives = of == r::Hook::Ingress;
  if (of == r::Hook::Forward) return hook != r::Hook::Input && hook != r::Hook::Output;
  switch (hook) {
    case r::Hook::Prerouting:
    case r::Hook::Input:
    case r::Hook::Ingress:
      return arrives;
    case r::Hook::Output:
    case r::Hook::Postrouting:
    case r::Hook::Egress:
      return !arrives;
    case r::Hook::Forward:
      break;
  }
  return false;
}

}  // namespace

LinkChains::LinkChains(const Program& program, const r::Host& host)
    : host_(host), knows_links_(std::ranges::any_of(host.interfaces, [](const auto& interface) {
        return !interface.master.empty() || !interface.link.empty();
      })) {
  for (std::uint32_t t = 0; t < program.tables().size(); ++t) {
    const Program::Table& table = program.tables()[t];
    const r::Family family = table.table->family;
    if ((table.table->flags & r::kTableDormant) != 0 || family == r::Family::Arp) continue;
    bool asked = false;  // only where a chain is on such a hook
    for (std::uint32_t c = 0; c < table.chains.size(); ++c) {
      const auto& base = table.chains[c].chain->base;
      if (!base) continue;
      const bool of_device = base->hook == r::Hook::Ingress || base->hook == r::Hook::Egress;
      if (!of_device && family != r::Family::Bridge) continue;
      if (!asked && does_nothing(table)) break;
      asked = true;
      Hooked hooked;
      hooked.table = t;
      hooked.chain = c;
      hooked.name = fmt::format("table {} {}, chain {}", r::name_of(family), table.table->name,
                                table.chains[c].chain->name);
      hooked.hook = base->hook;
      hooked.may_change = may_change(table);
      hooked.devices = base->devices;
      hooked_.push_back(std::move(hooked));
    }
  }
}

// Where the host's description says what stands on what, by that, through several layers (a VLAN on
// a bridge on a bond). Where it does not, a port has no routes: what it takes is its bridge's.
bool LinkChains::may_lie_below(std::string_view pattern, const r::Interface& upper) const {
  if (knows_links_) return lies_below(pattern, upper.device, 0);
  const bool on_another = is_one_of(kOnAnother, upper.kind);
  if (!on_another && !is_one_of(kWithPorts, upper.kind)) return false;
  return std::ranges::any_of(host_.interfaces, [&](const r::Interface& lower) {
    if (lower.device == upper.device || !r::is_hooked(pattern, lower.device)) return false;
    return on_another || !host_.routes ||
           std::ranges::none_of(*host_.routes, [&](const r::Route& route) {
             return route.device == lower.device && route.type == r::RouteType::Unicast &&
                    !is_link_local(route.to.address);
           });
  });
}

bool LinkChains::lies_below(std::string_view pattern, std::string_view upper,
                            unsigned depth) const {
  constexpr unsigned kDeepest = 8;  // MAX_NEST_DEV of include/linux/netdevice.h
  if (depth == kDeepest) return true;
  const auto above = std::ranges::find(host_.interfaces, upper, &r::Interface::device);
  return std::ranges::any_of(host_.interfaces, [&](const r::Interface& lower) {
    const bool is_port = lower.master == upper;
    const bool carries = above != host_.interfaces.end() && above->link == lower.device;
    if (!is_port && !carries) return false;
    return r::is_hooked(pattern, lower.device) || lies_below(pattern, lower.device, depth + 1);
  });
}

// A bridge itself, or a VLAN on one.
bool LinkChains::stands_on_bridge(const r::Interface& upper) const {
  if (upper.kind == kBridge) return true;
  const auto carrier = std::ranges::find(host_.interfaces, upper.link, &r::Interface::device);
  return !upper.link.empty() && carrier != host_.interfaces.end() && carrier->kind == kBridge;
}

bool LinkChains::is_met(const Hooked& hooked, const r::Interface& upper) const {
  if (hooked.devices.empty()) return stands_on_bridge(upper);
  return std::ranges::any_of(
      hooked.devices, [&](const std::string& pattern) { return may_lie_below(pattern, upper); });
}

bool LinkChains::let_pass(r::Hook hook, std::string_view device, Frame& frame,
                          Journey& journey) const {
  if (hooked_.empty()) return true;
  const auto upper = std::ranges::find(host_.interfaces, device, &r::Interface::device);
  if (upper == host_.interfaces.end()) return true;
  for (const Hooked& below : hooked_) {
    if (!is_on_the_way(below.hook, hook) || !is_met(below, *upper)) continue;
    // What leaves is asked about no more.
    const bool may_change = below.may_change && hook != r::Hook::Egress;
    enum : std::size_t { kPasses, kDenied, kChanged };
    const std::size_t does =
        frame.choices->choose(may_change ? 3 : 2, {.table = below.table, .chain = below.chain});
    frame.conditions.push_back({.about = fmt::format("{}, which is not run", below.name),
                                .is = does == kPasses   ? "lets it pass"
                                      : does == kDenied ? "denies it"
                                                        : "changes it"});
    if (does == kPasses) continue;
    HookResult& result = journey.hooks.emplace_back();
    result.hook = hook;
    result.fate = does == kDenied ? Fate::Drop : Fate::Undecided;
    result.reason = below.name;
    return false;
  }
  return true;
}

}  // namespace rolewall::eval
