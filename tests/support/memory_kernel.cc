#include "support/memory_kernel.h"

#include <algorithm>
#include <cerrno>
#include <unordered_map>
#include <utility>

#include "netlink/batch.h"
#include "netlink/refusal.h"
#include "ruleset/effects.h"
#include "ruleset/expr.h"

namespace rolewall::test {
namespace {

using namespace ruleset;
using netlink::CommitResult;

constexpr std::uint64_t kNsPerMs = 1'000'000;

template <class T>
auto named(std::vector<T>& among, std::string_view name) {
  return std::ranges::find_if(among, [&](const T& each) { return each.name == name; });
}

bool leads_to(const Verdict& verdict, std::string_view chain) {
  return verdict.chain == chain;
}

// Whether a rule or an element of a verdict map leads to the chain.
bool is_jumped_to(const Table& table, std::string_view chain) {
  const auto by_rule = [&](const Rule& rule) {
    return std::ranges::any_of(rule.exprs, [&](const Expr& expr) {
      const auto* immediate = std::get_if<ImmediateVerdict>(&expr);
      return immediate != nullptr && leads_to(immediate->verdict, chain);
    });
  };
  return std::ranges::any_of(table.chains,
                             [&](const Chain& each) {
                               return each.name != chain &&
                                      std::ranges::any_of(each.rules, by_rule);
                             }) ||
         std::ranges::any_of(table.sets, [&](const Set& set) {
           return std::ranges::any_of(
                      set.elements.verdicts,
                      [&](const Verdict& verdict) { return leads_to(verdict, chain); }) ||
                  leads_to(set.elements.catch_all_verdict, chain);
         });
}

bool any_expr(const Table& table, const std::function<bool(const Expr&)>& is_it) {
  return std::ranges::any_of(table.chains, [&](const Chain& chain) {
    return std::ranges::any_of(
        chain.rules, [&](const Rule& rule) { return std::ranges::any_of(rule.exprs, is_it); });
  });
}

bool is_set_named(const Table& table, const std::string& set) {
  const TableIndex index(table);
  return any_expr(table, [&](const Expr& expr) {
    const std::string* name = effects_of(expr, index).set;
    return name != nullptr && *name == set;
  });
}

// Each row's number by its key, or by both ends of its range.
using Rows = std::unordered_map<std::string, std::size_t>;

std::string key_of(const Elements& elements, std::size_t row) {
  std::string key(elements.key(row).begin(), elements.key(row).end());
  const auto last = elements.key_end(row);
  return key.append(last.begin(), last.end());
}

Rows rows_of(const Elements& elements) {
  Rows rows;
  for (std::size_t row = 0; row < elements.count(); ++row) rows.emplace(key_of(elements, row), row);
  return rows;
}

// The rows for which `stays` holds.
Elements rows_that(const Elements& all, const std::function<bool(std::size_t)>& stays) {
  Elements rows;
  rows.key_size = all.key_size;
  rows.data_size = all.data_size;
  for (std::size_t row = 0; row < all.count(); ++row) {
    if (stays(row)) rows.append(all, row);
  }
  if (all.has_catch_all) rows.take_catch_all(all);
  return rows;
}

// One transaction on a table, in the order of netlink/change_batch.cc. Each step: 0 or the errno.
class Transaction {
 public:
  Transaction(Table& table, std::uint64_t& next_handle, std::uint64_t now_ms)
      : table_(table), next_handle_(next_handle), now_ms_(now_ms) {}

  int run(const Table& wanted, const TableChange& change) {
    if (const int error = remove(wanted, change)) return error;
    return add(wanted, change);
  }

