// SARIF 2.1.0 (OASIS), as code scanning services read it: every rule is declared with its page,
// paths are relative to the repository's root, fingerprints do not depend on lines.
#include <fmt/format.h>

#include <map>

#include "cli/ci_forms.h"
#include "cli/exit_status.h"
#include "cli/finding_pages.h"
#include "policy/codes.h"

namespace rolewall::cli {
namespace {

// RFC 3986: what may stand in a path as it is.
std::string uri_of(std::string_view path) {
  constexpr std::string_view kPlain = "-._~/!$&'()*+,;=:@";
  std::string uri = path.starts_with('/') ? "file://" : "";
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = ('a' <= c && c <= 'z') || ('A' <= c && c <= 'Z') || ('0' <= c && c <= '9') ||
                       kPlain.find(c) != std::string_view::npos;
    uri += plain ? std::string(1, c) : fmt::format("%{:02X}", byte);
  }
  return uri;
}

Json text_of(std::string_view text) {
  return Json{{"text", text}};
}

Json rule_json(std::string_view code, std::string_view meaning, Severity severity) {
  Json rule{{"id", code},
            {"shortDescription", text_of(meaning)},
            {"defaultConfiguration", Json{{"level", name_of(severity)}}}};
  const std::string_view page = finding_page(code);
  if (!page.empty()) rule["help"] = Json{{"text", page}, {"markdown", page}};
  return rule;
}

Json location_json(const ReportItem& item) {
  Json artifact{{"uri", uri_of(item.path)}};
  if (!item.path.starts_with('/')) artifact["uriBaseId"] = "%SRCROOT%";
  Json physical{{"artifactLocation", std::move(artifact)}};
  if (item.line > 0) {
    physical["region"] = Json{{"startLine", item.line}, {"startColumn", std::max(item.column, 1U)}};
  }
  return Json{{"physicalLocation", std::move(physical)}};
}

}  // namespace

std::string sarif(const Report& report) {
  Json rules = Json::array();
  std::map<std::string, std::size_t, std::less<>> index;
  const auto declare = [&](std::string_view code, std::string_view meaning, Severity severity) {
    index.emplace(code, index.size());
    rules.push_back(rule_json(code, meaning, severity));
  };
  for (const policy::CodeRow& row : policy::code_table()) {
    declare(row.word, row.meaning, row.severity);
  }
  for (const JudgedCode& row : kJudgedCodes) declare(row.word, row.meaning, row.severity);

  Json results = Json::array();
  for (const ReportItem& item : items_of(report)) {
    const std::string text =
        item.hint.empty() ? item.message : item.message + " (" + item.hint + ")";
    Json result{{"ruleId", item.code}};
    if (const auto at = index.find(item.code); at != index.end()) result["ruleIndex"] = at->second;
    result["level"] = name_of(item.severity);
    result["message"] = text_of(text);
    if (!item.path.empty()) result["locations"].push_back(location_json(item));
    result["partialFingerprints"] = Json{{"rolewall/v1", item.fingerprint}};
    results.push_back(std::move(result));
  }

  const int status = exit_status_of(report);
  Json invocations = Json::array();
  invocations.push_back(Json{{"executionSuccessful", true}, {"exitCode", status}});
  Json driver{{"name", "rolewall"}, {"version", ROLEWALL_VERSION}, {"rules", std::move(rules)}};
  Json run{{"tool", Json{{"driver", std::move(driver)}}},
           {"invocations", std::move(invocations)},
           {"columnKind", "unicodeCodePoints"},
           {"originalUriBaseIds",
            Json{{"%SRCROOT%", Json{{"description", text_of("the repository's root")}}}}},
           {"results", std::move(results)}};
  Json runs = Json::array();
  runs.push_back(std::move(run));
  return Json{{"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
              {"version", "2.1.0"},
              {"runs", std::move(runs)}}
             .dump() +
         "\n";
}

}  // namespace rolewall::cli
