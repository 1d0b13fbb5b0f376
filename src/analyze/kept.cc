#include "analyze/kept.h"

#include <algorithm>

#include "base/overloaded.h"
#include "base/visit.h"
#include "ruleset/expr.h"
#include "ruleset/xt_match.h"
#include "ruleset/xt_target.h"

namespace rolewall::analyze {
namespace {

using namespace ruleset;  // NOLINT: the file is made of its names

void ask_all(KeptAsked& asked) {
  asked = {.connections = true, .marks = true, .labels = true};
}

void note_asked(KeptAsked& asked, const std::vector<StatefulExpr>& exprs) {
  const auto counts_connections = [](const StatefulExpr& expr) {
    return std::holds_alternative<Connlimit>(expr);
  };
  asked.connections = asked.connections || std::ranges::any_of(exprs, counts_connections);
}

void note_asked(KeptAsked& asked, const XtMatch& match) {
  const auto meaning = meaning_of(match);
  if (!meaning) return ask_all(asked);
  const auto* mark = std::get_if<XtMark>(&*meaning);
  const bool of_connection = mark != nullptr && mark->of_connection;
  asked.marks = asked.marks || of_connection;
  asked.labels = asked.labels || std::holds_alternative<XtConnlabel>(*meaning);
  asked.connections =
      asked.connections || of_connection || std::holds_alternative<XtConnlabel>(*meaning) ||
      std::holds_alternative<XtState>(*meaning) || std::holds_alternative<XtConntrack>(*meaning) ||
      std::holds_alternative<XtConnbytes>(*meaning) ||
      std::holds_alternative<XtConnlimit>(*meaning) || std::holds_alternative<XtHelper>(*meaning);
}

void note_asked(KeptAsked& asked, const XtTarget& target) {
  const auto meaning = meaning_of(target);
  if (!meaning) return ask_all(asked);
  if (const auto* mark = std::get_if<XtConnmarkTarget>(&*meaning)) {
    const bool restores = mark->does == XtConnmarkTarget::Does::Restores;
    asked.marks = asked.marks || restores;
    asked.connections = asked.connections || restores;
  }
  asked.connections = asked.connections || std::holds_alternative<XtNat>(*meaning) ||
                      std::holds_alternative<XtSynproxyTarget>(*meaning);
}

void note_asked(KeptAsked& asked, const Expr& expr) {
  if (const auto* load = std::get_if<Ct>(&expr)) {
    asked.connections = true;
    asked.marks = asked.marks || load->key == CtKey::Mark;
    asked.labels = asked.labels || load->key == CtKey::Labels;
  } else if (const auto* dynset = std::get_if<Dynset>(&expr)) {
    note_asked(asked, dynset->exprs);
  } else if (const auto* match = std::get_if<XtMatch>(&expr)) {
    note_asked(asked, *match);
  } else if (const auto* target = std::get_if<XtTarget>(&expr)) {
    note_asked(asked, *target);
  } else if (std::holds_alternative<Unsupported>(expr)) {
    ask_all(asked);
  } else {
    asked.connections =
        asked.connections || std::holds_alternative<Nat>(expr) ||
        std::holds_alternative<Masquerade>(expr) || std::holds_alternative<Redirect>(expr) ||
        std::holds_alternative<Connlimit>(expr) || std::holds_alternative<Synproxy>(expr);
  }
}

void note_asked(KeptAsked& asked, const Table& table) {
  for (const Object& object : table.objects) {
    if (std::holds_alternative<Unsupported>(object.body)) ask_all(asked);
    asked.connections = asked.connections || std::holds_alternative<Connlimit>(object.body) ||
                        std::holds_alternative<Synproxy>(object.body);
  }
  for (const Set& set : table.sets) {
    if (!set.unsupported.empty()) ask_all(asked);
    note_asked(asked, set.exprs);
    for (const auto& exprs : set.elements.exprs) note_asked(asked, exprs);
  }
  for (const Chain& chain : table.chains) {
    for (const Rule& rule : chain.rules) {
      for (const Expr& expr : rule.exprs) note_asked(asked, expr);
    }
  }
}

}  // namespace

KeptAsked kept_asked(const Ruleset& before, const Ruleset& after) {
  KeptAsked asked;
  for (const Ruleset* side : {&before, &after}) {
    for (const Table& table : side->tables) note_asked(asked, table);
  }
  return asked;
}

bool writes_kept(const Expr& expr) {
  if (std::holds_alternative<CtSet>(expr) || std::holds_alternative<Notrack>(expr)) return true;
  if (const auto* match = std::get_if<XtMatch>(&expr)) {
    const auto meaning = meaning_of(*match);
    const auto* label = meaning ? std::get_if<XtConnlabel>(&*meaning) : nullptr;
    return label != nullptr && label->sets;
  }
  const auto* target = std::get_if<XtTarget>(&expr);
  const auto meaning = target == nullptr ? std::nullopt : std::optional(meaning_of(*target));
  if (!meaning || !*meaning) return false;
  const auto* mark = std::get_if<XtConnmarkTarget>(&**meaning);
  return (mark != nullptr && mark->does != XtConnmarkTarget::Does::Restores) ||
         std::holds_alternative<XtCt>(**meaning);
}

}  // namespace rolewall::analyze