 private:
  int remove(const Table& wanted, const TableChange& change) {
    for (const auto& rule : change.removed_rules) {
      const auto chain = named(table_.chains, rule.chain);
      if (chain == table_.chains.end()) return ENOENT;
      const auto at = std::ranges::find(chain->rules, rule.handle, &Rule::handle);
      if (at == chain->rules.end()) return ENOENT;
      chain->rules.erase(at);
    }
    for (const auto& part : change.removed_elements) {
      const auto set = named(table_.sets, wanted.sets[part.set].name);
      if (set == table_.sets.end()) return ENOENT;
      if (const int error = remove_elements(*set, part.elements)) return error;
    }
    for (const std::string& name : change.removed_sets) {
      const auto set = named(table_.sets, name);
      if (set == table_.sets.end()) return ENOENT;
      if (is_set_named(table_, name)) return EBUSY;
      table_.sets.erase(set);
    }
    // A chain takes its own rules along (nf_tables_delchain()).
    for (const std::string& name : change.removed_chains) {
      const auto chain = named(table_.chains, name);
      if (chain == table_.chains.end()) return ENOENT;
      if (is_jumped_to(table_, name)) return EBUSY;
      table_.chains.erase(chain);
    }
    for (const auto& removal : change.removed_objects) {
      const auto at = std::ranges::find_if(table_.objects, [&](const Object& object) {
        return object.type == removal.type && object.name == removal.name;
      });
      if (at == table_.objects.end()) return ENOENT;
      if (names_object(removal.type, removal.name)) return EBUSY;
      table_.objects.erase(at);
    }
    return 0;
  }

  int add(const Table& wanted, const TableChange& change) {
    for (const std::size_t i : change.added_objects) {
      const Object& object = wanted.objects[i];
      if (find_object(table_, object.type, object.name) != nullptr) return EEXIST;
      table_.objects.push_back(object);
    }
    for (const std::size_t i : change.added_sets) {
      if (find_set(table_, wanted.sets[i].name) != nullptr) return EEXIST;
      Set& set = table_.sets.emplace_back(wanted.sets[i]);
      set.handle = next_handle_++;
      set.elements = {};
    }
    for (const std::size_t i : change.added_chains) {
      if (find_chain(table_, wanted.chains[i].name) != nullptr) return EEXIST;
      Chain& chain = table_.chains.emplace_back(wanted.chains[i]);
      chain.handle = next_handle_++;
      chain.rules.clear();
    }
    for (const std::size_t i : change.new_policies) {
      const auto chain = named(table_.chains, wanted.chains[i].name);
      if (chain == table_.chains.end() || !chain->base) return ENOENT;
      chain->base->policy = wanted.chains[i].base->policy;
    }
    for (const std::size_t i : change.added_sets) {
      const Set& set = wanted.sets[i];
      if (const int error = add_elements(*named(table_.sets, set.name), set.elements)) return error;
    }
    for (const auto& part : change.added_elements) {
      const auto set = named(table_.sets, wanted.sets[part.set].name);
      if (set == table_.sets.end()) return ENOENT;
      if (const int error = add_elements(*set, part.elements)) return error;
    }
    for (const auto& at : change.added_rules) {
      if (const int error = add_rule(wanted.chains[at.chain], at)) return error;
    }
    return 0;
  }

  // What is over is neither in the way of an element that is added (__nft_rbtree_insert(),
  // nft_rhash_cmp()) nor there to be removed.
  void drop_expired(Set& set) const {
    const std::vector<std::uint64_t> ends = set.elements.expirations_ms;
    const auto is_over = [&](std::size_t row) { return ends[row] != 0 && ends[row] <= now_ms_; };
    if (ends.empty()) return;
    set.elements = rows_that(set.elements, [&](std::size_t row) { return !is_over(row); });
  }

  int remove_elements(Set& set, const Elements& gone) const {
    drop_expired(set);
    if (gone.has_catch_all) {
      if (!set.elements.has_catch_all) return ENOENT;
      Elements without = rows_that(set.elements, [](std::size_t) { return true; });
      without.take_catch_all({});
      set.elements = std::move(without);
    }
    Rows there = rows_of(set.elements);
    std::vector<bool> goes(set.elements.count());
    for (std::size_t row = 0; row < gone.count(); ++row) {
      const auto at = there.find(key_of(gone, row));
      if (at == there.end()) return ENOENT;
      goes[at->second] = true;
      there.erase(at);
    }
    set.elements = rows_that(set.elements, [&](std::size_t row) { return !goes[row]; });
    return 0;
  }

