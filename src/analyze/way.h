// The way of all packets over a host: the hooks that they meet, what stands on each in the order of
// its priorities, and what the IP stack does between. The verdict of the last hook that a packet
// comes to is its fate.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "analyze/machine.h"
#include "net/address_set.h"
#include "ruleset/effects.h"
#include "ruleset/hook_order.h"

namespace rolewall::analyze {

// Of a connection that was known before, where rules of the host may translate.
enum class KnownConnections : std::uint8_t {
  Untranslated,  // taken for one that is not: for who compares rules, which meet its packets alike
  Any,           // it may be, and then what becomes of its packets is free
};

// What output's rules turn to this host itself, and comes in again by the loopback.
enum class TurnedBack : std::uint8_t {
  Followed,
  AsItLeaves,  // for who compares rules, which meet what arrives by the loopback anyway
};

class Way {
 public:
  explicit Way(Machine& machine, KnownConnections known = KnownConnections::Untranslated,
               TurnedBack turned_back = TurnedBack::Followed);

  // Outcomes, Decided alone. Of what arrives: by its InDevice; by its OutDevice, where that is not
  // "", it goes on if it is for another host.
  Diagram arrive();
  // Of what a local program sends by its OutDevice.
  Diagram send();

  // Which orders of chains and kernel parts of one priority it has met that are not known: each was
  // tried, as a choice by that name.
  const std::set<std::string>& unknown_orders() const { return orders_; }
  // One of which there are too many to try each: then nothing is known of what becomes of a packet,
  // by choices that have the same names for every ruleset. "": none.
  const std::string& lost_order() const { return lost_; }

 private:
  using Stage = ruleset::HookEntry;
  struct Hooks {
    ruleset::HookEntries stages;
    ruleset::HookEntries nat_chains;
  };
  using Rest = std::function<Diagram(EnvironmentId)>;

  // Made once: packets come to a hook with many environments.
  const Hooks& plan(ruleset::Hook hook, bool ipv6);
  // Its stages without the kernel's own parts, and its nat chains, as the ruleset lists them.
  std::pair<std::vector<Stage>, std::vector<Stage>> gather(ruleset::Hook hook, bool ipv6) const;
  bool has_nat(bool ipv6) const;
  // The hook's stages from `stage` on, and then `rest`.
  Diagram run(ruleset::Hook hook, bool ipv6, EnvironmentId environment, const Rest& rest);
  Diagram stages(ruleset::Hook hook, bool ipv6, const Hooks& hooks, std::size_t stage,
                 EnvironmentId environment);
  // `one`, of the entries in each order that they may have.
  Diagram in_each_order(const ruleset::HookEntries& entries, const ruleset::UnknownOrder& unknown,
                        const std::function<Diagram(ruleset::HookEntries)>& one);
  Diagram track(EnvironmentId environment, const Rest& rest);
  Diagram translate(ruleset::Hook hook, const Hooks& hooks, std::size_t chain,
                    EnvironmentId environment);
  // `otherwise`, but for packets of connections that were translated before.
  Diagram translated_before(bool ipv6, EnvironmentId environment, Diagram otherwise);
  Diagram anywhere(EnvironmentId environment, std::string_view by);
  // What br_netfilter may show to prerouting before the IP stack takes it; and what then goes
  // another way than by another device: what is translated, and what is for many.
  Diagram comes_by_bridge(bool ipv6);
  Diagram changed_by_bridge(bool ipv6, EnvironmentId environment);
  bool was_translated(EnvironmentId environment) const {
    return machine_.environments()[environment].translated_before;
  }
  Diagram unless_offloaded(Diagram all);
  EnvironmentId routed_again(EnvironmentId before, EnvironmentId after);

  Diagram receive(bool ipv6);
  Diagram is_ours(const Bits& destination, bool ipv6);
  Diagram route(bool ipv6, EnvironmentId environment);
  Diagram forward_hooks(bool ipv6, EnvironmentId environment);
  Diagram forward(bool ipv6, EnvironmentId environment);
  Diagram leave(bool ipv6);
  Diagram come_back(bool ipv6, EnvironmentId sent);
  // What chains that are not modelled (of devices, of bridges) may do.
  Diagram below(Diagram all, const char* what);
  bool has_chains_below() const;
  // `otherwise`, but for what goes on between the ports of a bridge.
  Diagram between_ports(bool ipv6, Diagram otherwise);
  Diagram leads_back_by(const ruleset::Interface& bridge, bool ipv6);
  // Where there are too many orders nothing is known.
  Diagram unless_lost(Diagram all);
  bool is_changed_below() const;

  // --- what the rules do not say (way_settings.cc) ---
  bool knows_settings() const;
  bool forwards(bool ipv6) const;  // by the host's description alone
  Diagram free_choice(const std::string& what);
  // As routes, devices and settings have it of the packet as it is by then.
  Diagram free_choice(std::string_view what, EnvironmentId environment);
  Diagram refused_by_settings(EnvironmentId environment);
  // What comes by a device that is set so.
  Diagram arrives_where(bool ruleset::StackSettings::* is_set);
  Diagram is_spread_on(const Bits& destination);
  Diagram is_ours_on_link(const Bits& destination, Diagram told_where);
  Diagram passed_on(Diagram foreign, bool ipv6, Diagram told_where);
  Diagram too_large(bool ipv6, bool sent, EnvironmentId environment);

  // Of addresses that the packet has by then.
  Diagram in(const Bits& address, const net::AddressSet& set, bool ipv6);
  Diagram in(const Bits& address, const char* prefix);
  Diagram stack_discards_ipv4(const Bits& source, const Bits& destination);

  Machine& machine_;
  KnownConnections known_;
  TurnedBack turned_back_;
  Diagrams& diagrams_;
  PacketSpace& space_;
  Comparison compare_;
  ruleset::HookOrder order_;
  std::map<std::pair<ruleset::Hook, bool>, Hooks> plans_;  // by hook, and whether IPv6
  std::string lost_;              // the order of which there are too many; "": none
  std::set<std::string> orders_;  // that were each tried
  std::vector<std::pair<net::Prefix, std::string>> own_on_links_;  // IPv6, with the device
  net::AddressSet delivered_;  // destinations that are this host
  net::AddressSet exactly_;    // addresses that are this host's alone
  net::AddressSet leads_here_;
  net::AddressSet broadcasts_;  // of the host's networks
};

}  // namespace rolewall::analyze
