#include "cli/render_plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cli/render.h"
#include "policy/left_out.h"

namespace rolewall::cli {
namespace {

using apply::ChangeItem;
using apply::ChangeKind;
using apply::KeyChange;
using apply::PolicyChange;

std::string sign(const Terminal& to, ChangeKind kind) {
  switch (kind) {
    case ChangeKind::Added:
      return to.paint(Tone::Good, "+");
    case ChangeKind::Removed:
      return to.paint(Tone::Bad, "-");
    case ChangeKind::Changed:
    case ChangeKind::Moved:
      return to.paint(Tone::Warning, "~");
  }
  return "";
}

std::string words_of(const ChangeItem& item) {
  return fmt::format("{} {}", item.what, name_of(item.kind));
}

std::string values(const KeyChange& change, const std::vector<std::string>& values) {
  constexpr std::size_t kMost = 8;
  if (values.empty()) return std::string(policy::if_left_out(change.key));
  if (values.size() <= kMost) return fmt::format("{}", fmt::join(values, ", "));
  return fmt::format("{} and {} more", fmt::join(values.begin(), values.begin() + kMost, ", "),
                     values.size() - kMost);
}

// A long list of addresses is recorded by its length and a checksum: "313 prefixes (13a3f5fd)".
bool is_counted(const std::vector<std::string>& values) {
  return values.size() == 1 && values[0].find(" prefixes (") != std::string::npos;
}
std::string_view without_sum(std::string_view value) {
  return value.substr(0, value.find(" ("));
}

// "from: any -> !192.0.2.0/24", "service: + tcp/8080".
std::string words_of(const KeyChange& change) {
  if (is_counted(change.before) && is_counted(change.after)) {
    return fmt::format("{}: {} -> {}", change.key, without_sum(change.before[0]),
                       without_sum(change.after[0]));
  }
  if (!change.some_stays) {
    return fmt::format("{}: {} -> {}", change.key, values(change, change.before),
                       values(change, change.after));
  }
  std::string text = change.key + ":";
  if (!change.more.empty()) text += " + " + values(change, change.more);
  if (!change.less.empty()) {
    text += (change.more.empty() ? " - " : ", - ") + values(change, change.less);
  }
  return text;
}

std::string place_of(const PolicyChange& change) {
  if (change.file.empty()) return "";
  if (change.line == 0) return fmt::format("  ({})", change.file);
  return fmt::format("  ({}:{})", change.file, change.line);
}

std::string line_of(const PolicyChange& change) {
  constexpr std::size_t kMost = 3;
  const bool has_kind = !change.is_rule() && change.of != "defaults";
  std::string text = has_kind ? fmt::format("{} `{}`", change.of, change.name) : change.name;
  text += place_of(change);
  if (change.kind == ChangeKind::Moved) text += ": moved";
  for (std::size_t i = 0; i < change.keys.size(); ++i) {
    text += (i == 0 ? ": " : "; ") + words_of(change.keys[i]);
  }
  if (!change.caused_by.empty()) {
    text += fmt::format("; by the change of {}", fmt::join(change.caused_by, ", "));
  }
  for (std::size_t i = 0; i < change.used_by.size() && i < kMost; ++i) {
    text += (i == 0 ? "; for " : ", ") + change.used_by[i];
  }
  if (change.used_by.size() > kMost) {
    text += fmt::format(" and {} more", change.used_by.size() - kMost);
  }
  return text;
}

Json json_of(const PolicyChange& change) {
  Json entry{{"change", name_of(change.kind)}};
  if (change.is_rule()) {
    entry["rule"] = change.name;
  } else {
    entry["of"] = change.of;
    entry["name"] = change.name;
  }
  if (!change.file.empty()) entry["file"] = change.file;
  if (change.line != 0) entry["line"] = change.line;
  for (const KeyChange& key : change.keys) {
    entry["keys"].push_back({{"key", key.key}, {"before", key.before}, {"after", key.after}});
  }
  if (!change.used_by.empty()) entry["used_by"] = change.used_by;
  if (!change.caused_by.empty()) entry["caused_by"] = change.caused_by;
  return entry;
}

Json json_of(const std::vector<ChangeItem>& items) {
  Json all = Json::array();
  for (const ChangeItem& item : items) {
    Json entry{{"change", name_of(item.kind)}, {"what", item.what}};
    if (!item.rule.empty()) entry["rule"] = item.rule;
    all.push_back(std::move(entry));
  }
  return all;
}

}  // namespace

std::vector<std::string> lines_of(const Terminal& to, const apply::Plan& plan, Extent extent) {
  std::vector<std::string> lines;
  const auto add = [&](ChangeKind kind, const std::string& text) {
    lines.push_back(fmt::format("  {} {}", sign(to, kind), printable(text)));
  };
  const auto add_all = [&](const std::vector<ChangeItem>& items) {
    for (const ChangeItem& item : items) add(item.kind, words_of(item));
  };
  if (plan.changes) {
    for (const PolicyChange& change : *plan.changes) add(change.kind, line_of(change));
  }
  if (!plan.drift.empty()) {
    lines.emplace_back("  what was applied last is not in force as it was:");
    add_all(plan.drift);
  }
  const bool is_told = plan.changes && !(plan.changes->empty() && plan.drift.empty());
  if (!is_told) {
    lines.emplace_back(
        !plan.changes ? "  it is not known what was applied last; in the kernel:"
        : plan.idle_jumps_alone
            ? "  the policy is the same; the kernel has no bans or openings left, and the jumps to "
              "them go:"
            : "  the policy is the same, and made into another ruleset:");
  } else if (extent == Extent::Everything && !plan.empty()) {
    lines.emplace_back("  in the kernel:");
  }
  if (!is_told || extent == Extent::Everything) add_all(plan.items);
  return lines;
}

std::string summary(const apply::Plan& plan) {
  if (plan.empty() && !plan.changes_policy()) {
    return fmt::format("nothing to do: the kernel already has this policy ({})",
                       counted(plan.rules_kept, "rule"));
  }
  std::size_t added = 0;
  std::size_t removed = 0;
  std::size_t changed = 0;
  std::size_t others = plan.drift.size();
  static const std::vector<PolicyChange> kNone;
  for (const PolicyChange& change : plan.changes ? *plan.changes : kNone) {
    if (!change.is_rule()) {
      ++others;
      continue;
    }
    switch (change.kind) {
      case ChangeKind::Added:
        ++added;
        break;
      case ChangeKind::Removed:
        ++removed;
        break;
      case ChangeKind::Changed:
      case ChangeKind::Moved:
        ++changed;
        break;
    }
  }
  std::string text =
      fmt::format("policy rules: {} added, {} changed, {} removed", added, changed, removed);
  if (others != 0) text += fmt::format("; {}", counted(others, "other change"));
  if (plan.empty()) return text + "; nothing to do in the kernel";
  return text + fmt::format("; in the kernel {} added, {} removed, {} unchanged",
                            counted(plan.rules_added, "rule"), plan.rules_removed, plan.rules_kept);
}

void add_members(Json& json, const apply::Plan& plan) {
  json["first"] = plan.first;
  std::unordered_map<std::string_view, Json> details;  // by the rule whose they are
  for (const ChangeItem& item : plan.items) {
    details[item.rule].push_back({{"change", name_of(item.kind)}, {"what", item.what}});
  }
  Json changes = Json::array();
  if (plan.changes) {
    for (const PolicyChange& change : *plan.changes) {
      Json entry = json_of(change);
      const auto its = details.find(change.name);
      if (change.is_rule() && its != details.end()) entry["details"] = its->second;
      changes.push_back(std::move(entry));
    }
  }
  json["changes"] = std::move(changes);
  json["drift"] = json_of(plan.drift);
  json["kernel"] = json_of(plan.items);
  json["kernel_rules"] = {
      {"added", plan.rules_added}, {"removed", plan.rules_removed}, {"kept", plan.rules_kept}};
}

}  // namespace rolewall::cli
