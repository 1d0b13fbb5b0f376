#include "report/fold.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

namespace rolewall::report {
namespace {

constexpr std::size_t kMostForThemselves = 24;  // ends of a picture that needs no folding
constexpr std::size_t kMostInColumn = 10;
constexpr std::size_t kMostLines = 40;

// What an end sends and receives, whichever of those that are alike it is.
std::vector<std::string> signatures_of(const Flows& all) {
  std::vector<std::set<std::string>> of(all.ends.size());
  for (const Flow& flow : all.flows) {
    const std::string services = fmt::format("{}", fmt::join(flow.services, " "));
    of[flow.from].insert(fmt::format("> {} {}", flow.to, services));
    of[flow.to].insert(fmt::format("< {} {}", flow.from, services));
  }
  std::vector<std::string> signatures;
  for (std::size_t i = 0; i < all.ends.size(); ++i) {
    // The internet is what everybody looks for.
    if (all.ends[i].name == "internet") of[i] = {"internet"};
    signatures.push_back(
        fmt::format("{} {} {}", all.ends[i].is_role, all.ends[i].column, fmt::join(of[i], ";")));
  }
  return signatures;
}

// By end, the one that stands for it.
std::vector<std::size_t> boxes_of(const Flows& all) {
  std::vector<std::size_t> box(all.ends.size());
  std::map<std::string, std::size_t> first;
  const std::vector<std::string> signatures = signatures_of(all);
  for (std::size_t i = 0; i < box.size(); ++i) {
    box[i] = first.emplace(signatures[i], i).first->second;
  }
  std::vector<std::size_t> flows(all.ends.size());
  for (const Flow& flow : all.flows) {
    ++flows[box[flow.from]];
    ++flows[box[flow.to]];
  }
  for (const bool roles : {false, true}) {
    std::map<int, std::vector<std::size_t>> columns;
    for (std::size_t i = 0; i < box.size(); ++i) {
      if (box[i] == i && all.ends[i].is_role == roles) columns[all.ends[i].column].push_back(i);
    }
    for (auto& [column, boxes] : columns) {
      if (boxes.size() <= kMostInColumn) continue;
      std::ranges::stable_sort(boxes, std::ranges::greater(), [&](std::size_t i) {
        return all.ends[i].name == "internet" ? all.flows.size() + 1 : flows[i];
      });
      const std::vector<std::size_t> rest(boxes.begin() + kMostInColumn - 1, boxes.end());
      for (std::size_t& each : box) {
        if (std::ranges::find(rest, each) != rest.end()) each = rest.front();
      }
    }
  }
  return box;
}

// The same, by tiers.
std::vector<std::size_t> tiers_of(const Flows& all) {
  std::vector<std::size_t> box(all.ends.size());
  std::map<std::tuple<int, bool, bool>, std::size_t> first;
  for (std::size_t i = 0; i < box.size(); ++i) {
    const FlowEnd& end = all.ends[i];
    box[i] = first.try_emplace({end.column, end.is_role, end.name == "internet"}, i).first->second;
  }
  return box;
}

std::size_t drawn_lines(const Flows& flows) {
  return static_cast<std::size_t>(std::ranges::count_if(
      flows.flows, [](const Flow& flow) { return flow.from != flow.to && !flow.as_internet; }));
}

Flows joined(const Flows& all, const std::vector<std::size_t>& box) {
  Flows few;
  few.columns = all.columns;
  std::map<std::size_t, std::size_t> numbers;
  std::map<int, int> rows;
  for (std::size_t i = 0; i < all.ends.size(); ++i) {
    const auto [at, is_new] = numbers.emplace(box[i], few.ends.size());
    if (is_new) {
      few.ends.push_back(all.ends[i]);
      few.ends.back().row = rows[all.ends[i].column]++;
      few.rows = std::max(few.rows, few.ends.back().row + 1);
      continue;
    }
    FlowEnd& end = few.ends[at->second];
    end.hosts += all.ends[i].hosts;
    end.others.push_back(all.ends[i].name);
  }
  std::map<std::pair<std::size_t, std::size_t>, std::size_t> known;
  for (const Flow& flow : all.flows) {
    const std::size_t from = numbers.at(box[flow.from]);
    const std::size_t to = numbers.at(box[flow.to]);
    const auto [at, is_new] = known.try_emplace({from, to}, few.flows.size());
    if (is_new) {
      few.flows.push_back({from, to, flow.services, flow.outermost, flow.as_internet});
      continue;
    }
    Flow& had = few.flows[at->second];
    had.outermost = had.outermost || flow.outermost;
    had.as_internet = had.as_internet && flow.as_internet;
    for (const std::string& service : flow.services) {
      if (std::ranges::find(had.services, service) == had.services.end()) {
        had.services.push_back(service);
      }
    }
  }
  return few;
}

}  // namespace

Flows folded(const Flows& all) {
  if (all.ends.size() <= kMostForThemselves) return all;
  Flows few = joined(all, boxes_of(all));
  return drawn_lines(few) <= kMostLines ? few : joined(all, tiers_of(all));
}

}  // namespace rolewall::report