  int add_elements(Set& set, const Elements& added) const {
    if (added.empty()) return 0;
    drop_expired(set);
    Elements& there = set.elements;
    there.key_size = set.key_size();
    there.data_size = set.kind == SetKind::Map ? set.data.size : 0;
    const std::size_t before = there.count();
    if (set.size != 0 && before + added.count() > set.size) return ENFILE;
    for (const Verdict& verdict : added.verdicts) {
      if (!verdict.chain.empty() && find_chain(table_, verdict.chain) == nullptr) return ENOENT;
    }
    for (std::size_t row = 0; row < added.count(); ++row) there.append(added, row);
    if (added.has_catch_all) {
      if (there.has_catch_all) return EEXIST;
      there.take_catch_all(added);
    }
    start_clocks(set, before);
    there.sort();
    for (std::size_t row = 1; row < there.count(); ++row) {
      if (std::ranges::equal(there.key(row - 1), there.key(row)) &&
          std::ranges::equal(there.key_end(row - 1), there.key_end(row))) {
        return EEXIST;
      }
      // nft_rbtree.c: a range that overlaps with another is refused.
      if (set.interval &&
          !std::ranges::lexicographical_compare(there.key_end(row - 1), there.key(row))) {
        return ENOTEMPTY;
      }
    }
    return 0;
  }

  // What is left of an element that was carried over, else its own time, else the set's.
  void start_clocks(Set& set, std::size_t first) const {
    Elements& there = set.elements;
    if (!there.timeouts_ms.empty()) there.timeouts_ms.resize(there.count());
    if (!there.comments.empty()) there.comments.resize(there.count());
    if (!there.exprs.empty()) there.exprs.resize(there.count());
    if (!set.has_timeout) return;
    there.expirations_ms.resize(there.count());
    for (std::size_t row = first; row < there.count(); ++row) {
      std::uint64_t left = there.expirations_ms[row];
      if (left == 0 && !there.timeouts_ms.empty()) left = there.timeouts_ms[row];
      if (left == 0) left = set.timeout_ms;
      there.expirations_ms[row] = left == 0 ? 0 : now_ms_ + left;
    }
  }

  int add_rule(const Chain& wanted, const TableChange::RuleAddition& at) {
    const auto chain = named(table_.chains, wanted.name);
    if (chain == table_.chains.end()) return ENOENT;
    Rule rule = wanted.rules[at.rule];
    const TableIndex index(table_);
    for (const Expr& expr : rule.exprs) {
      if (const std::string* set = effects_of(expr, index).set;
          set != nullptr && find_set(table_, *set) == nullptr) {
        return ENOENT;
      }
      if (const auto* object = std::get_if<ObjectRef>(&expr);
          object != nullptr && find_object(table_, object->type, object->name) == nullptr) {
        return ENOENT;
      }
      const auto* immediate = std::get_if<ImmediateVerdict>(&expr);
      if (immediate != nullptr && !immediate->verdict.chain.empty() &&
          find_chain(table_, immediate->verdict.chain) == nullptr) {
        return ENOENT;
      }
    }
    rule.handle = next_handle_++;
    auto place = chain->rules.end();
    if (at.before != 0) {
      place = std::ranges::find(chain->rules, at.before, &Rule::handle);
      if (place == chain->rules.end()) return ENOENT;
    }
    chain->rules.insert(place, std::move(rule));
    return 0;
  }

  bool names_object(std::uint32_t type, const std::string& name) const {
    return any_expr(table_, [&](const Expr& expr) {
      const auto* object = std::get_if<ObjectRef>(&expr);
      return object != nullptr && object->type == type && object->name == name;
    });
  }

