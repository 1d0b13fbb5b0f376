#include "apply/ask_guard.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "apply/elements.h"
#include "eval/partial_sets.h"
#include "ruleset/verify.h"

namespace rolewall::apply {
namespace {

using ruleset::Set;
using ruleset::Table;

class LiveGuard {
 public:
  LiveGuard(Kernel& kernel, const Table& wanted) : kernel_(kernel) {
    after_.tables.push_back(wanted);
  }

  Result<std::vector<Loss>> ask(const GuardFacts& facts) {
    TRY(read_others());
    while (true) {
      std::vector<Loss> found = losses(after_, facts, partial_);
      const Result<bool> more = read_what_was_asked();
      if (!more) return std::unexpected(more.error());
      if (!*more) return found;
    }
  }

 private:
  Result<void> read_others() {
    const Result<std::vector<Table>> there = kernel_.tables();
    if (!there) return std::unexpected(there.error());
    std::vector<std::vector<netlink::UnreadSet>> unread{{}};  // of each of after_.tables
    for (const Table& other : *there) {
      if (is_own(other)) continue;
      auto read = kernel_.read_table_in_part(other.family, other.name, kLargeSet);
      if (!read) return std::unexpected(std::move(read).error());
      if (!*read) continue;
      after_.tables.push_back(std::move((*read)->table));
      unread.push_back(std::move((*read)->unread));
    }
    // All are in their places.
    for (std::size_t i = 0; i < unread.size(); ++i) {
      for (const netlink::UnreadSet& set : unread[i]) {
        partial_[find_set(after_.tables[i], set.name)].count = set.count;
      }
    }
    return {};
  }

  // False where nothing was asked for. What was read may be of a later day than its table, and name
  // a chain that came since: then the set is undecided.
  Result<bool> read_what_was_asked() {
    bool any = false;
    for (Table& table : after_.tables) {
      bool reads = false;
      for (Set& set : table.sets) {
        const auto partial = partial_.find(&set);
        if (partial == partial_.end()) continue;
        for (const ruleset::Bytes& key : partial->second.asked) {
          TRY(kernel_.read_element(table, set, key));
          reads = true;
        }
        partial->second.read.merge(partial->second.asked);
        partial->second.asked.clear();
        set.elements.sort();
      }
      any |= reads;
      if (!reads) continue;
      if (const auto flaw = ruleset::set_flaws_aside(table)) {
        return fail(ErrorKind::System, fmt::format("the kernel's table {} cannot be read: {}: {}",
                                                   table.name, flaw->path, flaw->what));
      }
    }
    return any;
  }

  Kernel& kernel_;
  ruleset::Ruleset after_;
  eval::PartialSets partial_;
};

}  // namespace

Result<std::vector<Loss>> ask_guard(Kernel& kernel, const Table& wanted, const GuardFacts& facts) {
  return LiveGuard(kernel, wanted).ask(facts);
}

}  // namespace rolewall::apply
