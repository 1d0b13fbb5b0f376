#include <fmt/format.h>
#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>

#include "netlink/attributes.h"
#include "netlink/batch.h"
#include "netlink/decode_ruleset.h"
#include "netlink/dump_attempt.h"
#include "netlink/kernel_numbers.h"
#include "netlink/netlink.h"
#include "netlink/refusal.h"
#include "netlink/socket.h"

namespace rolewall::netlink {
namespace {

using namespace ruleset;

// A dump that another program's changes spoilt is read again, with growing pauses, until this time
// is over; a large one, which takes longer than that, at least so often.
constexpr std::chrono::seconds kPatience{10};
constexpr int kLeastAttempts = 3;
constexpr std::chrono::milliseconds kFirstPause{1};
constexpr std::chrono::milliseconds kLongestPause{64};

}  // namespace

struct Connection::State {
  Socket socket;

  Result<std::uint32_t> generation() {
    std::uint32_t generation = 0;
    std::string problem = "no answer";
    TRY(socket.ask(request(NFT_MSG_GETGEN, 0, {}), [&](const Answer& answer) -> Result<void> {
      Attributes attributes(answer.attributes);
      generation = attributes.be32(NFTA_GEN_ID);
      attributes.ignore(NFTA_GEN_PROC_PID);
      attributes.ignore(NFTA_GEN_PROC_NAME);
      problem = attributes.finish();
      return {};
    }));
    if (problem.empty()) return generation;
    return fail(ErrorKind::System, "the kernel's generation cannot be read: " + problem);
  }

  // Waits until no commit is half way: the kernel raises the generation a moment before the new
  // rules are seen, and what is read in between would pass for the new ones. An empty transaction
  // waits for the others to end. False: the generation is not `generation` any more.
  Result<bool> settled(std::uint32_t generation) {
    Batch nothing(generation);
    nothing.finish();
    const std::uint32_t first = socket.reserve_sequences(nothing.count());
    nothing.number_from(first);
    const Result<BatchAnswer> answer = socket.transact(nothing.bytes(), first, nothing.count());
    if (!answer) return std::unexpected(answer.error());
    for (const KernelError& error : answer->errors) {
      if (error.os_errno == ERESTART) return false;
      const Refusal refusal = explain({}, nothing, error);
      return fail(ErrorKind::System, "the kernel's firewall cannot be read: " + refusal.explanation,
                  error.os_errno);
    }
    return true;
  }

  // std::nullopt: it changed meanwhile.
  Result<std::optional<Ruleset>> try_dump(const Scope& scope, bool with_elements,
                                          std::vector<std::string>* too_large) {
    const Result<std::uint32_t> before = generation();
    if (!before) return std::unexpected(before.error());
    const Result<bool> quiet = settled(*before);
    if (!quiet) return std::unexpected(quiet.error());
    if (!*quiet) return std::nullopt;
    DumpAttempt attempt(socket, *before);
    Result<std::optional<Ruleset>> read = attempt.read(scope, with_elements);
    if (too_large != nullptr) *too_large = attempt.take_too_large();
    const Result<std::uint32_t> after = generation();
    if (!after) return std::unexpected(after.error());
    // A set or table that is gone in the middle of a dump is a change like any other.
    if (*after != *before) return std::nullopt;
    return read;
  }

  Result<Ruleset> dump(const Scope& scope, bool with_elements,
                       std::vector<std::string>* too_large = nullptr) {
    using Clock = std::chrono::steady_clock;
    const Clock::time_point deadline = Clock::now() + kPatience;
    auto pause = kFirstPause;
    for (int attempt = 1;; ++attempt) {
      Result<std::optional<Ruleset>> read = try_dump(scope, with_elements, too_large);
      if (!read) return std::unexpected(std::move(read).error());
      std::optional<Ruleset>& whole = *read;
      if (whole) return std::move(*whole);
      if (attempt >= kLeastAttempts && Clock::now() > deadline) {
        return fail(ErrorKind::Conflict,
                    fmt::format("another program kept changing the firewall while it was read, {} "
                                "times",
                                attempt));
      }
      std::this_thread::sleep_for(pause);
      pause = std::min(pause * 2, kLongestPause);
    }
  }

