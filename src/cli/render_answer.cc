#include "cli/render_answer.h"

#include <fmt/format.h>

#include <algorithm>

#include "ruleset/names.h"
#include "ruleset/ruleset.h"

namespace rolewall::cli {
namespace {

using ask::Verdict;

bool is_own(const ask::DecidedBy& by) {
  return by.table == ruleset::kOwnTable && by.family == ruleset::name_of(ruleset::kOwnFamily);
}

// A policy rule or built-in step by its name; another program's rule by its place in the kernel.
std::string decider(const ask::DecidedBy& by) {
  if (!by.rule.empty() && (is_own(by) || !by.file.empty())) return printable(by.rule);
  std::string words =
      fmt::format("table {} {}, chain {}", by.family, printable(by.table), printable(by.chain));
  if (by.chain_policy) {
    words += ": chain policy";
  } else if (!by.rule.empty()) {
    words += fmt::format(": \"{}\"", printable(by.rule));
  } else if (!by.text.empty() && !by.text.starts_with('[')) {  // what nft has no text for
    words += fmt::format(": {}", printable(by.text));
  }
  if (by.handle) words += fmt::format(" (handle {})", *by.handle);
  return words;
}

// A hook where our own table had nothing to say (no early rule): it would only be noise.
bool is_silent(const ask::Hop& hop) {
  return hop.verdict == Verdict::Accept && hop.tried.empty() && hop.alternatives.empty() &&
         (!hop.decided_by || (hop.decided_by->chain_policy && is_own(*hop.decided_by)));
}

// Who decided, or why nobody did; beside it the policy line.
std::string why(const ask::Hop& hop) {
  if (!hop.reason.empty()) return printable(hop.reason);
  // Where it has several ways, they are listed below.
  if (hop.decided_by && !hop.translated.empty() && hop.alternatives.empty()) {
    return fmt::format("{}: {}", decider(*hop.decided_by), hop.translated);
  }
  if (hop.decided_by) {
    return decider(*hop.decided_by) + (hop.decided_by->is_excess ? " excess" : "");
  }
  return hop.verdict == Verdict::Conditional ? "depends on the interface"
                                             : "no chain is on this hook";
}

std::string place(const ask::Hop& hop) {
  if (!hop.decided_by || hop.decided_by->file.empty()) return "";
  return fmt::format("{}:{}", printable(hop.decided_by->file), hop.decided_by->line);
}

// The widths of the columns, over all lines of an answer.
struct Columns {
  std::size_t host = 0;
  std::size_t why = 0;
};

Columns columns_of(const ask::Answer& answer) {
  Columns columns;
  for (const auto* hops : {&answer.hops, &answer.beyond}) {
    for (const ask::Hop& hop : *hops) {
      if (is_silent(hop)) continue;
      columns.host = std::max(columns.host, hop.host.size());
      if (!place(hop).empty()) columns.why = std::max(columns.why, why(hop).size());
    }
  }
  return columns;
}

void render_hop(const Terminal& terminal, const ask::Hop& hop, const Columns& columns) {
  const std::string where = place(hop);
  const std::string decided =
      where.empty() ? why(hop) : fmt::format("{:<{}}  {}", why(hop), columns.why, where);
  terminal.line(fmt::format("  {:<{}}  {:<11}  {}  {}", hop.host, columns.host,
                            ruleset::name_of(hop.hook), in_column(terminal, hop.verdict), decided));
  for (const ask::Alternative& alternative : hop.alternatives) {
    const std::string& which = alternative.add.empty() ? alternative.when : alternative.add;
    const std::string what =
        alternative.decided_by ? in_words(*alternative.decided_by) : alternative.translated;
    const std::string then = what.empty() ? "" : "  " + what;
    const std::size_t width = ask::name_of(alternative.verdict).size();
    constexpr std::size_t kWidest = 9;  // "undecided"
    terminal.line(fmt::format("      {}{:{}}  {}{}", painted(terminal, alternative.verdict), "",
                              width < kWidest ? kWidest - width : 0, printable(which), then));
  }
  render_tried(terminal, hop);
}

}  // namespace

void render_tried(const Terminal& terminal, const ask::Hop& hop) {
  std::string chain;
  for (std::size_t i = 0; i < hop.tried.size(); ++i) {
    const ask::Tried& tried = hop.tried[i];
    if (hop.tried_left_out != 0 && i == hop.tried_before_gap) {
      terminal.line(fmt::format("        ... {} more rules were tried here", hop.tried_left_out));
    }
    if (const std::string here = tried.table + " " + tried.chain; here != chain) {
      chain = here;
      terminal.line(terminal.paint(
          Tone::Quiet, fmt::format("      {}, chain {}", tried.table, printable(tried.chain))));
    }
    const std::string place =
        tried.file.empty() ? "" : fmt::format("  {}:{}", printable(tried.file), tried.line);
    const std::string& then = tried.verdict.empty() ? tried.does : tried.verdict;
    const std::string outcome = tried.matched
                                    ? (then.empty() ? "matches" : fmt::format("matches: {}", then))
                                    : printable(tried.why);
    const std::string mark =
        tried.matched ? terminal.paint(Tone::Strong, "+") : terminal.paint(Tone::Quiet, "-");
    if (!tried.text.empty()) {
      terminal.line(fmt::format("        {} {}", mark, printable(tried.text)));
      terminal.line(fmt::format("            {}{}", outcome, terminal.paint(Tone::Quiet, place)));
      continue;
    }
    terminal.line(fmt::format("        {} {:<34} {}{}", mark, printable(tried.rule), outcome,
                              terminal.paint(Tone::Quiet, place)));
  }
}

std::string painted(const Terminal& terminal, Verdict verdict) {
  const std::string_view name = ask::name_of(verdict);
  switch (verdict) {
    case Verdict::Accept:
      return terminal.paint(Tone::Good, name);
    case Verdict::Drop:
    case Verdict::Reject:
    case Verdict::Stack:
      return terminal.paint(Tone::Bad, name);
    case Verdict::Held:
    case Verdict::Conditional:
    case Verdict::Undecided:
      return terminal.paint(Tone::Warning, name);
  }
  return {};
}

std::string in_column(const Terminal& terminal, Verdict verdict) {
  const std::size_t size = ask::name_of(verdict).size();
  return painted(terminal, verdict) + std::string(size < 6 ? 6 - size : 0, ' ');
}

std::string in_words(const ask::DecidedBy& by) {
  const std::string who = decider(by);
  return by.file.empty() ? who : fmt::format("{}  {}:{}", who, printable(by.file), by.line);
}

void render(const Terminal& terminal, const ask::Answer& answer) {
  // Words that no firewall has are explained.
  const bool is_ours = answer.verdict == Verdict::Stack || answer.verdict == Verdict::Held;
  terminal.line(fmt::format("{}: {}{}", answer.packet, painted(terminal, answer.verdict),
                            is_ours ? fmt::format(" ({})", ask::meaning(answer.verdict)) : ""));
  const bool is_filtered = std::ranges::any_of(
      answer.hops, [](const ask::Hop& hop) { return hop.decided_by || !hop.reason.empty(); });
  if (answer.verdict == Verdict::Accept && !is_filtered) {
    terminal.line(fmt::format("  {}", kNoChain));
  }
  const Columns columns = columns_of(answer);
  for (const ask::Hop& hop : answer.hops) {
    if (!is_silent(hop)) render_hop(terminal, hop, columns);
  }
  if (std::any_of(answer.beyond.begin(), answer.beyond.end(),
                  [](const ask::Hop& hop) { return !is_silent(hop); })) {
    const std::string stopped =
        answer.hops.empty() ? ""
                            : fmt::format("stopped at {}; ", printable(answer.hops.back().host));
    terminal.line(terminal.paint(Tone::Quiet, fmt::format("  {}asked anyway, {} answers:", stopped,
                                                          printable(answer.beyond.front().host))));
    for (const ask::Hop& hop : answer.beyond) {
      if (!is_silent(hop)) render_hop(terminal, hop, columns);
    }
  }
  if (!answer.assumed.empty()) {
    terminal.line(terminal.paint(Tone::Quiet, fmt::format("  assumed, since not said: {}",
                                                          fmt::join(answer.assumed, ", "))));
  }
}

}  // namespace rolewall::cli