  Table& table_;
  std::uint64_t& next_handle_;
  std::uint64_t now_ms_;
};

// All of a table that is made anew.
TableChange whole(const Table& table) {
  TableChange change;
  for (std::size_t i = 0; i < table.objects.size(); ++i) change.added_objects.push_back(i);
  for (std::size_t i = 0; i < table.sets.size(); ++i) change.added_sets.push_back(i);
  for (std::size_t i = 0; i < table.chains.size(); ++i) {
    change.added_chains.push_back(i);
    for (std::size_t rule = 0; rule < table.chains[i].rules.size(); ++rule) {
      change.added_rules.push_back({.chain = i, .rule = rule, .before = 0});
    }
  }
  return change;
}

std::uint32_t next_generation(std::uint32_t generation) {
  return generation + 1 == 0 ? 1 : generation + 1;
}

class MemoryKernel : public apply::Kernel {
 public:
  explicit MemoryKernel(MemoryStore& store) : store_(store) {}

  Result<std::uint32_t> generation() override {
    TRY(begin("generation"));
    return end(store_.generation);
  }

  Result<std::vector<Table>> tables() override {
    TRY(begin("tables"));
    std::vector<Table> all;
    for (const Table& table : store_.tables) {
      Table& bare = all.emplace_back();
      bare.family = table.family;
      bare.name = table.name;
      bare.handle = table.handle;
      bare.flags = table.flags;
    }
    return end(std::move(all));
  }

  Result<std::optional<Table>> read_table(Family family, std::string_view name,
                                          const apply::ElementsRead& which) override {
    TRY(begin(which.any ? "table" : "table without elements"));
    const Table* table = store_.find(family, name);
    return end(table == nullptr ? std::optional<Table>() : store_.dump(*table, which));
  }

  Result<std::optional<netlink::TableInPart>> read_table_in_part(Family family,
                                                                 std::string_view name,
                                                                 std::size_t most) override {
    TRY(begin("table in part"));
    const Table* table = store_.find(family, name);
    if (table == nullptr) return end(std::optional<netlink::TableInPart>());
    apply::ElementsRead which;
    netlink::TableInPart part;
    for (const Set& set : table->sets) {
      const auto count = static_cast<std::uint32_t>(set.elements.count());
      if (count <= most) continue;
      which.but.push_back(set.name);
      const auto told = store_.counts_elements ? std::optional(count) : std::nullopt;
      part.unread.push_back({.name = set.name, .count = told});
    }
    part.table = store_.dump(*table, which);
    return end(std::optional(std::move(part)));
  }

  Result<void> read_element(const Table& table, Set& set, const Bytes& key) override {
    TRY(begin("element"));
    const Table* there = store_.find(table.family, table.name);
    const Set* in = there == nullptr ? nullptr : find_set(*there, set.name);
    if (in == nullptr) return end();
    Elements found =
        store_.dump(*there, {}).sets[static_cast<std::size_t>(in - &there->sets[0])].elements;
    for (std::size_t row = 0; row < found.count(); ++row) {
      const bool holds = !std::ranges::lexicographical_compare(key, found.key(row)) &&
                         !std::ranges::lexicographical_compare(found.key_end(row), key);
      if (!holds) continue;
      Elements one = rows_that(found, [&](std::size_t each) { return each == row; });
      one.take_catch_all({});
      one.keys = key;
      if (!one.key_ends.empty()) one.key_ends = key;
      set.elements.key_size = set.key_size();
      set.elements.append(one, 0);
      break;
    }
    return end();
  }

