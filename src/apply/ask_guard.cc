#include "apply/ask_guard.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "apply/elements.h"
#include "apply/run_time_jumps.h"
#include "eval/partial_sets.h"
#include "ruleset/own_table.h"
#include "ruleset/verify.h"

namespace rolewall::apply {
namespace {

using netlink::UnreadSet;
using ruleset::Set;
using ruleset::Table;

bool is_filled_by_hand(const Set& set) {
  return ruleset::own::holds_bans(set.name) || ruleset::own::holds_openings(set.name);
}

// A ruleset of which large sets were not read.
struct InPart {
  ruleset::Ruleset ruleset{};
  std::vector<std::vector<UnreadSet>> unread{};  // of each of its tables
  eval::PartialSets partial{};

  void add(Table table, std::vector<UnreadSet> sets) {
    ruleset.tables.push_back(std::move(table));
    unread.push_back(std::move(sets));
  }
  // Once all tables are in their places.
  void note_partial() {
    for (std::size_t i = 0; i < unread.size(); ++i) {
      for (const UnreadSet& set : unread[i]) {
        const Set* found = find_set(ruleset.tables[i], set.name);
        if (found != nullptr) partial[found].count = set.count;
      }
    }
  }
  AskedRuleset asked() { return {.ruleset = ruleset, .partial = partial}; }
};

class LiveGuard {
 public:
  LiveGuard(Kernel& kernel, const Table* wanted, const Today& today) : kernel_(kernel) {
    if (wanted != nullptr) wanted_ = *wanted;
    if (today.confirmed) confirmed_ = *today.confirmed;
    reads_today_ = !today.confirmed;
  }

  Result<GuardAnswer> ask(const GuardFacts& facts) {
    TRY(read());
    return ask_until_read(before_, after_, facts);
  }

  // What is lost today too is no loss.
  Result<GuardAnswer> ask_about_removal(const std::string& set, const ruleset::Bytes& key,
                                        const GuardFacts& facts) {
    TRY(read());
    after_.ruleset.tables.front() = before_.ruleset.tables.front();
    after_.unread.front() = before_.unread.front();
    after_.partial.clear();
    after_.note_partial();
    Table& ours = after_.ruleset.tables.front();
    const auto at = std::ranges::find(ours.sets, set, &Set::name);
    if (at == ours.sets.end()) return GuardAnswer{};
    remove(*at, key);
    // It is not to be found by asking the kernel either.
    if (const auto partial = after_.partial.find(&*at); partial != after_.partial.end()) {
      partial->second.read.insert(key);
    }
    Result<GuardAnswer> then = ask_until_read(before_, after_, facts);
    if (!then || then->losses.empty()) return then;
    const Result<GuardAnswer> now = ask_until_read(before_, before_, facts);
    if (!now) return std::unexpected(now.error());
    std::erase_if(then->losses, [&](const Loss& loss) {
      return std::ranges::find(now->losses, loss.what, &Loss::what) != now->losses.end();
    });
    return then;
  }

 private:
  static void remove(Set& set, const ruleset::Bytes& key) {
    const ruleset::Elements all = set.elements;
    set.elements = {};
    set.elements.key_size = set.key_size();
    for (std::size_t row = 0; row < all.count(); ++row) {
      if (!std::ranges::equal(all.key(row), key)) set.elements.append(all, row);
    }
  }

  Result<GuardAnswer> ask_until_read(InPart& before, InPart& after, const GuardFacts& facts) {
    while (true) {
      GuardAnswer answer = ask_about(before.asked(), after.asked(), facts);
      bool again = false;
      for (InPart* each : {&before, &after}) {
        const Result<bool> more = read_what_was_asked(*each);
        if (!more) return std::unexpected(more.error());
        again |= *more;
      }
      if (!again) return answer;
    }
  }

  static Table nothing() {
    Table table;
    table.family = ruleset::kOwnFamily;
    table.name = ruleset::kOwnTable;
    return table;
  }

