#include "report/flows.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

namespace rolewall::report {
namespace {

constexpr std::string_view kPing = "ping";
constexpr std::string_view kInternetEnd = "internet";

// Names of the site's ends, those that some flow has, and all roles.
std::vector<FlowEnd> ends_with_flows(const policy::Policy& policy,
                                     const std::vector<ask::Reach>& reach) {
  std::set<std::string> seen;
  for (const ask::Reach& each : reach) {
    if (each.service == kPing) continue;
    seen.insert(each.from);
    seen.insert(each.to);
  }
  std::map<std::string, std::size_t> roles;
  for (const policy::RuleFile& file : policy.files) {
    if (file.is_role && !file.hosts.empty()) roles.emplace(file.name, file.hosts.size());
  }
  std::vector<FlowEnd> ends;
  for (const std::string& name : ask::reach_ends(policy)) {
    const auto role = roles.find(name);
    if (role != roles.end()) {
      ends.push_back({name, role->second, true, 0, 0, {}});
    } else if (seen.contains(name)) {
      ends.push_back({name, 0, false, 0, 0, {}});
    }
  }
  return ends;
}

void mark_as_internet(Flows& all) {
  for (Flow& flow : all.flows) {
    const FlowEnd& from = all.ends[flow.from];
    if (from.is_role || from.name == kInternetEnd) continue;
    const auto internet = std::ranges::find_if(all.flows, [&](const Flow& each) {
      return each.to == flow.to && all.ends[each.from].name == kInternetEnd;
    });
    if (internet == all.flows.end()) continue;
    flow.as_internet = std::ranges::all_of(flow.services, [&](const std::string& service) {
      return std::ranges::find(internet->services, service) != internet->services.end();
    });
  }
}

// Roles by how many steps from the internet they are reached; from the other ends outside, those
// that the internet does not come to; the rest behind all.
void put_roles_in_columns(Flows& all) {
  std::vector<std::optional<int>> column(all.ends.size());
  const auto spread = [&] {
    for (bool changed = true; changed;) {
      changed = false;
      for (const Flow& flow : all.flows) {
        if (!column[flow.from] || !all.ends[flow.to].is_role) continue;
        if (column[flow.to] && *column[flow.to] <= *column[flow.from] + 1) continue;
        if (column[flow.to]) continue;
        column[flow.to] = *column[flow.from] + 1;
        changed = true;
      }
    }
  };
  for (std::size_t i = 0; i < all.ends.size(); ++i) {
    if (all.ends[i].name == kInternetEnd && !all.ends[i].is_role) column[i] = 0;
  }
  spread();
  int last = 0;
  for (const auto& each : column) last = std::max(last, each.value_or(0));
  for (std::size_t i = 0; i < all.ends.size(); ++i) {
    if (all.ends[i].is_role) {
      all.ends[i].column = column[i].value_or(last + 1);
    }
    all.columns = std::max(all.columns, all.ends[i].column + 1);
  }
}

void put_others_in_columns(Flows& all) {
  std::vector<bool> receives(all.ends.size());
  std::vector<bool> sends(all.ends.size());
  for (const Flow& flow : all.flows) {
    receives[flow.to] = true;
    if (!flow.as_internet) sends[flow.from] = true;
  }
  const int last = all.columns;
  for (std::size_t i = 0; i < all.ends.size(); ++i) {
    if (all.ends[i].is_role || !receives[i] || sends[i]) continue;
    all.ends[i].column = last;
    all.columns = last + 1;
  }
}

// SVG's numbers, in pixels.
constexpr int kBoxWidth = 150;
constexpr int kBoxHeight = 52;
constexpr int kBetweenColumns = 90;
constexpr int kBetweenRows = 34;
constexpr int kMargin = 24;

struct Place {
  int x = 0;
  int y = 0;
};

// A column is as high as it has ends, in the middle of the picture.
std::vector<Place> places_of(const Flows& all) {
  std::vector<int> in_column(static_cast<std::size_t>(all.columns));
  for (const FlowEnd& end : all.ends) ++in_column[static_cast<std::size_t>(end.column)];
  std::vector<Place> places;
  for (const FlowEnd& end : all.ends) {
    const int empty = all.rows - in_column[static_cast<std::size_t>(end.column)];
    places.push_back({kMargin + end.column * (kBoxWidth + kBetweenColumns),
                      kMargin + empty * (kBoxHeight + kBetweenRows) / 2 +
                          end.row * (kBoxHeight + kBetweenRows)});
  }
  return places;
}

// Names are cut short: the table beside the picture has them whole.
std::string short_name(const std::string& name) {
  constexpr std::size_t kMost = 18;
  if (name.size() <= kMost) return name;
  std::size_t end = kMost - 1;
  while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xc0U) == 0x80U) --end;
  return name.substr(0, end) + "…";
}

std::string box_name(const FlowEnd& end) {
  if (end.others.empty()) return short_name(end.name);
  return fmt::format("{} {}", end.others.size() + 1, end.is_role ? "roles" : "networks");
}

std::string box_words(const FlowEnd& end) {
  if (end.is_role) return fmt::format("{} host{}", end.hosts, end.hosts == 1 ? "" : "s");
  return "outside";
}

std::string names_of_box(const FlowEnd& end) {
  return end.others.empty() ? end.name
                            : fmt::format("{}, {}", end.name, fmt::join(end.others, ", "));
}

