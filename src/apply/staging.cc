#include "apply/staging.h"

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "apply/elements.h"
#include "ruleset/effects.h"
#include "ruleset/expr.h"

namespace rolewall::apply {
namespace {

using namespace ruleset;

// So many elements go into one transaction, or fewer, where the buffer is smaller still.
constexpr std::size_t kMostRows = 16'384;
constexpr std::size_t kLeastRows = 32;

class Stage {
 public:
  Stage(Kernel& kernel, const Belief& live, const Difference& change)
      : kernel_(kernel), wanted_(change.table), table_(change.table), before_(live) {
    staged_.live = live;
    for (std::size_t i = 0; i < wanted_.sets.size(); ++i) {
      const Set& set = wanted_.sets[i];
      const bool there = live.table && find_set(*live.table, set.name) != nullptr;
      const bool stays = there && (is_named(*live.table, set.name) || !differs(change, i));
      if (is_large(set) && !stays) sets_.push_back(i);
      table_.sets[i].elements = {};
    }
    for (Chain& chain : table_.chains) chain.rules.clear();
  }

  Result<std::optional<Staged>> take() {
    if (sets_.empty()) return std::nullopt;
    auto filled = declare_and_fill();
    if (there_) staged_.live.table = std::make_shared<const Table>(std::move(*there_));
    if (!filled) {
      unstage(kernel_, before_, staged_.live);
      return std::unexpected(std::move(filled).error());
    }
    return std::move(staged_);
  }

 private:
  Result<void> declare_and_fill() {
    TRY(declare());
    for (const std::size_t set : sets_) {
      if (staged_.clash) break;
      TRY(fill(set));
    }
    return {};
  }

  // Whether a set that is there and named by nothing has to change.
  static bool differs(const Difference& change, std::size_t set) {
    const auto is_it = [&](const TableChange::Elements& part) { return part.set == set; };
    return std::ranges::any_of(change.change.added_elements, is_it) ||
           std::ranges::any_of(change.change.removed_elements, is_it) ||
           std::ranges::find(change.change.added_sets, set) != change.change.added_sets.end();
  }

  Result<void> note(const Result<netlink::CommitResult>& result) {
    if (!result) return std::unexpected(result.error());
    staged_.clash = !result->committed;
    staged_.refusals = result->refusals;
    if (result->committed) staged_.live.mark = {.generation = result->generation};
    return {};
  }

  // The sets, with nothing in them; of a set that an apply has left unfinished, none of that.
  Result<void> declare() {
    const std::uint32_t generation = staged_.live.mark.generation;
    if (before_.table == nullptr) {
      Table empty;
      empty.family = wanted_.family;
      empty.name = wanted_.name;
      empty.flags = wanted_.flags;
      empty.comment = wanted_.comment;
      for (const std::size_t set : sets_) empty.sets.push_back(table_.sets[set]);
      there_ = std::move(empty);  // before it is sent: should the answer be lost, it may be there
      return note(kernel_.replace_table(*there_, generation));
    }
    there_ = *before_.table;
    Table& there = *there_;
    TableChange change;
    for (const std::size_t set : sets_) {
      const auto at = std::ranges::find(there.sets, table_.sets[set].name, &Set::name);
      if (at != there.sets.end()) {
        change.removed_sets.push_back(at->name);
        there.sets.erase(at);
      }
      change.added_sets.push_back(set);
      there.sets.push_back(table_.sets[set]);
    }
    return note(kernel_.change_table(table_, change, generation));
  }

  Result<void> fill(std::size_t set) {
    const Elements& all = wanted_.sets[set].elements;
    for (std::size_t row = 0; row < all.count() && !staged_.clash;) {
      const std::size_t count = std::min(rows_, all.count() - row);
      TableChange change;
      change.added_elements = {{.set = set, .elements = rows_of(all, row, count)}};
      const auto result = kernel_.change_table(table_, change, staged_.live.mark.generation);
      if (!result && result.error().os_errno == EMSGSIZE && rows_ > kLeastRows) {
        rows_ /= 2;
        continue;
      }
      TRY(note(result));
      row += count;
    }
    const auto there = std::ranges::find(there_->sets, wanted_.sets[set].name, &Set::name);
    there->elements = all;
    return {};
  }

  Kernel& kernel_;
  const Table& wanted_;
  Table table_;  // as wanted, without elements and rules
  std::vector<std::size_t> sets_;
  std::size_t rows_ = kMostRows;
  const Belief& before_;
  std::optional<Table> there_;  // ours as the kernel holds it by now
  Staged staged_;
};

}  // namespace

bool is_named(const Table& table, std::string_view set) {
  const TableIndex names(table);
  return std::ranges::any_of(table.chains, [&](const Chain& chain) {
    return std::ranges::any_of(chain.rules, [&](const Rule& rule) {
      return std::ranges::any_of(rule.exprs, [&](const Expr& expr) {
        const std::string* name = effects_of(expr, names).set;
        return name != nullptr && *name == set;
      });
    });
  });
}

Result<std::optional<Staged>> stage(Kernel& kernel, const Belief& live, const Difference& change) {
  return Stage(kernel, live, change).take();
}

void unstage(Kernel& kernel, const Belief& before, const Belief& staged) {
  if (!staged.table) return;
  if (!before.table) {
    [[maybe_unused]] const auto gone =
        kernel.delete_table(staged.table->family, staged.table->name, std::nullopt);
    return;
  }
  TableChange change;
  for (const Set& set : staged.table->sets) {
    if (find_set(*before.table, set.name) == nullptr) change.removed_sets.push_back(set.name);
  }
  [[maybe_unused]] const auto gone = kernel.change_table(*staged.table, change, std::nullopt);
}

}  // namespace rolewall::apply
