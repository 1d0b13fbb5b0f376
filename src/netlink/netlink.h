// nf_tables over netlink: the only folder that talks to the kernel's netfilter. Works in the
// network namespace of the calling thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "ruleset/change.h"
#include "ruleset/ruleset.h"

namespace rolewall::netlink {

// What the kernel's extended ack pointed at.
struct Refusal {
  int os_errno = 0;
  std::string explanation;     // what the errno means here, in the user's words
  std::string kernel_message;  // NLMSGERR_ATTR_MSG, mostly absent
  std::string what;            // "rule 3 of chain web.inbound.app-from-lb: expression lookup"
  std::string rule_id;         // the comment of the rule at fault, or of the nearest; "" if unknown
  bool exact = false;          // false: the kernel named no object, this is the nearest
};

// The outcome of a transaction: nothing is changed unless it is committed.
struct CommitResult {
  bool committed = false;
  bool generation_clash = false;  // another program changed something since `generation`
  std::vector<Refusal> refusals;
  std::uint32_t generation = 0;  // after the commit
};

// How the kernel keeps a table's sets, without their elements. Another handle is another set,
// another count has other elements; the same of both is no proof that they are the same.
struct SetState {
  std::string name;
  std::uint64_t handle = 0;
  std::uint32_t elements = 0;  // as the kernel counts: intervals, of sets that have them
  bool operator==(const SetState&) const = default;
};
struct TableState {
  std::uint64_t handle = 0;
  std::vector<SetState> sets;
  bool operator==(const TableState&) const = default;
};

// A set that holds too many elements to read them all.
struct UnreadSet {
  std::string name;
  std::optional<std::uint32_t> count;  // of its elements, where the kernel tells (from 6.16 on)
};
struct TableInPart {
  ruleset::Table table;
  std::vector<UnreadSet> unread;
};

class Connection {
 public:
  static Result<Connection> open();
  ~Connection();
  Connection(Connection&&) noexcept;
  Connection& operator=(Connection&&) noexcept;

  Result<std::uint32_t> generation();

  // Every table's family, name and flags, with nothing in it.
  Result<std::vector<ruleset::Table>> tables();
  // Every table, or one. Read again where the generation changed meanwhile. `with_elements` false
  // leaves sets' elements out.
  Result<ruleset::Ruleset> dump(bool with_elements = true);
  // std::nullopt where there is no such table. The elements of the sets named `but` are left out,
  // too.
  Result<std::optional<ruleset::Table>> dump_table(ruleset::Family family, std::string_view name,
                                                   bool with_elements = true,
                                                   const std::vector<std::string>& but = {});
  // The elements of sets that hold more than `most` are left out, and not even asked of the kernel
  // but for the first of them; a catch-all element is read all the same.
  Result<std::optional<TableInPart>> dump_table_in_part(ruleset::Family family,
                                                        std::string_view name, std::size_t most);
  // Reads what a packet with this key finds in a set, as the kernel itself looks it up, and adds it
  // to the set's elements, under that key alone; nothing where it finds none.
  Result<void> read_element(const ruleset::Table& table, ruleset::Set& set,
                            const ruleset::Bytes& key);
  // The sets that the kernel counts the elements of: all from 6.16 on, none before. std::nullopt
  // where there is no such table.
  Result<std::optional<TableState>> table_state(ruleset::Family family, std::string_view name);

  // One transaction: `table` replaces the table of its name, if there is one. All or nothing, and
  // nothing where the generation is no longer `expected_generation`. An error where the table
  // cannot be expressed (a name too long, an expression that was not read whole) or does not fit
  // the socket's send buffer: then too nothing was changed.
  Result<CommitResult> replace_table(const ruleset::Table& table,
                                     std::optional<std::uint32_t> expected_generation);
  // The same, where the kernel's table becomes `wanted` by `change` alone.
  Result<CommitResult> change_table(const ruleset::Table& wanted,
                                    const ruleset::TableChange& change,
                                    std::optional<std::uint32_t> expected_generation);
  // Success where there is no such table.
  Result<CommitResult> delete_table(ruleset::Family family, std::string_view name,
                                    std::optional<std::uint32_t> expected_generation);

 private:
  struct State;
  explicit Connection(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace rolewall::netlink