  // The set with that one element, or with none.
  Result<Set> find_element(const Table& table, const Set& set, View key) {
    Set found = set;
    found.elements = {};
    PendingElements pending;
    const auto asked =
        socket.ask(element_request(table, set, key), [&](const Answer& answer) -> Result<void> {
          Attributes attributes(answer.attributes);
          decode_elements(set, attributes.bytes(NFTA_SET_ELEM_LIST_ELEMENTS), pending);
          return {};
        });
    if (!asked && asked.error().os_errno != ENOENT) return std::unexpected(asked.error());
    finish_elements(found, std::move(pending));
    return found;
  }

  Result<CommitResult> commit(const Table& table, Batch batch,
                              std::optional<std::uint32_t> expected_generation) {
    const std::uint32_t first = socket.reserve_sequences(batch.count());
    batch.number_from(first);
    const Result<BatchAnswer> answer = socket.transact(batch.bytes(), first, batch.count());
    if (!answer) return std::unexpected(answer.error());
    if (answer->errors.empty() && !answer->acknowledged) {
      return fail(ErrorKind::System, "the kernel did not answer whether the transaction succeeded",
                  answer->overrun ? ENOBUFS : ETIME);
    }
    CommitResult result;
    for (const KernelError& error : answer->errors) {
      if (error.os_errno == ERESTART && error.sequence == 0) {
        result.generation_clash = true;
      } else {
        result.refusals.push_back(explain(table, batch, error));
      }
    }
    result.committed = answer->errors.empty();
    if (!result.committed) return result;
    if (expected_generation) {
      // Exactly one further, whatever others have done since; it never is 0.
      result.generation = *expected_generation + 1 == 0 ? 1 : *expected_generation + 1;
      return result;
    }
    const Result<std::uint32_t> now = generation();
    if (now) result.generation = *now;
    return result;
  }
};

Connection::Connection(std::unique_ptr<State> state) : state_(std::move(state)) {}
Connection::~Connection() = default;
Connection::Connection(Connection&&) noexcept = default;
Connection& Connection::operator=(Connection&&) noexcept = default;

Result<Connection> Connection::open() {
  Result<Socket> socket = Socket::open();
  if (!socket) return std::unexpected(std::move(socket).error());
  return Connection(std::make_unique<State>(State{std::move(*socket)}));
}

Result<std::uint32_t> Connection::generation() {
  return state_->generation();
}

Result<std::vector<Table>> Connection::tables() {
  Result<Ruleset> ruleset = state_->dump({.contents = false}, false);
  if (!ruleset) return std::unexpected(std::move(ruleset).error());
  return std::move(ruleset->tables);
}

Result<Ruleset> Connection::dump(bool with_elements) {
  return state_->dump({}, with_elements);
}

Result<std::optional<Table>> Connection::dump_table(Family family, std::string_view name,
                                                    bool with_elements,
                                                    const std::vector<std::string>& but) {
  Result<Ruleset> ruleset = state_->dump(
      {.family = static_cast<std::uint8_t>(family), .table = std::string(name), .but = but},
      with_elements);
  if (!ruleset) return std::unexpected(std::move(ruleset).error());
  if (ruleset->tables.empty()) return std::nullopt;
  return std::move(ruleset->tables.front());
}

Result<std::optional<TableInPart>> Connection::dump_table_in_part(Family family,
                                                                  std::string_view name,
                                                                  std::size_t most) {
  std::vector<std::string> too_large;
  Result<Ruleset> ruleset = state_->dump(
      {.family = static_cast<std::uint8_t>(family), .table = std::string(name), .most = most}, true,
      &too_large);
  if (!ruleset) return std::unexpected(std::move(ruleset).error());
  if (ruleset->tables.empty()) return std::nullopt;
  TableInPart read{.table = std::move(ruleset->tables.front()), .unread = {}};
  if (too_large.empty()) return read;
  const Result<std::optional<TableState>> state = table_state(family, name);
  if (!state) return std::unexpected(state.error());
  for (std::string& each : too_large) {
    UnreadSet& unread = read.unread.emplace_back(UnreadSet{.name = std::move(each), .count = {}});
    const auto is_it = [&](const SetState& set) { return set.name == unread.name; };
    if (*state) {
      const auto at = std::ranges::find_if((*state)->sets, is_it);
      if (at != (*state)->sets.end()) unread.count = at->elements;
    }
    const auto set = std::ranges::find(read.table.sets, unread.name, &Set::name);
    Result<Set> catch_all = state_->find_element(read.table, *set, {});
    if (!catch_all) return std::unexpected(std::move(catch_all).error());
    set->elements.take_catch_all(catch_all->elements);
    if (set->unsupported.empty()) set->unsupported = std::move(catch_all->unsupported);
  }
  return read;
}

Result<void> Connection::read_element(const Table& table, Set& set, const Bytes& key) {
  Result<Set> found = state_->find_element(table, set, key);
  if (!found) return std::unexpected(std::move(found).error());
  if (set.unsupported.empty()) set.unsupported = std::move(found->unsupported);
  Elements& elements = found->elements;
  if (elements.count() != 1) return {};
  // Of an interval, which may be found by many keys, the one that was asked for.
  elements.keys = key;
  if (!elements.key_ends.empty()) elements.key_ends = key;
  set.elements.append(elements, 0);
  return {};
}

Result<std::optional<TableState>> Connection::table_state(Family family, std::string_view name) {
  const Scope scope{.family = static_cast<std::uint8_t>(family), .table = std::string(name)};
  std::optional<TableState> state;
  const auto each = [&](int message, std::uint16_t table_attribute,
                        const std::function<void(Attributes&)>& visit) {
    return state_->socket.dump(request(message, NLM_F_DUMP, scope, table_attribute),
                               [&](const Answer& answer) -> Result<void> {
                                 if (!in_scope(scope, answer)) return {};
                                 Attributes attributes(answer.attributes);
                                 visit(attributes);
                                 return {};
                               });
  };
  const auto table = each(NFT_MSG_GETTABLE, 0, [&](Attributes& attributes) {
    state = TableState{.handle = attributes.be64_or(NFTA_TABLE_HANDLE, 0), .sets = {}};
  });
  if (!table) return std::unexpected(table.error());
  if (!state) return state;
  const auto sets = each(NFT_MSG_GETSET, NFTA_SET_TABLE, [&](Attributes& attributes) {
    if (!attributes.has(kSetCount)) return;
    state->sets.push_back({.name = attributes.text(NFTA_SET_NAME),
                           .handle = attributes.be64_or(NFTA_SET_HANDLE, 0),
                           .elements = attributes.be32(kSetCount)});
  });
  if (!sets) return std::unexpected(sets.error());
  return state;
}

Result<CommitResult> Connection::replace_table(const Table& table,
                                               std::optional<std::uint32_t> expected_generation) {
  Result<Batch> batch = replace_batch(table, expected_generation);
  if (!batch) return std::unexpected(std::move(batch).error());
  return state_->commit(table, std::move(*batch), expected_generation);
}

Result<CommitResult> Connection::change_table(const Table& wanted, const TableChange& change,
                                              std::optional<std::uint32_t> expected_generation) {
  Result<Batch> batch = change_batch(wanted, change, expected_generation);
  if (!batch) return std::unexpected(std::move(batch).error());
  return state_->commit(wanted, std::move(*batch), expected_generation);
}

Result<CommitResult> Connection::delete_table(Family family, std::string_view name,
                                              std::optional<std::uint32_t> expected_generation) {
  Table table;
  table.family = family;
  table.name = name;
  return state_->commit(table, delete_batch(family, name, expected_generation),
                        expected_generation);
}

}  // namespace rolewall::netlink