  // Bans and openings stay over applies.
  static std::vector<UnreadSet> take_bans(const netlink::TableInPart& live, Table& table) {
    std::vector<UnreadSet> unread;
    RunTimeSteps steps;
    for (Set& set : table.sets) {
      if (!is_filled_by_hand(set) || !set.elements.empty()) continue;
      const Set* now = find_set(live.table, set.name);
      if (now == nullptr || now->key != set.key || now->interval != set.interval) continue;
      set.elements = now->elements;
      const auto left_out = std::ranges::find(live.unread, set.name, &UnreadSet::name);
      if (left_out == live.unread.end()) continue;
      unread.push_back(*left_out);
      steps.bans |= ruleset::own::holds_bans(set.name);
      steps.openings |= ruleset::own::holds_openings(set.name);
    }
    add_run_time_jumps(table, steps | held_by(table));
    return unread;
  }

  Result<void> read() {
    auto live = kernel_.read_table_in_part(ruleset::kOwnFamily, ruleset::kOwnTable, kLargeSet);
    if (!live) return std::unexpected(std::move(live).error());
    const netlink::TableInPart now =
        *live ? std::move(**live) : netlink::TableInPart{.table = nothing(), .unread = {}};
    const auto add_ours = [&](InPart& to, std::optional<Table>& table) {
      Table ours = table ? std::move(*table) : nothing();
      std::vector<UnreadSet> unread = take_bans(now, ours);
      to.add(std::move(ours), std::move(unread));
    };
    if (reads_today_) {
      before_.add(now.table, now.unread);
    } else {
      add_ours(before_, confirmed_);
    }
    add_ours(after_, wanted_);
    TRY(read_others());
    before_.note_partial();
    after_.note_partial();
    return {};
  }

  Result<void> read_others() {
    const Result<std::vector<Table>> there = kernel_.tables();
    if (!there) return std::unexpected(there.error());
    for (const Table& other : *there) {
      if (is_own(other)) continue;
      auto read = kernel_.read_table_in_part(other.family, other.name, kLargeSet);
      if (!read) return std::unexpected(std::move(read).error());
      if (!*read) continue;
      before_.add((*read)->table, (*read)->unread);
      after_.add(std::move((*read)->table), std::move((*read)->unread));
    }
    return {};
  }

  // False where nothing was asked for. What was read may be of a later day than its table, and name
  // a chain that came since: then the set is undecided.
  Result<bool> read_what_was_asked(InPart& from) {
    bool any = false;
    for (Table& table : from.ruleset.tables) {
      bool reads = false;
      for (Set& set : table.sets) {
        const auto partial = from.partial.find(&set);
        if (partial == from.partial.end()) continue;
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
  std::optional<Table> wanted_;
  std::optional<Table> confirmed_;
  bool reads_today_ = true;
  InPart before_;
  InPart after_;
};

}  // namespace

Result<GuardAnswer> ask_guard(Kernel& kernel, const Table* wanted, const GuardFacts& facts,
                              const Today& today) {
  return LiveGuard(kernel, wanted, today).ask(facts);
}

Result<GuardAnswer> ask_about_removal(Kernel& kernel, const std::string& set,
                                      const ruleset::Bytes& key, const GuardFacts& facts) {
  return LiveGuard(kernel, nullptr, {}).ask_about_removal(set, key, facts);
}

void track_sessions(Kernel& kernel, GuardFacts& facts) {
  for (Session& session : facts.sessions) {
    const netlink::TcpSocket socket{.local = session.server,
                                    .local_port = session.server_port,
                                    .remote = session.client,
                                    .remote_port = session.client_port};
    session.tracked = kernel.ensure_conntrack_entry(socket, true).has_value();
  }
}

Result<void> settle(const Result<GuardAnswer>& answer, GuardCall& call) {
  if (!answer) return std::unexpected(answer.error());
  call.answer = *answer;
  if (call.answer.losses.empty() || call.force) return {};
  return fail(ErrorKind::Refused, "the guard refused");
}

Result<void> ask_before(Kernel& kernel, const Table* wanted, GuardCall* call) {
  if (call == nullptr) return {};
  track_sessions(kernel, call->facts);
  return settle(ask_guard(kernel, wanted, call->facts), *call);
}

}  // namespace rolewall::apply
