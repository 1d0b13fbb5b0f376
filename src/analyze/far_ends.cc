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

}  // namespace

FarEnds far_ends_of(RuleSpace& space, HostRules& host, const RuleShare& share) {
  Diagrams& d = space.diagrams;
  HostLists lists(space, host);
  const policy::Direction way = share.rule.direction;
  std::vector<Denotation::Translating> translating{nullptr};
  if (way != policy::Direction::Nat) translating = lists.translating(way);
  // All that others share is made before what passes.
  std::vector<RuleList*> all;
  for (const Denotation::Translating by : translating) {
    all.push_back(&list_of(lists, host, way, by));
  }
  const Diagrams::Passing passing(d);
  Denotation& means = *host.denotation;
  const Diagram asked = d.both(means.services(share.services),
                               share.sources ? means.from(share.among) : means.to(share.among));
  std::vector<Diagram> decided;
  for (RuleList* list : all) {
    const auto step = std::ranges::find(list->steps, &share.rule, &Denotation::Step::rule);
    if (step == list->steps.end()) continue;
    const auto at = static_cast<std::size_t>(step - list->steps.begin());
    if (list->first.decides(at, asked)) decided.push_back(list->first.left(at, asked));
  }
  const Diagram packets = d.union_of(std::move(decided));
  AddressValues values = addresses_in(d, space.packets, packets, share.sources);
  return {values.complete ? std::move(values.addresses) : share.among, ports_of(space, packets)};
}

}  // namespace rolewall::analyze