void draw_box(Html& html, const FlowEnd& end, Place place) {
  html.leaf("title", names_of_box(end));
  html.leaf("rect", "",
            {{"class", end.is_role ? "" : "outside"},
             {"x", fmt::format("{}", place.x)},
             {"y", fmt::format("{}", place.y)},
             {"width", fmt::format("{}", kBoxWidth)},
             {"height", fmt::format("{}", kBoxHeight)},
             {"rx", "8"}});
  const std::string middle = fmt::format("{}", place.x + kBoxWidth / 2);
  html.leaf("text", box_name(end), {{"x", middle}, {"y", fmt::format("{}", place.y + 23)}});
  html.leaf("text", box_words(end),
            {{"class", "quiet"}, {"x", middle}, {"y", fmt::format("{}", place.y + 41)}});
}

void draw_flow(Html& html, const Flow& flow, const Flows& all, const std::vector<Place>& places) {
  const Place from = places[flow.from];
  const Place to = places[flow.to];
  const int x1 = from.x + kBoxWidth;
  const int y1 = from.y + kBoxHeight / 2;
  const bool forward = all.ends[flow.to].column > all.ends[flow.from].column;
  const bool main = flow.outermost;
  const auto group = html.in("g");
  html.leaf("title", fmt::format("{} to {}: {}", names_of_box(all.ends[flow.from]),
                                 names_of_box(all.ends[flow.to]), fmt::join(flow.services, ", ")));
  if (forward) {
    const int x2 = to.x - 9;
    const int y2 = to.y + kBoxHeight / 2;
    const int bend = std::max(kBetweenColumns / 2, (x2 - x1) / 3);
    html.leaf("path", "",
              {{"class", main ? "main" : ""},
               {"d", fmt::format("M{} {}C{} {} {} {} {} {}", x1, y1, x1 + bend, y1, x2 - bend, y2,
                                 x2, y2)}});
    html.leaf("path", "",
              {{"class", main ? "head main" : "head"},
               {"d", fmt::format("M{} {}l-10 -5v10z", to.x - 1, y2)}});
  } else {
    // Back, or within a column: out of the right side and into it.
    const int x2 = to.x + kBoxWidth + 9;
    const int y2 = to.y + kBoxHeight / 2 + (to.y <= from.y ? 10 : -10);
    const int bend = std::max(x1, x2) + kBetweenColumns / 2;
    html.leaf("path", "",
              {{"d", fmt::format("M{} {}C{} {} {} {} {} {}", x1, y1, bend, y1, bend, y2, x2, y2)}});
    html.leaf(
        "path", "",
        {{"class", "head"}, {"d", fmt::format("M{} {}l10 -5v10z", to.x + kBoxWidth + 1, y2)}});
  }
}

}  // namespace

Flows flows_of(const policy::Policy& policy, const std::vector<ask::Reach>& reach) {
  Flows all;
  all.ends = ends_with_flows(policy, reach);
  std::map<std::string, std::size_t> numbers;
  for (std::size_t i = 0; i < all.ends.size(); ++i) numbers.emplace(all.ends[i].name, i);
  std::map<std::pair<std::size_t, std::size_t>, std::size_t> known;
  for (const ask::Reach& each : reach) {
    if (each.service == kPing) continue;
    const auto from = numbers.find(each.from);
    const auto to = numbers.find(each.to);
    if (from == numbers.end() || to == numbers.end()) continue;
    const auto [at, fresh] = known.try_emplace({from->second, to->second}, all.flows.size());
    if (fresh)
      all.flows.push_back({from->second, to->second, {}, each.from == kInternetEnd, false});
    all.flows[at->second].services.push_back(each.service);
  }
  mark_as_internet(all);
  put_roles_in_columns(all);
  put_others_in_columns(all);
  std::map<int, int> rows;
  for (FlowEnd& end : all.ends) {
    end.row = rows[end.column]++;
    all.rows = std::max(all.rows, end.row + 1);
  }
  for (Flow& flow : all.flows) {
    const FlowEnd& from = all.ends[flow.from];
    const FlowEnd& to = all.ends[flow.to];
    flow.outermost = flow.outermost || (from.is_role && to.is_role && to.column > from.column);
  }
  return all;
}

void draw(Html& html, const Flows& flows, const std::map<std::string, std::string>& links) {
  const auto places = places_of(flows);
  const int width =
      2 * kMargin + flows.columns * (kBoxWidth + kBetweenColumns) - kBetweenColumns / 2;
  const int height = 2 * kMargin + flows.rows * (kBoxHeight + kBetweenRows) - kBetweenRows;
  // Where a desktop has nearly room for it, it is made a little smaller rather than cut.
  constexpr int kFits = 1'600;
  const auto svg = html.in("svg", {{"class", width <= kFits ? "fits" : ""},
                                   {"role", "group"},
                                   {"aria-labelledby", "flows-title flows-text"},
                                   {"width", fmt::format("{}", width)},
                                   {"height", fmt::format("{}", height)},
                                   {"viewBox", fmt::format("0 0 {} {}", width, height)}});
  html.leaf("title", "Tiers and flows", {{"id", "flows-title"}});
  html.leaf("desc",
            fmt::format("{} ends in {} columns with {} flows; the table below has the same.",
                        flows.ends.size(), flows.columns, flows.flows.size()),
            {{"id", "flows-text"}});
  // The main ones last, so that no other hides them.
  for (const bool main : {false, true}) {
    for (const Flow& flow : flows.flows) {
      if (flow.outermost != main || flow.from == flow.to || flow.as_internet) continue;
      draw_flow(html, flow, flows, places);
    }
  }
  for (std::size_t i = 0; i < flows.ends.size(); ++i) {
    const FlowEnd& end = flows.ends[i];
    // A box of one role leads to its hosts.
    const auto group = html.in("g");
    if (end.is_role && end.others.empty() && links.contains(end.name)) {
      const auto link = html.in("a", {{"href", "#" + links.at(end.name)}});
      draw_box(html, end, places[i]);
    } else {
      draw_box(html, end, places[i]);
    }
  }
}

}  // namespace rolewall::report
