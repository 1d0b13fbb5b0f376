#include "cli/render_json.h"

#include "ruleset/names.h"

namespace rolewall::cli {
namespace {

void put_place(Json& json, const SourceFiles& sources, const Span& span) {
  if (!span.known()) return;
  json["file"] = sources.path(span.file);
  if (span.line == 0) return;
  json["line"] = span.line;
  json["column"] = span.column;
}

Json tried_json(const ask::Tried& tried) {
  Json json;
  json["table"] = tried.table;
  json["chain"] = tried.chain;
  json["rule"] = tried.rule;
  if (!tried.text.empty()) json["text"] = tried.text;
  if (!tried.file.empty()) {
    json["file"] = tried.file;
    json["line"] = tried.line;
  }
  json["matched"] = tried.matched;
  if (!tried.why.empty()) json["why"] = tried.why;
  if (!tried.verdict.empty()) json["verdict"] = tried.verdict;
  return json;
}

}  // namespace

Json to_json(const Diagnostics& diagnostics, const SourceFiles& sources) {
  Json findings = Json::array();
  for (const Diagnostic& diagnostic : diagnostics.all()) {
    Json json;
    json["severity"] = name_of(diagnostic.severity);
    json["code"] = diagnostic.code;
    put_place(json, sources, diagnostic.span);
    json["message"] = diagnostic.message;
    if (!diagnostic.hint.empty()) json["hint"] = diagnostic.hint;
    for (const DiagnosticNote& note : diagnostic.notes) {
      Json entry;
      put_place(entry, sources, note.span);
      entry["message"] = note.message;
      json["notes"].push_back(std::move(entry));
    }
    findings.push_back(std::move(json));
  }
  return findings;
}

Json to_json(const ask::DecidedBy& by) {
  Json json;
  json["family"] = by.family;
  json["table"] = by.table;
  json["chain"] = by.chain;
  if (by.handle) json["handle"] = *by.handle;
  if (!by.rule.empty()) json["rule"] = by.rule;
  if (by.is_excess) json["excess"] = true;
  if (by.chain_policy) json["chain_policy"] = true;
  if (!by.file.empty()) {
    json["file"] = by.file;
    json["line"] = by.line;
    json["column"] = by.column;
  }
  return json;
}

Json to_json(const ask::Alternative& alternative) {
  Json json;
  if (!alternative.add.empty()) json["add"] = alternative.add;
  if (!alternative.when.empty()) json["when"] = alternative.when;
  if (!alternative.translated.empty()) json["translated"] = alternative.translated;
  json["verdict"] = ask::name_of(alternative.verdict);
  if (alternative.decided_by) json["decided_by"] = to_json(*alternative.decided_by);
  return json;
}

Json to_json(const ask::Hop& hop) {
  Json json;
  json["host"] = hop.host;
  json["hook"] = ruleset::name_of(hop.hook);
  if (!hop.device.empty()) json["device"] = hop.device;
  json["verdict"] = ask::name_of(hop.verdict);
  if (hop.decided_by) json["decided_by"] = to_json(*hop.decided_by);
  if (!hop.translated.empty()) json["translated"] = hop.translated;
  if (!hop.reason.empty()) json["reason"] = hop.reason;
  for (const ask::Alternative& alternative : hop.alternatives) {
    json["alternatives"].push_back(to_json(alternative));
  }
  for (const ask::Tried& tried : hop.tried) json["tried"].push_back(tried_json(tried));
  if (hop.tried_left_out != 0) {
    json["tried_left_out"] = hop.tried_left_out;
    json["tried_before_gap"] = hop.tried_before_gap;
  }
  return json;
}

Json to_json(const ask::Answer& answer) {
  Json json;
  json["packet"] = answer.packet;
  json["verdict"] = ask::name_of(answer.verdict);
  for (const std::string& value : answer.assumed) json["assumed"].push_back(value);
  json["hops"] = Json::array();
  for (const ask::Hop& hop : answer.hops) json["hops"].push_back(to_json(hop));
  for (const ask::Hop& hop : answer.beyond) json["beyond"].push_back(to_json(hop));
  return json;
}

ask::Hop hop_from_json(const Json& json) {
  ask::Hop hop;
  hop.host = json.text("host");
  hop.hook = ruleset::from_name<ruleset::Hook>(json.text("hook")).value_or(hop.hook);
  hop.device = json.text("device");
  hop.verdict = ask::verdict_from(json.text("verdict")).value_or(ask::Verdict::Undecided);
  hop.reason = json.text("reason");
  if (const Json* decided_by = json.find("decided_by"); decided_by != nullptr) {
    ask::DecidedBy by;
    by.family = decided_by->text("family");
    by.table = decided_by->text("table");
    by.chain = decided_by->text("chain");
    by.handle = decided_by->number("handle");
    by.rule = decided_by->text("rule");
    by.is_excess = decided_by->is_true("excess");
    by.chain_policy = decided_by->is_true("chain_policy");
    by.file = decided_by->text("file");
    by.line = static_cast<std::uint32_t>(decided_by->number("line").value_or(0));
    by.column = static_cast<std::uint32_t>(decided_by->number("column").value_or(0));
    hop.decided_by = std::move(by);
  }
  return hop;
}

}  // namespace rolewall::cli
