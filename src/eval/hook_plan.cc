#include "eval/hook_plan.h"

#include "ruleset/effects.h"
#include "ruleset/table_flags.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace rolewall::eval {
namespace {

using ruleset::ChainType;
using ruleset::Family;
using ruleset::Hook;

// include/uapi/linux/netfilter_ipv4.h
constexpr std::int32_t kDefragPriority = -400;
constexpr std::int32_t kConntrackPriority = -200;
constexpr std::int32_t kDestinationNatPriority = -100;
constexpr std::int32_t kSourceNatPriority = 100;

struct OnHook {
  std::vector<Stage> stages;
  std::vector<Stage> nat_chains;
};

OnHook gather_hook(const Program& program, Hook hook, bool ipv6) {
  OnHook plan;
  const Family own = ipv6 ? Family::Ip6 : Family::Ip;
  for (std::uint32_t t = 0; t < program.tables().size(); ++t) {
    const Program::Table& table = program.tables()[t];
    const Family family = table.table->family;
    if ((family != Family::Inet && family != own) ||
        (table.table->flags & ruleset::kTableDormant) != 0) {
      continue;
    }
    for (std::uint32_t c = 0; c < table.chains.size(); ++c) {
      const auto& base = table.chains[c].chain->base;
      if (!base || base->hook != hook) continue;
      auto& stages = base->type == ChainType::Nat ? plan.nat_chains : plan.stages;
      stages.push_back({base->priority, Stage::Kind::Chain, t, c});
    }
  }
  const ruleset::TrackingUse& use = program.tracking();
  const ConntrackUse conntrack = ipv6 ? use.ipv6 : use.ipv4;
  const ConntrackUse reassembly = ipv6 ? use.reassembly_ipv6 : use.reassembly_ipv4;
  if (hook == Hook::Prerouting || hook == Hook::Output) {
    if (reassembly != ConntrackUse::Off) {
      plan.stages.push_back({kDefragPriority, Stage::Kind::Defrag});
    }
    if (conntrack != ConntrackUse::Off) {
      plan.stages.push_back({kConntrackPriority, Stage::Kind::Conntrack});
    }
  }
  return plan;
}

}  // namespace

FamilyPlan plan_family(const Program& program, ruleset::HookOrder& order, bool ipv6) {
  FamilyPlan plan;
  plan.reassembly = ipv6 ? program.tracking().reassembly_ipv6 : program.tracking().reassembly_ipv4;
  const Family own = ipv6 ? Family::Ip6 : Family::Ip;
  plan.may_translate = std::ranges::any_of(program.tables(), [&](const Program::Table& table) {
    const bool is_met = (table.table->family == Family::Inet || table.table->family == own) &&
                        (table.table->flags & ruleset::kTableDormant) == 0;
    return is_met && ruleset::may_translate(table.names);
  });
  struct Place {
    Hook hook;
    HookPlan& plan;
    std::optional<std::int32_t> nat;
  };
  const Place places[] = {{Hook::Prerouting, plan.prerouting, kDestinationNatPriority},
                          {Hook::Input, plan.input, kSourceNatPriority},
                          {Hook::Forward, plan.forward, std::nullopt},
                          {Hook::Output, plan.output, kDestinationNatPriority},
                          {Hook::Postrouting, plan.postrouting, kSourceNatPriority}};
  std::vector<OnHook> gathered;
  for (const Place& place : places) {
    gathered.push_back(gather_hook(program, place.hook, ipv6));
    plan.has_nat = plan.has_nat || !gathered.back().nat_chains.empty();
  }
  for (std::size_t i = 0; i < gathered.size(); ++i) {
    // One NAT chain anywhere registers NAT on all four hooks (nf_nat_register_fn()).
    if (plan.has_nat && places[i].nat) {
      gathered[i].stages.push_back({*places[i].nat, Stage::Kind::Nat});
    }
    places[i].plan = {order.of(std::move(gathered[i].stages)),
                      order.of(std::move(gathered[i].nat_chains))};
  }
  return plan;
}

Stages plan_device_hook(const Program& program, ruleset::HookOrder& order, Hook hook) {
  std::vector<Stage> stages;
  for (std::uint32_t t = 0; t < program.tables().size(); ++t) {
    const Program::Table& table = program.tables()[t];
    if ((table.table->flags & ruleset::kTableDormant) != 0) continue;
    for (std::uint32_t c = 0; c < table.chains.size(); ++c) {
      const auto& base = table.chains[c].chain->base;
      if (base && base->hook == hook) {
        stages.push_back({base->priority, Stage::Kind::Chain, t, c});
      }
    }
  }
  return order.of(std::move(stages));
}

std::uint32_t link_header_size(const ruleset::Host& host, std::string_view device) {
  constexpr std::uint32_t kEthernetHeader = 14;
  constexpr std::uint16_t kEther = 1;       // ARPHRD_ETHER
  constexpr std::uint16_t kLoopback = 772;  // ARPHRD_LOOPBACK
  for (const ruleset::Interface& interface : host.interfaces) {
    if (interface.device != device || interface.index == 0) continue;
    const bool has_one = interface.hardware_type == kEther || interface.hardware_type == kLoopback;
    return has_one ? kEthernetHeader : 0;
  }
  return kEthernetHeader;
}

}  // namespace rolewall::eval
