#include "cli/render_plan.h"

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/render.h"

namespace rolewall::cli {
namespace {

using apply::ChangeItem;
using apply::ChangeKind;
using apply::PlanLine;

std::string_view name_of(ChangeKind kind) {
  switch (kind) {
    case ChangeKind::Added:
      return "added";
    case ChangeKind::Removed:
      return "removed";
    case ChangeKind::Changed:
      return "changed";
    case ChangeKind::Moved:
      return "moved";
  }
  return "";
}

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

std::string in_words(const ChangeItem& item) {
  return fmt::format("{} {}", item.what, name_of(item.kind));
}

// The first few; what is new or gone as a whole needs none.
std::string details(const PlanLine& line) {
  constexpr std::size_t kMost = 3;
  if (line.kind == ChangeKind::Added || line.kind == ChangeKind::Removed) return "";
  std::string text;
  for (std::size_t i = 0; i < line.details.size() && i < kMost; ++i) {
    text += (text.empty() ? "" : "; ") + in_words(line.details[i]);
  }
  if (line.details.size() > kMost) {
    text += fmt::format("; and {} more", line.details.size() - kMost);
  }
  return text;
}

}  // namespace

std::vector<std::string> lines_of(const Terminal& to, const apply::Plan& plan,
                                  const ruleset::SourceMap& sources) {
  std::vector<std::string> lines;
  for (const PlanLine& line : plan.lines) {
    if (line.rule.empty()) {
      lines.push_back(
          fmt::format("  {} {}", sign(to, line.kind), printable(in_words(line.details[0]))));
      continue;
    }
    std::string text = line.rule;
    const auto source = sources.find(line.rule);
    if (source != sources.end()) {
      text += fmt::format("  ({}:{})", source->second.file, source->second.line);
    }
    const std::string more = details(line);
    if (!more.empty()) text += ": " + more;
    lines.push_back(fmt::format("  {} {}", sign(to, line.kind), printable(text)));
  }
  return lines;
}

std::string summary(const apply::Plan& plan) {
  if (plan.empty()) {
    return fmt::format("nothing to do: the kernel already has this policy ({})",
                       counted(plan.rules_kept, "rule"));
  }
  std::size_t added = 0;
  std::size_t removed = 0;
  std::size_t changed = 0;
  std::size_t others = 0;
  for (const PlanLine& line : plan.lines) {
    if (line.rule.empty()) {
      ++others;
      continue;
    }
    switch (line.kind) {
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
  return text + fmt::format("; {} unchanged in the kernel", counted(plan.rules_kept, "rule"));
}

void add_members(Json& json, const apply::Plan& plan, const ruleset::SourceMap& sources) {
  json["first"] = plan.first;
  Json changes = Json::array();
  for (const PlanLine& line : plan.lines) {
    Json entry{{"change", name_of(line.kind)}};
    if (!line.rule.empty()) entry["rule"] = line.rule;
    const auto source = sources.find(line.rule);
    if (source != sources.end()) {
      entry["file"] = source->second.file;
      entry["line"] = source->second.line;
    }
    for (const ChangeItem& item : line.details) {
      entry["details"].push_back({{"change", name_of(item.kind)}, {"what", item.what}});
    }
    changes.push_back(std::move(entry));
  }
  json["changes"] = std::move(changes);
  json["kernel_rules"] = {
      {"added", plan.rules_added}, {"removed", plan.rules_removed}, {"kept", plan.rules_kept}};
}

}  // namespace rolewall::cli
