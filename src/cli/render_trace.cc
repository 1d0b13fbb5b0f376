#include "cli/render_trace.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "ask/site.h"
#include "cli/render_answer.h"
#include "cli/render_json.h"
#include "print/print.h"
#include "ruleset/expr.h"
#include "ruleset/names.h"
#include "ruleset/own_table.h"
#include "ruleset/rule_parts.h"

namespace rolewall::cli {
namespace {

using ask::Verdict;

Verdict verdict_seen(sandbox::Fate fate) {
  switch (fate) {
    case sandbox::Fate::Accept:
      return Verdict::Accept;
    case sandbox::Fate::Drop:
      return Verdict::Drop;
    case sandbox::Fate::Reject:
      return Verdict::Reject;
    case sandbox::Fate::Queue:
    case sandbox::Fate::Stolen:
    case sandbox::Fate::Stack:
      return Verdict::Stack;
  }
  return Verdict::Stack;
}

std::string reason_seen(sandbox::Fate fate) {
  switch (fate) {
    case sandbox::Fate::Accept:
    case sandbox::Fate::Drop:
    case sandbox::Fate::Reject:
      return "";
    case sandbox::Fate::Queue:
      return "a rule hands it to a program (queue), whose answer is not traced";
    case sandbox::Fate::Stolen:
      return "a rule takes it out of the hook";
    case sandbox::Fate::Stack:
      return "no chain tells of it any more: the IP stack has discarded it or kept it";
  }
  return "";
}

std::string verdict_in_words(const sandbox::Step& step, const ruleset::Rule& rule) {
  if (step.verdict.code == ruleset::VerdictCode::Continue) return "";
  if (step.verdict.code == ruleset::VerdictCode::Drop && ruleset::rejects(rule)) return "reject";
  std::string words(ruleset::name_of(step.verdict.code));
  if (!step.verdict.chain.empty()) words += " " + step.verdict.chain;
  return words;
}

// Where one of our own rules that no policy line owns leads a packet: dispatch and built-in steps.
std::string own_jump_in_words(std::string_view chain) {
  namespace own = ruleset::own;
  struct Words {
    std::string_view chain;
    std::string_view words;
  };
  static constexpr std::array<Words, 12> kWords{
      {{own::kUnusual, "related or invalid: which of both"},
       {own::kSpoofed, "from an address that is behind another interface"},
       {own::kRelated, "related: what of it is an answer"},
       {own::kBannedInput, "whether its sender is banned"},
       {own::kBannedOutput, "whether its receiver is banned"},
       {own::kBannedForward, "whether its sender is banned"},
       {own::kBannedDrop, "what becomes of who is banned"},
       {own::kBannedReject, "what becomes of who is banned"},
       {own::kAllowed, "whether it is open for a time"},
       {own::kInboundDispatch, "the policy's inbound rules"},
       {own::kOutboundDispatch, "the policy's outbound rules"},
       {own::kForwardDispatch, "the policy's forward rules"}}};
  const auto* known = std::ranges::find(kWords, chain, &Words::chain);
  if (known != kWords.end()) return std::string(known->words);
  const std::string_view dispatch = chain.substr(0, chain.find('/'));
  if (dispatch.find('.') != std::string_view::npos) return fmt::format("the rule {}", dispatch);
  if (dispatch == chain) return "";
  if (chain == own::translated_chain(dispatch)) {
    return fmt::format("the {} rules, by where it went before translation", dispatch);
  }
  const std::string_view rest = chain.substr(dispatch.size() + 1);
  return fmt::format("the {} rules for {}", dispatch, rest);
}

ask::Tried ran(const sandbox::Step& step, const ruleset::Snapshot& snapshot) {
  const ruleset::Table& table = snapshot.ruleset.tables[step.table];
  const ruleset::Chain& chain = table.chains[step.chain];
  const ruleset::Rule& rule = chain.rules[step.rule];
  const ask::DecidedBy by =
      ask::decided_by(snapshot.ruleset, snapshot.sources, {step.table, step.chain, step.rule});
  ask::Tried one;
  one.table = fmt::format("{} {}", ruleset::name_of(table.family), table.name);
  one.chain = chain.name;
  one.rule = by.rule;
  one.file = by.file;
  one.line = by.line;
  one.matched = true;
  one.verdict = verdict_in_words(step, rule);
  if (one.verdict.empty()) one.does = ask::does_in_words(rule);
  if (one.rule.empty() || !ruleset::is_own(table)) {
    one.rule = fmt::format("handle {}", rule.handle);
    one.text = fmt::format("{} (handle {})",
                           print::rule_text(table, rule, snapshot.host.ipset_numbers), rule.handle);
  }
  return one;
}

// For people: of what maps and matches our jumps are made is no matter of who reads policies.
ask::Hop in_plain_words(ask::Hop hop) {
  const std::string own =
      fmt::format("{} {}", ruleset::name_of(ruleset::kOwnFamily), ruleset::kOwnTable);
  for (ask::Tried& tried : hop.tried) {
    const std::size_t space = tried.verdict.find(' ');
    if (tried.table != own || space == std::string::npos) continue;
    const std::string_view chain = std::string_view(tried.verdict).substr(space + 1);
    const bool to_own_chain = chain == tried.rule;
    std::string words = tried.text.empty() ? "" : own_jump_in_words(chain);
    if (words.empty() && !to_own_chain) continue;
    if (!words.empty()) tried.rule = std::move(words);
    tried.text.clear();
    tried.verdict = "goes on there";
  }
  return hop;
}

bool is_known(const TracedAnswer& answer) {
  return answer.problem.empty() && !answer.hops.empty();
}

std::string_view word_of(Agreement agreement) {
  switch (agreement) {
    case Agreement::Agrees:
      return "the same";
    case Agreement::Differs:
      return "differs";
    case Agreement::NotCompared:
      return "not compared";
  }
  return "";
}

}  // namespace

namespace {

bool sets_mark(const ruleset::Rule& rule) {
  return std::ranges::any_of(rule.exprs, [](const ruleset::Expr& expr) {
    const auto* set = std::get_if<ruleset::MetaSet>(&expr);
    return set != nullptr && set->key == ruleset::MetaKey::NfTrace;
  });
}

}  // namespace

bool loses_mark(const sandbox::Observation& seen, const ruleset::Ruleset& ruleset) {
  if (seen.hooks.empty() || seen.fate() != sandbox::Fate::Stack) return false;
  return std::ranges::any_of(ruleset.tables, [](const ruleset::Table& table) {
    return std::ranges::any_of(table.chains, [](const ruleset::Chain& chain) {
      return std::ranges::any_of(chain.rules, sets_mark);
    });
  });
}

std::vector<ask::Hop> hops_of(const sandbox::Observation& seen, const ruleset::Snapshot& snapshot) {
  std::vector<ask::Hop> hops;
  for (const sandbox::HookObservation& hook : seen.hooks) {
    ask::Hop hop;
    hop.host = snapshot.host.name;
    hop.hook = hook.hook;
    hop.verdict = verdict_seen(hook.fate);
    hop.reason = reason_seen(hook.fate);
    if (&hook == &seen.hooks.back() && loses_mark(seen, snapshot.ruleset)) {
      hop.verdict = Verdict::Undecided;
      hop.reason = "not told: another program's rules end traces (meta nftrace set 0)";
    }
    if (const sandbox::Step* step = hook.decision()) {
      hop.decided_by = ask::decided_by(snapshot.ruleset, snapshot.sources,
                                       {step->table, step->chain, step->rule});
      if (hop.decided_by->rule.empty() && !hop.decided_by->chain_policy) {
        const ruleset::Table& table = snapshot.ruleset.tables[step->table];
        hop.decided_by->text = print::rule_text(table, table.chains[step->chain].rules[step->rule],
                                                snapshot.host.ipset_numbers);
      }
    }
    for (const sandbox::Step& step : hook.path) {
      if (step.rule != sandbox::Step::kEnd) hop.tried.push_back(ran(step, snapshot));
    }
    hops.push_back(std::move(hop));
  }
  return hops;
}

void render(const Terminal& terminal, const TracedAnswer& answer) {
  if (!is_known(answer)) {
    terminal.line(fmt::format("{}: {}", answer.packet, printable(answer.problem)));
  } else {
    ask::Answer shown;
    shown.packet = answer.packet;
    for (const ask::Hop& hop : answer.hops) shown.hops.push_back(in_plain_words(hop));
    shown.verdict = answer.hops.back().verdict;
    render(terminal, shown);
  }
  if (!answer.translations.empty()) {
    terminal.line(fmt::format("  translated: {}", fmt::join(answer.translations, ", ")));
  }
  if (!answer.drop_reasons.empty()) {
    terminal.line(fmt::format("  dropped by the kernel in that moment: {}",
                              fmt::join(answer.drop_reasons, ", ")));
  }
  const DryRun& dry = answer.dry_run;
  const std::string word(word_of(dry.agreement));
  terminal.line(
      fmt::format("  dry run: {}{}{}",
                  dry.agreement == Agreement::Differs ? terminal.paint(Tone::Bad, word) : word,
                  dry.why.empty() ? "" : ": ", printable(dry.why)));
}

Json to_json(const TracedAnswer& answer) {
  Json json{{"version", kJsonVersion}, {"verb", "trace"}, {"packet", answer.packet}};
  if (is_known(answer)) json["verdict"] = ask::name_of(answer.hops.back().verdict);
  json["hops"] = Json::array();
  for (const ask::Hop& hop : answer.hops) json["hops"].push_back(to_json(hop));
  json["translations"] = Json(answer.translations);
  if (!answer.drop_reasons.empty()) json["drop_reasons"] = Json(answer.drop_reasons);
  if (!answer.problem.empty()) json["problem"] = answer.problem;
  Json dry;
  dry["agrees"] = answer.dry_run.agreement == Agreement::Agrees;
  dry["compared"] = answer.dry_run.agreement != Agreement::NotCompared;
  if (!answer.dry_run.verdict.empty()) dry["verdict"] = answer.dry_run.verdict;
  if (!answer.dry_run.why.empty()) dry["why"] = answer.dry_run.why;
  json["dry_run"] = std::move(dry);
  return json;
}

}  // namespace rolewall::cli
