// Where a packet goes: the longest prefix of the host's routes, the local table before the main one
// (fib_lookup() of include/net/ip_fib.h), or in the tables that rules of `ip rule` say.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "eval/frame.h"
#include "eval/wire.h"
#include "net/address.h"
#include "ruleset/host.h"

namespace rolewall::eval {

net::Address destination_of(ByteSpan packet, bool ipv6);

// fe80::/10: every link has its own, so that a lookup asks for the routes by one device alone
// (rt6_need_strict() of net/ipv6/route.c).
bool is_link_local(const net::Address& address);

// What of a packet that a program sends the kernel asks its routes by: where a chain of type route
// or a translation changes it, they are asked again.
struct RouteKey {
  std::array<std::uint8_t, 40> header{};
  std::uint32_t mark = 0;
  bool operator==(const RouteKey&) const = default;
};
RouteKey route_key(const Frame& frame);

// The interfaces by which a packet from or to the address may pass, where no route is known: those
// that it is behind, else those with nothing behind them, else all. Never empty. A device that ends
// in '*' stands for any that begins so: the first of them.
std::vector<ruleset::Interface> interfaces_towards(const ruleset::Host& host,
                                                   const net::Address& address);

// What rules of `ip rule` may ask of a packet (struct flowi).
struct RouteAsker {
  net::Address from{};
  net::Address to{};
  std::string_view in_device{};         // the loopback's, of what this host sends
  std::optional<std::uint32_t> mark{};  // absent: not known
};
// To where the packet is going.
RouteAsker asker_of(const Frame& frame);

// Holds references into the host, which must outlive it.
class Routes {
 public:
  explicit Routes(const ruleset::Host& host);

  // Where rules choose among the tables: the routes as this packet meets them, unknown if what a
  // rule asks is. Elsewhere the same as before.
  Routes as_asked_by(const RouteAsker& asker) const;
  // Whether a rule for the family asks the mark.
  bool ask_marks(bool ipv6) const;

  struct Answer {
    const ruleset::Route* route = nullptr;  // to another host; null where there is an error
    const char* error = nullptr;
  };
  // With a device: among the routes by that one alone. The first of ways().
  Answer towards(const net::Address& to, std::string_view device = {}) const;
  // Of a route that a lookup ended in.
  static Answer answer(const ruleset::Route& route);

  // The routes that the kernel may send a packet by which came in by `came_by` ("": it is this
  // host's own): one for each device, mostly one alone; none where no route fits. Of several next
  // hops it takes one by a hash of the flow. Of several IPv6 routes of one prefix and metric it
  // takes that of the best preference, then that by `came_by`; where these are alike, it depends
  // on which gateway answers (find_rr_leaf(), rt6_score_route() of net/ipv6/route.c).
  std::vector<const ruleset::Route*> ways(const net::Address& to, std::string_view came_by = {},
                                          std::string_view device = {}) const;

  // Whether a route of type local, broadcast or anycast fits best. False where none is known.
  bool leads_here(const net::Address& to, std::string_view device = {}) const;

  // Addresses of the device, by the local table, in the order of the host's. They may be none
  // because no route is known: known() tells.
  std::vector<net::Address> addresses_on(std::string_view device, bool ipv6) const;
  bool known() const { return host_.routes.has_value() || by_rules_; }
  // Whether the table local is known, and asked first.
  bool local_known() const { return host_.routes || !host_.local_routes.empty(); }

  // The routes that some of the packets to `to` take instead of find(): by their type of service,
  // or their source (fib_table_lookup() of net/ipv4/fib_trie.c, fib6_node_lookup() of
  // net/ipv6/ip6_fib.c: the longest prefix first). Which ones is not gone into.
  std::vector<const ruleset::Route*> for_some(const net::Address& to) const;
  // Whether all packets to `to` take the same routes, which are known.
  bool known_to(const net::Address& to) const { return known() && for_some(to).empty(); }

  // What is known of them.
  const std::vector<ruleset::Route>& all() const;

  // By which devices any table that a rule may ask has a route to it. None where rules or routes
  // are not known.
  std::vector<ruleset::Interface> devices_by_rules(const net::Address& to) const;

  // The route that a lookup ends in, of all tables, of the local one alone, or of those by one
  // device; null where there is none.
  const ruleset::Route* find(const net::Address& to) const;
  const ruleset::Route* find_local(const net::Address& to, std::string_view device = {}) const;
  const ruleset::Route* find_by(const net::Address& to, std::string_view device) const;

  // The same of a flow between two addresses, where several routes to `to` differ in their device:
  // by the one that bears `from`, if that is a link's own (rt6_device_match() of net/ipv6/route.c).
  const ruleset::Route* find_between(const net::Address& to, const net::Address& from) const;

  // The next hops of the route, one for each device that it may lead by: itself alone, mostly.
  // What a lookup of the `fib` expression ends in is the first of the routes beside it.
  std::vector<const ruleset::Route*> hops_of(const ruleset::Route& route) const;

  // Whether the route leads by the device, or one of its next hops does (fib_info_nh_uses_dev()). A
  // route beside it of the same prefix and metric is another: the kernel takes the first.
  bool leads_by(const ruleset::Route& route, std::string_view device) const;

 private:
  std::vector<const ruleset::Route*> best_beside(const ruleset::Route& route,
                                                 std::string_view came_by,
                                                 std::string_view device) const;
  // "" for any device.
  const ruleset::Route* find_in(std::uint32_t table, const net::Address& to,
                                std::string_view device) const;

  struct Table {
    std::uint32_t number = 0;
    std::uint32_t at_least = 0;  // RoutingRule::at_least
  };

  const ruleset::Host& host_;
  std::vector<Table> tables_;  // in which routes are looked up, the first first
  bool by_rules_ = false;      // which are known
};

}  // namespace rolewall::eval
