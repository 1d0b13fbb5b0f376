// The picture of a large site has few boxes and lines, and leaves nobody out.
#include "report/fold.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string>

namespace rolewall::report {
namespace {

FlowEnd end_of(std::string name, std::size_t hosts) {
  FlowEnd end;
  end.name = std::move(name);
  end.hosts = hosts;
  end.is_role = hosts > 0;
  end.column = end.is_role ? 1 : 0;
  return end;
}

// Networks in a column, roles in the next: each end sends to some roles.
Flows site_of(std::size_t networks, std::size_t roles) {
  Flows all;
  all.columns = 2;
  all.ends.push_back(end_of("internet", 0));
  for (std::size_t i = 1; i < networks; ++i) all.ends.push_back(end_of(fmt::format("net{}", i), 0));
  for (std::size_t i = 0; i < roles; ++i) {
    all.ends.push_back(end_of(fmt::format("r{}", i), i + 1));
  }
  for (std::size_t from = 0; from < all.ends.size(); ++from) {
    for (std::size_t role = 0; role < roles; ++role) {
      if ((from * 7 + role * 5) % 11 >= 4) continue;
      Flow flow;
      flow.from = from;
      flow.to = networks + role;
      flow.services = {"https"};
      all.flows.push_back(std::move(flow));
    }
  }
  return all;
}

std::size_t drawn(const Flows& flows) {
  return static_cast<std::size_t>(std::ranges::count_if(
      flows.flows, [](const Flow& flow) { return flow.from != flow.to && !flow.as_internet; }));
}

TEST_CASE("a small site is drawn as it is") {
  const Flows all = site_of(4, 5);
  CHECK(folded(all).ends.size() == all.ends.size());
  CHECK(folded(all).flows.size() == all.flows.size());
}

TEST_CASE("a large one is folded to its tiers, and everybody is in a box") {
  for (const std::size_t roles : {20, 60}) {
    const Flows all = site_of(30, roles);
    const Flows few = folded(all);
    CHECK(few.ends.size() <= 20);
    CHECK(drawn(few) <= 40);
    CHECK(drawn(few) > 0);
    std::multiset<std::string> names;
    std::size_t hosts = 0;
    for (const FlowEnd& end : few.ends) {
      names.insert(end.name);
      names.insert(end.others.begin(), end.others.end());
      hosts += end.hosts;
      if (end.name == "internet") CHECK(end.others.empty());
    }
    std::multiset<std::string> wanted;
    std::size_t all_hosts = 0;
    for (const FlowEnd& end : all.ends) {
      wanted.insert(end.name);
      all_hosts += end.hosts;
    }
    CHECK(names == wanted);
    CHECK(hosts == all_hosts);
  }
}

}  // namespace
}  // namespace rolewall::report
