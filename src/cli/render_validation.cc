#include "cli/render_validation.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/render_answer.h"
#include "cli/render_json.h"

namespace rolewall::cli {
namespace {

using ask::Validation;

std::string_view outcome_word(Validation::Outcome outcome) {
  switch (outcome) {
    case Validation::Outcome::Proven:
      return "proven";
    case Validation::Outcome::Refuted:
      return "refuted";
    case Validation::Outcome::NotProven:
      break;
  }
  return "not proven";
}

std::string side_in_words(const Terminal& to, std::string_view who, const Validation::Side& side) {
  // A built-in step has no line of its own.
  const ask::DecidedBy& by = side.decided_by;
  const std::string at = by.file.empty() ? "" : fmt::format("  {}:{}", by.file, by.line);
  std::string line =
      fmt::format("  {} {} {}", who, in_column(to, side.verdict), printable(by.rule + at));
  if (!side.told.empty()) line += fmt::format(", with {}", printable(side.told));
  if (!side.translated.empty()) line += ": " + printable(side.translated);
  return line;
}

Json side_json(const Validation::Side& side) {
  Json json{{"verdict", ask::name_of(side.verdict)}, {"rule", side.decided_by.rule}};
  if (!side.decided_by.file.empty()) {
    json["file"] = side.decided_by.file;
    json["line"] = side.decided_by.line;
  }
  if (!side.told.empty()) json["told"] = side.told;
  if (!side.translated.empty()) json["translated"] = side.translated;
  return json;
}

Json validation_json(const Validation& one) {
  Json json{{"host", one.host}, {"outcome", outcome_word(one.outcome)}};
  if (one.counterexample) {
    const Validation::Counterexample& example = *one.counterexample;
    Json packet{{"packet", example.packet},
                {"arrives", example.arrives},
                {"policy", side_json(example.policy)},
                {"bytecode", side_json(example.bytecode)}};
    if (!example.bytes.empty()) packet["bytes"] = example.bytes;
    if (!example.where.empty()) packet["where"] = example.where;
    json["counterexample"] = std::move(packet);
  }
  if (!one.why.empty()) json["why"] = one.why;
  if (!one.not_covered.empty()) json["not_covered"] = one.not_covered;
  return json;
}

}  // namespace

void render(const Terminal& to, std::span<const Validation> hosts) {
  std::size_t proven = 0;
  for (const Validation& one : hosts) {
    const bool holds = one.outcome == Validation::Outcome::Proven;
    if (holds) ++proven;
    const std::string word = to.paint(holds ? Tone::Good : Tone::Bad, outcome_word(one.outcome));
    if (holds) {
      to.line(fmt::format("{}: {}: every packet meets what the policy says", word,
                          printable(one.host)));
    } else if (one.counterexample) {
      const Validation::Counterexample& example = *one.counterexample;
      to.line(fmt::format("{}: {}: this packet {} and meets something else: please report it", word,
                          printable(one.host), example.arrives ? "arrives" : "is sent"));
      to.line("  " + printable(example.packet));
      if (!example.bytes.empty()) to.line("  its bytes " + example.bytes);
      for (const std::string& where : example.where) to.line("  where " + printable(where));
      to.line(side_in_words(to, "the policy:  ", example.policy));
      to.line(side_in_words(to, "the bytecode:", example.bytecode));
    } else {
      to.line(fmt::format("{}: {}: {}", word, printable(one.host), printable(one.why)));
    }
    for (const std::string& what : one.not_covered) {
      to.line("  not covered: " + printable(what));
    }
  }
  if (hosts.size() > 1) {
    to.line(fmt::format("{} of {} proven", proven, counted(hosts.size(), "host")));
  }
}

Json to_json(std::span<const Validation> hosts) {
  Json json{{"version", kJsonVersion}, {"verb", "compile"}};
  Json all = Json::array();
  bool proven = true;
  for (const Validation& one : hosts) {
    proven = proven && one.outcome == Validation::Outcome::Proven;
    all.push_back(validation_json(one));
  }
  json["proven"] = proven;
  json["hosts"] = std::move(all);
  return json;
}

}  // namespace rolewall::cli
