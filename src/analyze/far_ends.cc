#include "analyze/far_ends.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "analyze/address_values.h"
#include "analyze/host_lists.h"
#include "analyze/site_rules.h"
#include "net/protocol.h"

namespace rolewall::analyze {
namespace {

std::uint32_t ports_of(RuleSpace& space, Diagram set) {
  Diagrams& d = space.diagrams;
  const FieldId port = space.packets.field(Part::Transport2);
  const Diagram tcp = d.both(set, space.packets.is(Part::Protocol, net::protocol::kTcp));
  const Diagram ports = d.quantify(
      tcp, [&](FieldId field) { return field == port ? Quantifier::Keep : Quantifier::Any; });
  std::uint64_t count = 0;
  for (const Diagrams::Run& run : d.runs(ports, port)) {
    if (run.then == kEverything) count += run.values.last - run.values.first + 1;
  }
  return static_cast<std::uint32_t>(count);
}

RuleList& list_of(HostLists& lists, HostRules& host, policy::Direction way,
                  Denotation::Translating by) {
  const auto at = host.lists.find({way, by});
  if (at != host.lists.end()) return at->second;
  return host.lists.emplace(std::pair(way, by), lists.list_of(way, by)).first->second;
}

// The packets that differ from this one in some fields alone.
Diagram like(Diagrams& d, FirstMatch::Packet packet, FieldId first, unsigned count) {
  Diagram all = kEverything;
  for (auto field = static_cast<FieldId>(packet.size()); field-- > 0;) {
    const bool is_free = field >= first && field < first + count;
    if (!is_free) all = d.both(d.where(field, packet[field], packet[field]), all);
  }
  return all;
}

// Of packets like one that the rule decides about: a part of what it decides, by few of the rules
// before it.
FarEnds part_of(RuleSpace& space, FirstMatch& list, std::size_t at, Diagram asked, bool sources) {
  Diagrams& d = space.diagrams;
  const auto left_of = [&](FieldId first, unsigned count) {
    return list.left(at, d.both(asked, like(d, list.witness(), first, count)));
  };
  FarEnds ends;
  if (!list.decides(at, asked)) return ends;
  const bool ipv4 = list.witness()[space.packets.field(Part::Family)] == family::kIpv4;
  const Part far = sources ? (ipv4 ? Part::Source4 : Part::Source6)
                           : (ipv4 ? Part::Destination4 : Part::Destination6);
  constexpr unsigned kIpv6Words = 4;
  const Diagram ways = left_of(space.packets.field(far), ipv4 ? 1 : kIpv6Words);
  ends.addresses = addresses_in(d, space.packets, ways, sources).addresses;
  asked = d.both(asked, space.packets.is(Part::Protocol, net::protocol::kTcp));
  if (list.decides(at, asked)) {
    ends.tcp_ports = ports_of(space, left_of(space.packets.field(Part::Transport2), 1));
  }
  return ends;
}

// What a translation of the destination admits: other rules may deny what it translates.
Diagram admitted(RuleSpace& space, HostRules& host, HostLists& lists, const policy::Rule& by) {
  Diagrams& d = space.diagrams;
  const auto passes = [&](policy::Direction way) {
    const auto steps = lists.after_early(host.denotation->steps(way, &by));
    return d.both(lists.realm_of(way, &by), host.denotation->accepted(steps));
  };
  return d.either(passes(policy::Direction::Forward), passes(policy::Direction::Inbound));
}

constexpr int kTries = 2;
// Beyond so many rules before it the whole answer costs too much.
constexpr std::size_t kMostBefore = 200;
constexpr std::uint32_t kAllPorts = 65'536;

}  // namespace

FarEnds far_ends_of(RuleSpace& space, HostRules& host, const RuleShare& share) {
  Diagrams& d = space.diagrams;
  if (space.listed != nullptr && space.listed != &host) space.listed->lists.clear();
  space.listed = &host;
  HostLists lists(space, host);
  const policy::Direction way = share.rule.direction;
  std::vector<Denotation::Translating> translating{nullptr};
  if (way != policy::Direction::Nat) translating = lists.translating(way);
  // All that others share is made before what passes.
  Diagram passes = kEverything;
  if (share.rule.translation && !share.rule.translation->of_source()) {
    passes = admitted(space, host, lists, share.rule);
  }
  std::vector<RuleList*> all;
  for (const Denotation::Translating by : translating) {
    all.push_back(&list_of(lists, host, way, by));
  }
  const Diagrams::Passing passing(d);
  Denotation& means = *host.denotation;
  const Diagram far = share.sources ? means.from(share.among) : means.to(share.among);
  const Diagram asked = d.both(d.both(means.services(share.services), far), passes);
  std::vector<Diagram> decided;
  for (RuleList* list : all) {
    const auto step = std::ranges::find(list->steps, &share.rule, &Denotation::Step::rule);
    if (step == list->steps.end()) continue;
    const auto at = static_cast<std::size_t>(step - list->steps.begin());
    for (int i = 0; share.is_enough && i < kTries; ++i) {
      FarEnds part = part_of(space, list->first, at, asked, share.sources);
      if (part.addresses.empty()) break;
      if (share.is_enough(part)) return part;
    }
    if (!list->first.decides(at, asked)) continue;
    if (list->first.count_before(at) > kMostBefore) return {share.among, kAllPorts};
    decided.push_back(list->first.left(at, asked));
  }
  const Diagram packets = d.union_of(std::move(decided));
  AddressValues values = addresses_in(d, space.packets, packets, share.sources);
  return {values.complete ? std::move(values.addresses) : share.among, ports_of(space, packets)};
}

}  // namespace rolewall::analyze
