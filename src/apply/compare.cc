#include "apply/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "apply/normalise.h"
#include "ruleset/names.h"

namespace rolewall::apply {
namespace {

using namespace ruleset;

std::string rule_name(const Rule& rule) {
  return rule.comment.empty() ? "a rule without a name" : "rule " + rule.comment;
}

// Collects up to kMaxDrift lines and counts the others.
class Lines {
 public:
  void add(std::string line) {
    if (lines_.size() < kMaxDrift - 1) {
      lines_.push_back(std::move(line));
    } else {
      ++more_;
    }
  }
  std::vector<std::string> take() {
    if (more_ != 0) lines_.push_back(fmt::format("and {} other differences", more_));
    return std::move(lines_);
  }

 private:
  std::vector<std::string> lines_;
  std::size_t more_ = 0;
};

// `live` of a rule that is there, changed; its place in `unmatched` is taken.
bool take_same_comment(std::vector<const Rule*>& unmatched, const Rule& wanted) {
  const auto at = std::find_if(unmatched.begin(), unmatched.end(), [&](const Rule* rule) {
    return !wanted.comment.empty() && rule->comment == wanted.comment;
  });
  if (at == unmatched.end()) return false;
  unmatched.erase(at);
  return true;
}

void compare_rules(const Chain& live, const Chain& wanted, Lines& lines) {
  if (live.rules == wanted.rules) return;
  std::vector<const Rule*> unmatched;
  for (const Rule& rule : live.rules) unmatched.push_back(&rule);
  std::vector<const Rule*> lost;
  for (const Rule& rule : wanted.rules) {
    const auto at = std::find_if(unmatched.begin(), unmatched.end(),
                                 [&](const Rule* other) { return *other == rule; });
    if (at != unmatched.end()) {
      unmatched.erase(at);
    } else {
      lost.push_back(&rule);
    }
  }
  if (lost.empty() && unmatched.empty()) {
    lines.add(fmt::format("the rules of chain {} are in another order", wanted.name));
  }
  for (const Rule* rule : lost) {
    const bool changed = take_same_comment(unmatched, *rule);
    lines.add(fmt::format("{} in chain {} {}", rule_name(*rule), wanted.name,
                          changed ? "was changed" : "is missing"));
  }
  for (const Rule* rule : unmatched) {
    lines.add(fmt::format("{} was added to chain {}", rule_name(*rule), wanted.name));
  }
}

std::string base_text(const std::optional<BaseChain>& base) {
  if (!base) return "reached by jumps alone";
  std::string text = fmt::format("type {} hook {} priority {} policy {}", name_of(base->type),
                                 name_of(base->hook), base->priority, name_of(base->policy));
  if (!base->devices.empty()) text += fmt::format(" devices {}", fmt::join(base->devices, ", "));
  return text;
}

void compare_chains(const Table& live, const Table& wanted, Lines& lines) {
  for (const Chain& chain : wanted.chains) {
    const Chain* other = find_chain(live, chain.name);
    if (other == nullptr) {
      lines.add(fmt::format("chain {} is missing", chain.name));
      continue;
    }
    if (other->base != chain.base) {
      lines.add(fmt::format("chain {} is {}, not {}", chain.name, base_text(other->base),
                            base_text(chain.base)));
    }
    compare_rules(*other, chain, lines);
  }
  for (const Chain& chain : live.chains) {
    if (find_chain(wanted, chain.name) == nullptr) {
      lines.add(fmt::format("chain {} was added", chain.name));
    }
  }
}

// Of two rows of equal keys.
bool same_row(const Elements& a, std::size_t i, const Elements& b, std::size_t j) {
  const auto same = [&](const auto& x, const auto& y) {
    if (x.empty() && y.empty()) return true;
    using Row = typename std::decay_t<decltype(x)>::value_type;
    return (x.empty() ? Row{} : x[i]) == (y.empty() ? Row{} : y[j]);
  };
  return std::ranges::equal(a.value(i), b.value(j)) && same(a.verdicts, b.verdicts) &&
         same(a.objects, b.objects) && same(a.timeouts_ms, b.timeouts_ms) &&
         same(a.exprs, b.exprs) && same(a.comments, b.comments);
}

// REQUIRES: keys of one size, both sorted.
int compare_keys(const Elements& a, std::size_t i, const Elements& b, std::size_t j) {
  const int order = std::memcmp(a.key(i).data(), b.key(j).data(), a.key_size);
  if (order != 0) return order;
  return std::memcmp(a.key_end(i).data(), b.key_end(j).data(), a.key_size);
}

void compare_elements(const Set& live, const Set& wanted, Lines& lines) {
  Elements sorted;  // ranges of a concatenation come in the kernel's order
  const bool ordered = live.interval && live.key.size() > 1;
  if (ordered) {
    sorted = live.elements;
    sorted.sort();
  }
  const Elements& a = ordered ? sorted : live.elements;
  const Elements& b = wanted.elements;
  std::size_t added = 0;
  std::size_t missing = 0;
  std::size_t changed = 0;
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < a.count() && j < b.count()) {
    const int order = compare_keys(a, i, b, j);
    if (order == 0 && !same_row(a, i, b, j)) ++changed;
    if (order < 0) ++added;
    if (order > 0) ++missing;
    if (order <= 0) ++i;
    if (order >= 0) ++j;
  }
  added += a.count() - i;
  missing += b.count() - j;
  const auto say = [&](std::size_t count, std::string_view what) {
    if (count == 0) return;
    lines.add(
        fmt::format("set {}: {} element{} {}", wanted.name, count, count == 1 ? "" : "s", what));
  };
  say(missing, "missing");
  say(added, "added");
  say(changed, "changed");
  if (a.has_catch_all != b.has_catch_all || a.catch_all_verdict != b.catch_all_verdict ||
      a.catch_all_data != b.catch_all_data || a.catch_all_object != b.catch_all_object ||
      a.catch_all_comment != b.catch_all_comment) {
    lines.add(fmt::format("set {}: its element * is another", wanted.name));
  }
}

// All but the elements.
bool same_shape(Set a, Set b) {
  a.elements = {};
  b.elements = {};
  return a == b;
}

void compare_sets(const Table& live, const Table& wanted, Lines& lines) {
  for (const Set& set : wanted.sets) {
    const Set* other = find_set(live, set.name);
    if (other == nullptr) {
      lines.add(fmt::format("set {} is missing", set.name));
    } else if (!other->unsupported.empty()) {
      lines.add(fmt::format("set {} cannot be read: {}", set.name, other->unsupported));
    } else if (!same_shape(*other, set)) {
      lines.add(fmt::format("set {} has another type, size or flags", set.name));
    } else {
      compare_elements(*other, set, lines);
    }
  }
  for (const Set& set : live.sets) {
    if (find_set(wanted, set.name) == nullptr) lines.add(fmt::format("set {} was added", set.name));
  }
}

template <class T>
void append_row(std::vector<T>& to, std::size_t rows, const T& value) {
  if (to.empty() && value == T{}) return;
  to.resize(rows);
  to.push_back(value);
}

template <class T>
T row_of(const std::vector<T>& column, std::size_t row) {
  return column.empty() ? T{} : column[row];
}

// What is worth carrying: an element that means something by being there. One that holds a limit
// or a count of connections is made again by the next packet.
bool carried(const Elements& elements, std::size_t row) {
  const std::vector<StatefulExpr> exprs = row_of(elements.exprs, row);
  return std::none_of(exprs.begin(), exprs.end(), [](const StatefulExpr& expr) {
    return std::holds_alternative<Limit>(expr) || std::holds_alternative<Connlimit>(expr);
  });
}

void carry_set(const Set& live, Set& wanted) {
  Elements& to = wanted.elements;
  const Elements& from = live.elements;
  to = {};
  to.key_size = wanted.key_size();
  for (std::size_t row = 0; row < from.count(); ++row) {
    if (!carried(from, row)) continue;
    const std::size_t rows = to.count();
    to.keys.insert(to.keys.end(), from.key(row).begin(), from.key(row).end());
    if (wanted.interval) {
      to.key_ends.insert(to.key_ends.end(), from.key_end(row).begin(), from.key_end(row).end());
    }
    // The set's own timeout may be another now; an element keeps the one that it was made with.
    std::uint64_t timeout = row_of(from.timeouts_ms, row);
    if (timeout == 0) timeout = live.timeout_ms;
    append_row(to.timeouts_ms, rows, timeout == wanted.timeout_ms ? std::uint64_t{0} : timeout);
    append_row(to.expirations_ms, rows, row_of(from.expirations_ms, row));
    append_row(to.exprs, rows, row_of(from.exprs, row));
    append_row(to.comments, rows, row_of(from.comments, row));
  }
  const std::size_t rows = to.count();
  for (auto* column : {&to.timeouts_ms, &to.expirations_ms}) {
    if (!column->empty()) column->resize(rows);
  }
  if (!to.exprs.empty()) to.exprs.resize(rows);
  if (!to.comments.empty()) to.comments.resize(rows);
}

}  // namespace

bool same_table(const Table& live, const Table& wanted) {
  return normalised(live, wanted) == normalised(wanted, wanted);
}

std::vector<std::string> drift(const Table& live, const Table& wanted) {
  const Table a = normalised(live, wanted);
  const Table b = normalised(wanted, wanted);
  Lines lines;
  if (a.flags != b.flags) {
    constexpr std::uint32_t kDormant = 1;  // NFT_TABLE_F_DORMANT
    lines.add((a.flags & kDormant) != 0 ? "the table is dormant: it filters nothing"
                                        : "the table has other flags");
  }
  compare_chains(a, b, lines);
  compare_sets(a, b, lines);
  return lines.take();
}

void carry_over(const Table& live, Table& wanted) {
  for (Set& set : wanted.sets) {
    if (!filled_at_run_time(set) || set.kind != SetKind::Set) continue;
    const Set* other = find_set(live, set.name);
    if (other == nullptr || !other->unsupported.empty() || other->kind != set.kind ||
        other->key != set.key || other->interval != set.interval ||
        other->has_timeout != set.has_timeout || other->exprs != set.exprs) {
      continue;
    }
    carry_set(*other, set);
  }
}

}  // namespace rolewall::apply
