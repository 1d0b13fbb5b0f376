#include "observe/service_traffic.h"

#include <algorithm>
#include <utility>

namespace rolewall::observe {
namespace {

std::uint64_t grown(std::uint64_t now, std::uint64_t before) {
  return now >= before ? now - before : now;
}

Traffic since(const Traffic& now, const Traffic& before) {
  return {.in_packets = grown(now.in_packets, before.in_packets),
          .in_bytes = grown(now.in_bytes, before.in_bytes),
          .out_packets = grown(now.out_packets, before.out_packets),
          .out_bytes = grown(now.out_bytes, before.out_bytes)};
}

Traffic traffic_of(const netlink::CountedFlow& flow, Direction direction) {
  const netlink::FlowCount there = flow.there.value_or(netlink::FlowCount{});
  const netlink::FlowCount back = flow.back.value_or(netlink::FlowCount{});
  const bool out = direction == Direction::Outbound;
  const netlink::FlowCount& in = out ? back : there;
  const netlink::FlowCount& from_here = out ? there : back;
  return {.in_packets = in.packets,
          .in_bytes = in.bytes,
          .out_packets = from_here.packets,
          .out_bytes = from_here.bytes};
}

// Those of whose connections there are: a [[nat]] rule admits what it sends elsewhere.
bool lets_in(const WrittenRule& rule) {
  return rule.direction == Direction::Nat ? rule.translates_destination() : rule.action == "accept";
}

}  // namespace

void Traffic::operator+=(const Traffic& other) {
  in_packets += other.in_packets;
  in_bytes += other.in_bytes;
  out_packets += other.out_packets;
  out_bytes += other.out_bytes;
}

ServiceCounts::ServiceCounts(const WrittenPolicy& policy, net::AddressSet own)
    : policy_(policy), own_(std::move(own)) {
  for (const WrittenRule& rule : policy.rules()) {
    const std::string service = rule.service();
    const auto same = std::ranges::find_if(services_, [&](const ServiceTraffic& each) {
      return each.direction == rule.direction && each.service == service;
    });
    service_of_rule_.push_back(static_cast<std::size_t>(same - services_.begin()));
    if (!lets_in(rule)) continue;
    if (same != services_.end()) {
      same->rules.push_back(rule.name);
    } else {
      services_.push_back({.direction = rule.direction,
                           .service = service,
                           .rules = {rule.name},
                           .of_open = {},
                           .passed = {},
                           .total = {}});
    }
  }
  for (const Direction direction : {Direction::Inbound, Direction::Outbound, Direction::Forward}) {
    services_.push_back({.direction = direction,
                         .service = "",
                         .rules = {},
                         .of_open = {},
                         .passed = {},
                         .total = {}});
  }
}

void ServiceCounts::carry_over(const ServiceCounts& earlier) {
  for (ServiceTraffic& service : services_) {
    const auto same = std::ranges::find_if(earlier.services_, [&](const ServiceTraffic& each) {
      return each.direction == service.direction && each.service == service.service;
    });
    if (same != earlier.services_.end()) service.total = same->total;
  }
}

// std::nullopt for what this host says to itself.
std::optional<Direction> ServiceCounts::direction_of(const netlink::CountedFlow& flow) const {
  const auto is_own = [&](const net::Address& address) {
    return own_.contains(address) || net::is_loopback(address);
  };
  const bool from_here = is_own(flow.from.address);
  const bool to_here = is_own(flow.answered_by) || net::is_group(flow.to.address);
  if (from_here)
    return is_own(flow.answered_by) ? std::nullopt : std::optional(Direction::Outbound);
  return to_here ? Direction::Inbound : Direction::Forward;
}

std::optional<std::size_t> ServiceCounts::service_of(const netlink::CountedFlow& flow) const {
  const auto direction = direction_of(flow);
  if (!direction) return std::nullopt;
  const auto may_be = [](const std::optional<net::AddressSet>& set, const net::Address& address) {
    return !set || set->contains(address);
  };
  const std::vector<WrittenRule>& rules = policy_.rules();
  for (const bool translated : {true, false}) {
    if (translated && !flow.is_translated) continue;
    for (std::size_t i = 0; i < rules.size(); ++i) {
      const WrittenRule& rule = rules[i];
      if (rule.direction != (translated ? Direction::Nat : *direction) || !lets_in(rule)) continue;
      if (rule.serves(flow.protocol, flow.from.port, flow.to.port, flow.icmp_type) &&
          may_be(rule.from, flow.from.address) && may_be(rule.to, flow.to.address)) {
        return service_of_rule_[i];
      }
    }
  }
  return services_.size() - 3 + static_cast<std::size_t>(*direction);
}

// The kernel's number of an entry is made of where it lies and whose it is: whoever comes back from
// the same port while the old entry is still there gets another one with the same number, and the
// old one goes without a word if nobody listened as it was made. Then what it has counted is not
// above what was seen; or it is open, and was over; or it is over, will be forgotten later than was
// said before, and that was no packet that was sent again.
bool ServiceCounts::is_another(const Seen& seen, const netlink::CountedFlow& flow,
                               const Traffic& now) const {
  const Traffic& was = seen.traffic;
  if (now.in_packets < was.in_packets || now.out_packets < was.out_packets ||
      now.in_bytes < was.in_bytes || now.out_bytes < was.out_bytes) {
    return true;
  }
  const bool was_over = !seen.is_open && seen.forgotten_at.has_value();
  if (!was_over) return false;
  if (!flow.is_over) return true;
  constexpr auto kAbout = std::chrono::seconds(1);  // the kernel tells whole ones
  constexpr std::uint64_t kSentAgain = 2;
  const bool is_later =
      flow.left_s && now_ + std::chrono::seconds(*flow.left_s) > *seen.forgotten_at + kAbout;
  const std::uint64_t more = now.in_packets + now.out_packets - was.in_packets - was.out_packets;
  return is_later && (more == 0 || more > kSentAgain);
}

void ServiceCounts::take(const netlink::CountedFlow& flow, bool has_ended) {
  auto seen = seen_.find(flow.id);
  if (seen != seen_.end() && !has_ended && looks_ > 1) {
    const Direction direction = services_[seen->second.service].direction;
    if (is_another(seen->second, flow, traffic_of(flow, direction))) {
      if (seen->second.is_open) ++replaced_;
      if (seen->second.is_open && seen->second.look == looks_) {
        services_[seen->second.service].open -= 1;
      }
      seen_.erase(seen);
      seen = seen_.end();
    }
  }
  std::size_t service = 0;
  if (seen != seen_.end()) {
    service = seen->second.service;
  } else {
    const auto found = service_of(flow);
    if (!found) return;
    service = *found;
  }
  ServiceTraffic& of = services_[service];
  const Traffic now = traffic_of(flow, of.direction);
  has_counters_ = has_counters_ || flow.there.has_value();
  // What was there before the first look has not passed since.
  if (looks_ > 1) {
    const Traffic more = seen == seen_.end() ? now : since(now, seen->second.traffic);
    of.passed += more;
    of.total += more;
    if (has_ended) of.ended += 1;
  }
  const bool is_counted = seen != seen_.end() && seen->second.look == looks_;
  if (has_ended) {
    if (is_counted && seen->second.is_open) of.open -= 1;
    if (seen != seen_.end()) seen_.erase(seen);
    return;
  }
  if (!is_counted && !flow.is_over) {
    of.open += 1;
    of.of_open += now;
  }
  std::optional<Clock::time_point> forgotten_at;
  if (flow.left_s) forgotten_at = now_ + std::chrono::seconds(*flow.left_s);
  seen_[flow.id] = {.traffic = now,
                    .service = static_cast<std::uint32_t>(service),
                    .look = looks_,
                    .is_open = is_counted ? seen->second.is_open : !flow.is_over,
                    .forgotten_at = forgotten_at};
}

void ServiceCounts::take_ends() {
  while (ends_) {
    const auto read = ends_->read([&](const netlink::CountedFlow& flow) { take(flow, true); });
    if (read || read.error().kind != ErrorKind::Conflict) break;
    has_missed_ends_ = true;
  }
}

// The kernel tells of an end before it takes the entry away (nf_conntrack_core.c: nf_ct_delete):
// what has ended and is not in the dump is among the ends that are read after it. Those of before
// are read before it: another connection may have their numbers in it.
Result<void> ServiceCounts::look() {
  looks_ += 1;
  now_ = Clock::now();
  unseen_ends_ = 0;
  replaced_ = 0;
  has_missed_ends_ = false;
  for (ServiceTraffic& service : services_) {
    service.open = 0;
    service.ended = 0;
    service.of_open = {};
    service.passed = {};
  }
  if (!ends_) {
    auto ends = netlink::EndedFlows::listen();
    if (ends) ends_.emplace(std::move(*ends));
  }
  take_ends();
  TRY(netlink::read_counted_flows([&](const netlink::CountedFlow& flow) { take(flow, false); }));
  take_ends();
  // While the kernel's table grows, a dump can pass an entry over: once is no end.
  unseen_ends_ = replaced_ + std::erase_if(seen_, [&](const auto& each) {
                   return each.second.look + 1 < looks_;
                 });
  return {};
}

}  // namespace rolewall::observe