  Result<std::optional<netlink::TableState>> table_state(Family family,
                                                         std::string_view name) override {
    TRY(begin("state of the table"));
    const Table* table = store_.find(family, name);
    if (table == nullptr) return end(std::optional<netlink::TableState>());
    netlink::TableState state{.handle = table->handle, .sets = {}};
    for (const Set& set : table->sets) {
      if (!store_.counts_elements) break;
      state.sets.push_back({.name = set.name,
                            .handle = set.handle,
                            .elements = static_cast<std::uint32_t>(set.elements.count())});
    }
    return end(std::optional(std::move(state)));
  }

  Result<CommitResult> replace_table(const Table& table,
                                     std::optional<std::uint32_t> expected) override {
    return commit("replace table", table, netlink::replace_batch(table, expected), expected,
                  [&] { return store_.replace(table); });
  }

  Result<CommitResult> change_table(const Table& wanted, const TableChange& change,
                                    std::optional<std::uint32_t> expected) override {
    return commit("change table", wanted, netlink::change_batch(wanted, change, expected), expected,
                  [&] { return store_.change(wanted, change); });
  }

  Result<CommitResult> delete_table(Family family, std::string_view name,
                                    std::optional<std::uint32_t> expected) override {
    return commit("delete table", {}, netlink::delete_batch(family, name, expected), expected, [&] {
      store_.remove(family, name);
      return 0;
    });
  }

  Result<netlink::TcpSockets> tcp_sockets() override {
    TRY(begin("sockets"));
    return end(store_.sockets);
  }

  Result<void> ensure_conntrack_entry(const netlink::TcpSocket& session, bool,
                                      std::uint8_t) override {
    TRY(begin("conntrack entry"));
    store_.tracked.push_back(session);
    return end();
  }

  Result<netlink::Ended> cut_connections(const net::AddressSet& with) override {
    TRY(begin("cut connections"));
    const std::size_t cut = std::erase_if(store_.tracked, [&](const netlink::TcpSocket& session) {
      return with.contains(session.remote);
    });
    TRY(end());
    return netlink::Ended{.sockets = cut, .entries = cut, .cannot_end_sockets = false};
  }

  Result<std::vector<netlink::OpenConnection>> open_connections() override { return store_.open; }
  Result<netlink::Ended> end_connections(
      std::span<const netlink::OpenConnection> connections) override {
    TRY(begin("end connections"));
    const std::size_t ended = std::erase_if(store_.open, [&](const auto& each) {
      return std::ranges::find(connections, each.id, &netlink::OpenConnection::id) !=
             connections.end();
    });
    TRY(end());
    return netlink::Ended{.sockets = 0, .entries = ended, .cannot_end_sockets = false};
  }

 private:
  bool is_due(Trouble trouble) const {
    const Fault& fault = store_.fault;
    return fault.trouble == trouble &&
           (number_ == fault.step || (fault.always && number_ > fault.step));
  }

  static std::unexpected<Error> broken() {
    return fail(ErrorKind::System, "the connection to the kernel broke", ENOBUFS);
  }

  Result<void> begin(std::string what) {
    number_ = store_.steps.size();
    store_.steps.push_back({.what = std::move(what)});
    if (is_due(Trouble::Others)) store_.fault.others(store_);
    if (is_due(Trouble::Fails)) return broken();
    if (is_due(Trouble::KilledBefore)) throw Killed();
    return {};
  }

  Result<void> end() const {
    if (is_due(Trouble::AnswerLost)) return broken();
    if (is_due(Trouble::KilledAfter)) throw Killed();
    return {};
  }
  template <class T>
  Result<T> end(T value) const {
    TRY(end());
    return value;
  }

