// What GitHub and GitLab show of a check: annotations and a step's summary, and code quality.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "cli/ci_forms.h"
#include "cli/exit_status.h"
#include "cli/render.h"
#include "cli/render_checked.h"

namespace rolewall::cli {
namespace {

// GitHub's own limit of annotations of a level, for a step.
constexpr std::size_t kMostAnnotations = 10;
// Its limit of a step's summary is 1 MiB; what is longer is not shown at all.
constexpr std::size_t kLongestSummary = 1'000'000;

// https://docs.github.com, "Workflow commands": a value of a property escapes more than the text.
std::string command_text(std::string_view text, bool property) {
  std::string out;
  for (const char c : text) {
    if (c == '%' || c == '\r' || c == '\n' || (property && (c == ':' || c == ','))) {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out;
}

std::string_view command_of(Severity severity) {
  switch (severity) {
    case Severity::Error:
      return "error";
    case Severity::Warning:
      return "warning";
    case Severity::Note:
      break;
  }
  return "notice";
}

std::string annotation(const ReportItem& item) {
  std::string command = fmt::format("::{} ", command_of(item.severity));
  if (!item.path.empty()) command += fmt::format("file={},", command_text(item.path, true));
  if (item.line > 0) command += fmt::format("line={},col={},", item.line, item.column);
  const std::string text = item.message + (item.hint.empty() ? "" : "\n" + item.hint);
  return command +
         fmt::format("title={}::{}\n", command_text(item.code, true), command_text(text, false));
}

// Text of a policy is data: no markup of it, and no mention of a person.
std::string html(std::string_view text) {
  std::string out;
  for (const char c : printable(text)) {
    const bool plain = ('a' <= c && c <= 'z') || ('A' <= c && c <= 'Z') || ('0' <= c && c <= '9') ||
                       c == ' ' || c == '.' || c == ',' || c == '-' || c == '/' || c == '(' ||
                       c == ')' || static_cast<unsigned char>(c) >= 0x80;
    out += plain ? std::string(1, c) : fmt::format("&#{};", static_cast<int>(c));
  }
  return out;
}

std::string_view severity_of_gitlab(Severity severity) {
  switch (severity) {
    case Severity::Error:
      return "critical";
    case Severity::Warning:
      return "minor";
    case Severity::Note:
      break;
  }
  return "info";
}

std::string heading(const Report& report) {
  const bool good = exit_status_of(report) == kDone;
  std::string text =
      fmt::format("### rolewall {}: {}\n\n{}{}\n", report.verb, good ? "ok" : "not ok",
                  summary(report.findings), silenced_words(report.silenced));
  if (report.tests != nullptr && !report.tests->cases.empty()) {
    text += "\n" + summary_with_laws(*report.tests) + "\n";
  }
  return text;
}

}  // namespace

std::string github_annotations(const Report& report) {
  std::array<std::size_t, 3> count{};  // by severity
  std::string text;
  std::map<Severity, std::size_t> more;
  for (const ReportItem& item : worst_first(items_of(report))) {
    // One notice is kept for what is left out.
    const std::size_t most =
        item.severity == Severity::Note ? kMostAnnotations - 1 : kMostAnnotations;
    if (count[static_cast<std::size_t>(item.severity)]++ < most) {
      text += annotation(item);
    } else {
      ++more[item.severity];
    }
  }
  if (more.empty()) return text;
  std::string words;
  for (const Severity severity : {Severity::Error, Severity::Warning, Severity::Note}) {
    if (const auto at = more.find(severity); at != more.end()) {
      words += (words.empty() ? "" : ", ") + counted(at->second, name_of(severity));
    }
  }
  return text + fmt::format("::notice title=rolewall::not annotated: {} more\n", words);
}

std::string markdown(const Report& report) {
  std::string text = heading(report);
  const std::vector<ReportItem> items = worst_first(items_of(report));
  if (items.empty()) return text;
  text += "\n| | where | what | code |\n|---|---|---|---|\n";
  std::size_t shown = 0;
  for (const ReportItem& item : items) {
    const std::string where =
        item.line == 0 ? html(item.path) : fmt::format("{}:{}", html(item.path), item.line);
    const std::string row = fmt::format(
        "| {} | <code>{}</code> | <code>{}</code>{} | {} |\n", name_of(item.severity), where,
        html(item.message),
        item.hint.empty() ? "" : fmt::format("<br><code>{}</code>", html(item.hint)), item.code);
    if (text.size() + row.size() > kLongestSummary) break;
    text += row;
    ++shown;
  }
  if (shown < items.size()) text += fmt::format("\nand {} more\n", grouped(items.size() - shown));
  return text;
}

std::string gitlab(const Report& report) {
  Json all = Json::array();
  std::map<std::string, std::size_t> seen;
  for (const ReportItem& item : items_of(report)) {
    const std::size_t count = ++seen[item.fingerprint];
    all.push_back(
        Json{{"description", item.message + (item.hint.empty() ? "" : " (" + item.hint + ")")},
             {"check_name", item.code},
             {"fingerprint",
              count == 1 ? item.fingerprint : fmt::format("{}-{}", item.fingerprint, count)},
             {"severity", severity_of_gitlab(item.severity)},
             {"location",
              Json{{"path", item.path}, {"lines", Json{{"begin", std::max(item.line, 1U)}}}}}});
  }
  return all.dump() + "\n";
}

}  // namespace rolewall::cli
