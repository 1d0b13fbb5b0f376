// The traffic of each service of the policy, from what connection tracking counts: of what is open
// now, and what has passed between two looks, what has ended meanwhile included.
//
// A connection belongs to the first rule whose service, addresses and direction fit it, a [[nat]]
// rule's `new-destination` before others; what was open before the rule may have been admitted
// otherwise. The kernel keeps no note of the rule.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "net/address_set.h"
#include "netlink/counted_flows.h"
#include "observe/written_policy.h"

namespace rolewall::observe {

struct Traffic {
  std::uint64_t in_packets = 0;  // to this host; of what it passes on: from who has opened it
  std::uint64_t in_bytes = 0;
  std::uint64_t out_packets = 0;
  std::uint64_t out_bytes = 0;
  void operator+=(const Traffic& other);
};

struct ServiceTraffic {
  Direction direction = Direction::Inbound;
  std::string service;             // as its rules write it; "" for what no rule of the record fits
  std::vector<std::string> rules;  // that name it
  std::uint64_t open = 0;          // connections; what is tracked and over is none
  Traffic of_open;                 // since they began
  Traffic passed;                  // since the last look
  Traffic total;                   // since the first look, of this and of what it was carried over
  std::uint64_t ended = 0;         // since the last look, as far as they were told of
};

class ServiceCounts {
 public:
  // `own`: this host's addresses, the loopback's left out, and its networks' broadcast addresses.
  ServiceCounts(const WrittenPolicy& policy, net::AddressSet own);

  // Goes on with the totals of services that `earlier` has, too: another policy is in force. What
  // passed between its last look and our first is lost.
  void carry_over(const ServiceCounts& earlier);

  // Reads all connections. What ends from then on is told of, where the kernel lets us listen.
  Result<void> look();

  const std::vector<ServiceTraffic>& services() const { return services_; }
  // Connections that have ended and whose last bytes nobody told: `passed` is the least that it can
  // be.
  std::uint64_t unseen_ends() const { return unseen_ends_; }
  // More ended than could be told of: the same.
  bool has_missed_ends() const { return has_missed_ends_; }
  bool has_counters() const { return has_counters_; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Seen {
    Traffic traffic;
    std::uint32_t service = 0;
    std::uint32_t look = 0;
    bool is_open = false;
    std::optional<Clock::time_point> forgotten_at{};  // by the kernel, if nothing comes
  };
  bool is_another(const Seen& seen, const netlink::CountedFlow& flow, const Traffic& now) const;
  std::optional<std::size_t> service_of(const netlink::CountedFlow& flow) const;
  std::optional<Direction> direction_of(const netlink::CountedFlow& flow) const;
  void take(const netlink::CountedFlow& flow, bool has_ended);
  void take_ends();

  const WrittenPolicy& policy_;
  net::AddressSet own_;
  std::vector<ServiceTraffic> services_;
  std::vector<std::size_t> service_of_rule_;  // by WrittenPolicy::rules()
  std::unordered_map<std::uint64_t, Seen> seen_;
  std::optional<netlink::EndedFlows> ends_;
  Clock::time_point now_;  // of this look
  std::uint64_t replaced_ = 0;
  std::uint32_t looks_ = 0;
  std::uint64_t unseen_ends_ = 0;
  bool has_counters_ = false;
  bool has_missed_ends_ = false;
};

}  // namespace rolewall::observe
