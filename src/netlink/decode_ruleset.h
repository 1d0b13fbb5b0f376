// Puts a ruleset together from the messages of a dump: tables, then sets and chains, then rules and
// elements. Knows nothing of sockets, so that it can be fed from anywhere.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/error.h"
#include "netlink/attributes.h"
#include "ruleset/ruleset.h"

namespace rolewall::netlink {

// Elements of a set while they arrive. The kernel keeps an interval of a tree as a start and an end
// element, the end excluded and marked; they are matched when all have arrived.
struct PendingElements {
  ruleset::Elements elements;
  std::vector<std::uint8_t> ends;  // keys of end elements
  std::string problem;
};

// Reads NFTA_SET_ELEM_LIST_ELEMENTS of one message into `pending`.
void decode_elements(const ruleset::Set& set, View list, PendingElements& pending);

// Sorts, matches starts and ends, fills up columns. False where an element came twice: the kernel
// goes on with a hash set's dump by counting, and while it makes the table larger in the background
// (without a new generation) it repeats some elements and leaves out as many.
bool finish_elements(ruleset::Set& set, PendingElements pending);

// One set, without elements.
ruleset::Set decode_set(View bytes);

class RulesetReader {
 public:
  // Each takes the attributes of one message and the family of its nfgenmsg. An error where a thing
  // has no place in our structure (a family or hook that we do not know); what belongs to a table
  // that was not read, or was left out, is left out too.
  Result<void> table(std::uint8_t family, View bytes);
  Result<void> chain(std::uint8_t family, View bytes);
  Result<void> rule(std::uint8_t family, View bytes);
  Result<void> object(std::uint8_t family, View bytes);
  Result<void> set(std::uint8_t family, View bytes);
  Result<void> elements(std::uint8_t family, View bytes);

  // How many elements of the set have come so far; and to have none of them.
  std::size_t count(const ruleset::Table& table, const ruleset::Set& set) const;
  void leave_out(const ruleset::Table& table, const ruleset::Set& set);

  // The tables and sets read so far, for asking for their elements.
  const ruleset::Ruleset& ruleset() const { return ruleset_; }

  // Of what it gives verify() holds: what has a flaw by it is set aside (ruleset/verify.h), and
  // what cannot be is an error. std::nullopt where a set was read inconsistently, see
  // finish_elements(): to be read again.
  Result<std::optional<ruleset::Ruleset>> finish();

 private:
  using TableKey = std::pair<std::uint8_t, std::string>;
  using ObjectKey = std::tuple<std::size_t, std::string>;  // the table's index, the name

  ObjectKey key_of(const ruleset::Table& table, const ruleset::Set& set) const;
  ruleset::Table* find_table(std::uint8_t family, const std::string& name, std::size_t& index);

  ruleset::Ruleset ruleset_;
  std::map<TableKey, std::size_t> tables_;
  std::map<ObjectKey, std::size_t> chains_;
  std::map<ObjectKey, std::size_t> sets_;
  std::map<ObjectKey, PendingElements> pending_;
};

}  // namespace rolewall::netlink
