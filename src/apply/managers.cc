#include "apply/managers.h"

#include <algorithm>
#include <array>
#include <optional>

#include "analyze/analysis.h"
#include "net/drawn_ports.h"
#include "net/protocol.h"
#include "ruleset/loads.h"

namespace rolewall::apply {
namespace {

using analyze::Analysis;
using analyze::Diagram;
using analyze::Part;

// Asked before each apply: what takes longer is left to the evaluator.
constexpr analyze::Budget kBudget{.edges = 400'000, .steps = 4'000'000};
// A set is one node with an edge for each element.
constexpr std::size_t kMostAsked = 50'000;
constexpr std::size_t kMostDoubtful = 8;  // of a device, a family and a direction
constexpr std::uint64_t kSyn = 0x02;
constexpr std::uint64_t kSynAck = 0x12;

class AllManagers {
 public:
  AllManagers(const ruleset::Ruleset& ruleset, const ruleset::Host& machine,
              const net::AddressSet& managers, const std::vector<Endpoint>& doors)
      : analysis_(ruleset, machine, kBudget),
        d_(analysis_.diagrams()),
        space_(analysis_.space()),
        doors_(doors),
        managers_(managers) {}

  // False: there are more than it has taken.
  bool ask(bool ipv6, bool arrives, const std::string& device,
           std::vector<ManagersAsked::Range>& into) {
    Diagram open = doubtful(ipv6, arrives, device);
    for (std::size_t i = 0; i < kMostDoubtful && open != analyze::kNothing; ++i) {
      const auto way = d_.way_to(open, analyze::value_of(analyze::kEverything),
                                 [](auto) { return std::span<const std::uint64_t>(); });
      if (!way) return true;
      // The box of the way, and then none of it.
      const Part part = far(ipv6, arrives);
      net::Uint128 lowest = 0;
      net::Uint128 highest = 0;
      Diagram box = analyze::kEverything;
      for (unsigned at = 0; at < (ipv6 ? 4U : 1U); ++at) {
        const analyze::FieldId field = space_.field(part) + at;
        analyze::Values values{0, d_.largest(field)};
        for (const auto& step : *way) {
          if (step.field == field) values = step.values;
        }
        box = d_.both(box, d_.where(field, values.first, values.last));
        lowest = lowest << 32 | values.first;
        highest = highest << 32 | values.last;
      }
      const auto address = [&](net::Uint128 value) {
        return ipv6 ? net::Address(net::Ipv6{value})
                    : net::Address(net::Ipv4{static_cast<std::uint32_t>(value)});
      };
      into.push_back({address(lowest), address(highest), port_on(*way, arrives)});
      open = d_.minus(open, box);
    }
    return open == analyze::kNothing;
  }

 private:
  static Part clients_port(bool arrives) { return arrives ? Part::Transport0 : Part::Transport2; }
  template <class Way>
  std::uint16_t port_on(const Way& way, bool arrives) {
    for (const auto& step : way) {
      if (step.field == space_.field(clients_port(arrives))) {
        return static_cast<std::uint16_t>(step.values.first);
      }
    }
    return net::kLeastDrawnPort;
  }

  static Part far(bool ipv6, bool arrives) {
    if (ipv6) return arrives ? Part::Source6 : Part::Destination6;
    return arrives ? Part::Source4 : Part::Destination4;
  }

  Diagram is(Part part, std::uint64_t value) { return d_.where(space_.field(part), value, value); }

  Diagram by(Part part, std::string_view device) {
    std::array<std::uint64_t, 2> halves{};
    for (std::size_t i = 0; i < 16; ++i) {
      halves[i / 8] =
          halves[i / 8] << 8 | (i < device.size() ? static_cast<std::uint8_t>(device[i]) : 0);
    }
    const analyze::FieldId first = space_.field(part);
    return d_.both(d_.where(first, halves[0], halves[0]),
                   d_.where(first + 1, halves[1], halves[1]));
  }

  template <class Family>
  Diagram among(Part part, const net::IntervalSet<Family>& set) {
    analyze::Comparison compare(d_);
    std::vector<Diagram> all;
    for (const auto& interval : set.intervals()) {
      const auto is = compare.between(space_.part(part), net::to_bytes(interval.first),
                                      net::to_bytes(interval.last));
      all.push_back(is.value_or(analyze::kEverything));
    }
    return d_.union_of(std::move(all));
  }

  // ssh between management and this host's doors.
  Diagram packets(bool ipv6, bool arrives, const std::string& device) {
    const Part near = ipv6 ? (arrives ? Part::Destination6 : Part::Source6)
                           : (arrives ? Part::Destination4 : Part::Source4);
    Diagram all = ipv6 ? space_.is_ipv6() : space_.is_ipv4();
    all = d_.both(all, ipv6 ? among(far(ipv6, arrives), managers_.ipv6)
                            : among(far(ipv6, arrives), managers_.ipv4));
    std::vector<Diagram> doors;
    for (const Endpoint& door : doors_) {
      if (net::is_ipv4(door.address) == ipv6) continue;
      net::AddressSet own = net::AddressSet::from({{door.address, ipv6 ? 128U : 32U}});
      const Diagram address = ipv6 ? among(near, own.ipv6) : among(near, own.ipv4);
      doors.push_back(
          d_.both(address, is(arrives ? Part::Transport2 : Part::Transport0, door.port)));
    }
    all = d_.both(all, d_.union_of(std::move(doors)));
    all = d_.both(all,
                  d_.where(space_.field(clients_port(arrives)), net::kLeastDrawnPort, UINT16_MAX));
    all = d_.both(all, is(Part::Protocol, net::protocol::kTcp));
    all = d_.both(all, is(Part::Flags, arrives ? kSyn : kSynAck));
    all = d_.both(all, is(Part::Type, 0));
    all = d_.both(all, by(Part::OutDevice, arrives ? "" : device));
    all = d_.both(all, by(Part::InDevice, arrives ? device : ""));
    const std::uint64_t state = arrives ? ruleset::ct_state::kNew : ruleset::ct_state::kEstablished;
    return d_.both(all, d_.where(space_.state(), state, state));
  }

  // The addresses of management of which a packet may be denied, or sent elsewhere.
  Diagram doubtful(bool ipv6, bool arrives, const std::string& device) {
    constexpr std::array kDenied{analyze::Fate::Drop, analyze::Fate::Reject};
    const auto direction = arrives ? analyze::Direction::Arrive : analyze::Direction::Send;
    const auto denied = analysis_.by_choice(direction, kDenied);
    const auto translated = analysis_.translated(direction);
    if (!denied || !translated) {
      throw analyze::BudgetEnded{denied ? translated.error().why : denied.error().why};
    }
    Diagram all = d_.both(packets(ipv6, arrives, device), d_.either(*denied, *translated));
    all = d_.both(d_.both(all, space_.unspent()), space_.packets());
    if (all == analyze::kNothing) return all;
    const analyze::FieldId first = space_.field(far(ipv6, arrives));
    const analyze::FieldId port = space_.field(clients_port(arrives));
    return d_.quantify(all, [&](analyze::FieldId field) {
      const bool is_address = field >= first && field < first + (ipv6 ? 4U : 1U);
      return is_address || field == port ? analyze::Quantifier::Keep : analyze::Quantifier::Any;
    });
  }

  analyze::Analysis analysis_;
  analyze::Diagrams& d_;
  analyze::PacketSpace& space_;
  const std::vector<Endpoint>& doors_;
  const net::AddressSet& managers_;
};

}  // namespace

ManagersAsked ask_all_managers(const ruleset::Table& own, const ruleset::Host& machine,
                               const net::AddressSet& managers, const std::vector<Endpoint>& doors,
                               const std::vector<std::string>& devices) {
  ManagersAsked asked;
  std::size_t elements = 0;
  for (const ruleset::Set& set : own.sets) elements += set.elements.count();
  if (elements > kMostAsked) {
    asked.unknown = "the table's sets are large";
    return asked;
  }
  ruleset::Ruleset alone;
  alone.tables.push_back(own);
  const auto done = Analysis::within_budget<bool>([&] {
    bool complete = true;
    AllManagers all(alone, machine, managers, doors);
    for (const std::string& device : devices) {
      for (const bool ipv6 : {false, true}) {
        const bool meets = ipv6 ? !managers.ipv6.empty() : !managers.ipv4.empty();
        const bool has_door = std::ranges::any_of(
            doors, [&](const Endpoint& door) { return net::is_ipv4(door.address) != ipv6; });
        if (!meets || !has_door) continue;
        for (const bool arrives : {true, false}) {
          complete = all.ask(ipv6, arrives, device, asked.doubtful) && complete;
        }
      }
    }
    return complete;
  });
  if (!done) {
    asked.doubtful.clear();
    asked.unknown = done.error().why;
    return asked;
  }
  asked.complete = *done;
  return asked;
}

}  // namespace rolewall::apply
