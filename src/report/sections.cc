// Flows, reach, and what sections have in common.
#include "report/sections.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "report/flows.h"
#include "report/fold.h"

namespace rolewall::report {
namespace {

constexpr std::size_t kMostInMatrix = 40;

// A role's row of the matrix has a cell for each receiver: by name, where it is.
using ReachPairs = std::map<std::pair<std::string, std::string>, std::vector<const ask::Reach*>>;

ReachPairs pairs_of(const std::vector<ask::Reach>& reach) {
  ReachPairs pairs;
  for (const ask::Reach& each : reach) pairs[{each.from, each.to}].push_back(&each);
  return pairs;
}

bool depends(const ask::Reach& reach) {
  return std::ranges::any_of(
      reach.open, [](const auto& passage) { return passage.verdict != ask::Verdict::Accept; });
}

std::string service_words(const ask::Reach& reach) {
  return fmt::format("{}{}{}", reach.service, depends(reach) ? " (depends)" : "",
                     reach.for_all() ? "" : " (some hosts)");
}

std::string host_and_like(const std::string& name, std::size_t like) {
  return like == 0 ? name : fmt::format("{} and {} like it", name, like);
}

void write_passages(Html& html, const ask::Reach& reach, PolicyLines& lines) {
  html.leaf("h4", service_words(reach));
  if (!reach.for_all()) {
    std::vector<std::string> words;
    for (const ask::Passage& one : reach.open) {
      words.push_back(fmt::format("{} to {}", host_and_like(one.from, one.like_from),
                                  host_and_like(one.to, one.like_to)));
    }
    html.leaf("p", fmt::format("{}", fmt::join(words, "; ")));
  }
  std::vector<std::pair<std::string, std::uint32_t>> seen;
  const auto list = html.in("ul", {{"class", "rules"}});
  for (const ask::Passage& one : reach.open) {
    for (const ask::Hop& hop : one.hops) {
      if (!hop.decided_by || hop.decided_by->rule.empty()) continue;
      const ask::DecidedBy& by = *hop.decided_by;
      const std::pair<std::string, std::uint32_t> place{by.rule + by.file, by.line};
      if (std::ranges::find(seen, place) != seen.end()) continue;
      seen.push_back(place);
      const auto item = html.in("li");
      write_line(html, lines, by.rule, by.file, by.line);
    }
  }
  if (seen.empty()) html.leaf("li", "by a default, which has no line", {{"class", "quiet"}});
}

void write_matrix(Html& html, const std::vector<std::string>& ends, const ReachPairs& pairs,
                  const std::map<std::pair<std::string, std::string>, std::size_t>& numbers,
                  const std::set<std::string>& roles) {
  const auto region = html.in("div", {{"class", "scroll"},
                                      {"role", "region"},
                                      {"tabindex", "0"},
                                      {"aria-label", "Who reaches whom, as a matrix"}});
  const auto table = html.in("table");
  html.leaf("caption", "Rows send, columns receive");
  {
    const auto head = html.in("thead");
    const auto row = html.in("tr");
    html.leaf("th", "from \\ to", {{"scope", "col"}});
    for (const std::string& end : ends) html.leaf("th", end, {{"scope", "col"}});
  }
  const auto body = html.in("tbody");
  for (const std::string& from : ends) {
    const auto row = html.in("tr");
    html.leaf("th", from, {{"scope", "row"}});
    for (const std::string& to : ends) {
      const auto cell = html.in("td");
      const auto found = pairs.find({from, to});
      if (found == pairs.end()) {
        // Between two ends outside no host is asked (ask::reach()), which is no "none".
        const bool asked = roles.contains(from) || roles.contains(to);
        html.leaf("span", asked ? "none" : "not asked", {{"class", "quiet"}});
        continue;
      }
      std::vector<std::string> words;
      for (const ask::Reach* each : found->second) words.push_back(service_words(*each));
      html.leaf("a", fmt::format("{}", fmt::join(words, ", ")),
                {{"href", fmt::format("#pair-{}", numbers.at({from, to}))}});
    }
  }
}

}  // namespace

WideTable::WideTable(Html& html, std::string_view caption,
                     std::initializer_list<std::string_view> columns)
    : region_(html.in("div", {{"class", "scroll"},
                              {"role", "region"},
                              {"tabindex", "0"},
                              {"aria-label", std::string(caption)}})),
      table_(html.in("table")) {
  html.leaf("caption", caption);
  const auto head = html.in("thead");
  const auto row = html.in("tr");
  for (const std::string_view column : columns) html.leaf("th", column, {{"scope", "col"}});
}

std::string counted(std::size_t number, std::string_view noun) {
  return fmt::format("{} {}{}", number, noun, number == 1 ? "" : "s");
}

void write_line(Html& html, PolicyLines& lines, std::string_view rule, const std::string& file,
                std::uint32_t line) {
  html.leaf("strong", rule);
  if (file.empty()) return;
  html.text(fmt::format("  {}:{} ", file, line));
  if (const std::string words = lines.of(file, line); !words.empty()) html.leaf("code", words);
}

void write_flows(Html& html, const Model& model, const Anchors& anchors) {
  const auto section = html.in("section", {{"aria-labelledby", "flows"}});
  html.leaf("h2", "Tiers and flows", {{"id", "flows"}});
  html.leaf(
      "p",
      "The internet and other networks that send stand at the left, then the roles, by how far "
      "from the internet they are, then the networks that they send to. Boxes with a dashed "
      "edge are outside. Ping is left out, and in the picture what a network may do only "
      "because the internet may.");
  const Flows flows = flows_of(model.policy, model.reach);
  const Flows few = folded(flows);
  if (few.ends.size() < flows.ends.size()) {
    html.leaf("p",
              fmt::format("The picture has {} boxes for {} ends: those of a column that are "
                          "alike, or too many. The table has each for itself, and what those of "
                          "one box send to each other.",
                          few.ends.size(), flows.ends.size()));
  }
  {
    const auto region = html.in("div", {{"class", "scroll"},
                                        {"role", "region"},
                                        {"tabindex", "0"},
                                        {"aria-label", "Picture of the tiers and flows"}});
    draw(html, few, anchors.of_roles());
  }
  const auto details = html.in("details");
  html.leaf("summary", "The same as a table");
  const WideTable table(html, "Flows", {"from", "to", "services"});
  const auto body = html.in("tbody");
  for (const Flow& flow : flows.flows) {
    const auto row = html.in("tr");
    html.leaf("th", flows.ends[flow.from].name, {{"scope", "row"}});
    html.leaf("td", flows.ends[flow.to].name);
    html.leaf("td", fmt::format("{}", fmt::join(flow.services, ", ")));
  }
}

void write_reach(Html& html, const Model& model, PolicyLines& lines) {
  const auto section = html.in("section", {{"aria-labelledby", "reach"}});
  html.leaf("h2", "Who reaches whom", {{"id", "reach"}});
  if (!model.reach_not_asked.empty()) {
    html.leaf("p", "Not asked: " + model.reach_not_asked, {{"class", "warn"}});
    return;
  }
  html.leaf("p",
            "Each service that some rule names, ping, and what none names (\"every other TCP "
            "port\"), asked of both ends' rules. A cell leads to the lines that let it pass.");
  if (!model.reach_left_out.empty()) {
    html.leaf(
        "p",
        fmt::format("There is too much to ask of each network: {} stand here and in the "
                    "picture as a part of the internet or not at all. `rolewall reach {}` "
                    "tells of one.",
                    counted(model.reach_left_out.size(), "network"), model.reach_left_out.front()),
        {{"class", "warn"}});
  }
  const ReachPairs pairs = pairs_of(model.reach);
  std::map<std::pair<std::string, std::string>, std::size_t> numbers;
  for (const auto& [pair, all] : pairs) numbers.emplace(pair, numbers.size() + 1);
  std::vector<std::string> ends;
  for (const std::string& end : ask::reach_ends(model.policy)) {
    const bool seen = std::ranges::any_of(pairs, [&](const auto& each) {
      return each.first.first == end || each.first.second == end;
    });
    if (seen) ends.push_back(end);
  }
  if (ends.size() > kMostInMatrix) {
    html.leaf("p",
              fmt::format("The matrix has the first {} of {} ends, the roles before the networks; "
                          "the list below it has all.",
                          kMostInMatrix, ends.size()));
    ends.resize(kMostInMatrix);
  }
  std::set<std::string> roles;
  for (const policy::RuleFile& file : model.policy.files) {
    if (file.is_role && !file.hosts.empty()) roles.insert(file.name);
  }
  html.leaf("p",
            "\"Not asked\": what gateways pass on between two networks. `rolewall reach A B "
            "--through HOST` asks one of them. Nor is what Docker or another program publishes on "
            "a host known here.");
  write_matrix(html, ends, pairs, numbers, roles);
  html.leaf("h3", "By which lines");
  for (const auto& [pair, all] : pairs) {
    const auto details = html.in("details");
    html.leaf("summary",
              fmt::format("{} to {}: {}", pair.first, pair.second, counted(all.size(), "service")));
    // The anchor is within: a browser opens what it leads to.
    const auto inner = html.in("div", {{"id", fmt::format("pair-{}", numbers.at(pair))}});
    for (const ask::Reach* each : all) write_passages(html, *each, lines);
  }
}

}  // namespace rolewall::report