  Result<CommitResult> commit(const char* what, const Table& table, Result<netlink::Batch> batch,
                              std::optional<std::uint32_t> expected,
                              const std::function<int()>& change) {
    if (!batch) return std::unexpected(std::move(batch).error());
    TRY(begin(what));
    Step& step = store_.steps.back();
    step.messages = batch->count();
    if (batch->bytes().size() > store_.send_buffer) {
      return fail(ErrorKind::System, "the change is larger than the socket's send buffer",
                  EMSGSIZE);
    }
    CommitResult result;
    if (expected && *expected != store_.generation) {
      result.generation_clash = true;
      return end(std::move(result));
    }
    if (is_due(Trouble::Refused)) {
      const auto message = static_cast<std::uint32_t>(store_.fault.message);
      result.refusals = {netlink::explain(
          table, *batch, {.sequence = message, .os_errno = ENOMEM, .offset = 0, .text = ""})};
      return end(std::move(result));
    }
    const int error = change();
    if (error != 0) {
      result.refusals = {{.os_errno = error,
                          .explanation = "the store in memory refuses it",
                          .kernel_message = "",
                          .what = what,
                          .rule_id = "",
                          .exact = false}};
      return end(std::move(result));
    }
    constexpr std::uint32_t kBeginAndEnd = 2;
    if (batch->count() > kBeginAndEnd) store_.generation = next_generation(store_.generation);
    step.committed = result.committed = true;
    result.generation = expected ? next_generation(*expected) : store_.generation;
    return end(std::move(result));
  }

  MemoryStore& store_;
  std::size_t number_ = 0;
};

}  // namespace

Table* MemoryStore::find(Family family, std::string_view name) {
  const auto at = std::ranges::find_if(
      tables, [&](const Table& table) { return table.family == family && table.name == name; });
  return at == tables.end() ? nullptr : &*at;
}

void MemoryStore::flush_ruleset() {
  tables.clear();
  touch();
}

void MemoryStore::put(Table table) {
  replace(table);
  touch();
}

int MemoryStore::change(const Table& wanted, const TableChange& change) {
  Table* there = find(wanted.family, wanted.name);
  if (there == nullptr) return ENOENT;
  Table made = *there;
  if (const int error = Transaction(made, next_handle_, now_ms).run(wanted, change)) return error;
  *there = std::move(made);
  return 0;
}

int MemoryStore::replace(const Table& table) {
  Table made;
  made.family = table.family;
  made.name = table.name;
  made.flags = table.flags;
  made.comment = table.comment;
  made.handle = next_handle_++;
  const TableChange all = whole(table);
  if (const int error = Transaction(made, next_handle_, now_ms).run(table, all)) return error;
  remove(table.family, table.name);
  tables.push_back(std::move(made));
  return 0;
}

void MemoryStore::remove(Family family, std::string_view name) {
  std::erase_if(tables,
                [&](const Table& table) { return table.family == family && table.name == name; });
}

Table MemoryStore::dump(const Table& table, const apply::ElementsRead& which) const {
  Table dumped = table;
  for (Set& set : dumped.sets) {
    if (!which.any || std::ranges::find(which.but, set.name) != which.but.end()) {
      set.elements = {};
      continue;
    }
    if (set.elements.expirations_ms.empty()) continue;
    const std::vector<std::uint64_t> ends = set.elements.expirations_ms;
    set.elements = rows_that(set.elements,
                             [&](std::size_t row) { return ends[row] == 0 || ends[row] > now_ms; });
    for (std::uint64_t& end : set.elements.expirations_ms) {
      if (end != 0) end -= now_ms;
    }
  }
  return dumped;
}

Result<std::unique_ptr<apply::Kernel>> MemoryWorld::open_kernel() const {
  return std::make_unique<MemoryKernel>(store_);
}

std::uint64_t MemoryWorld::boot_ns() const {
  return (store_.now_ms += tick_ms) * kNsPerMs;
}

Result<int> MemoryWorld::start_watch(const std::string&, const apply::Pending& pending,
                                     const std::optional<apply::Generation>& former,
                                     std::chrono::seconds) const {
  if (no_watch) return std::unexpected(*no_watch);
  timers.push_back({pending, former});
  return ++watches;
}

void MemoryWorld::reboot() {
  store_.tables.clear();
  store_.generation = 1;
  store_.now_ms = 1'000;
  boot += " and one more";
  timers.clear();
}

}  // namespace rolewall::test
