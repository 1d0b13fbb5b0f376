// The shape of a snapshot's file, as data: which members each struct has, what they are called, and
// how each type of value is written. The writer and the reader both walk it, so that what one
// writes the other reads, and neither is a template: what a row says of its member's type is a
// Form. docs/snapshot-format.md describes the format to users; snapshot_fields.cc holds the rows.
//
// A Form belongs to one C++ type, and a pointer to void beside it leads to a value of that type.
// kForm<T> in snapshot_rows.h alone is one, made from the member's own type. All of it is constant
// data, so that whoever includes this compiles no more than that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <variant>

#include "ruleset/expr_list.h"

namespace rolewall::print {

// Beside the bytes of what iptables has brought, their words: written, and passed over by readers.
inline constexpr std::string_view kXtWords = "words";

inline constexpr std::string_view kSnapshotKind = "rolewall-snapshot";

struct Form;

// Types that are written in a way of their own.
enum class Leaf : std::uint8_t {
  Boolean,
  Text,        // std::string
  Comment,     // ruleset::Comment
  Bytes,       // ruleset::Bytes
  Value,       // ruleset::Value
  Verdict,     // ruleset::Verdict
  Address,     // net::Address
  Prefix,      // net::Prefix
  AddressSet,  // net::AddressSet
  Sources,     // ruleset::SourceMap
  Elements,    // ruleset::Elements
};

// An integer of 1, 2, 4 or 8 bytes.
struct NumberForm {
  std::size_t size;
  bool is_signed;
};

// An enum, by its names (ruleset/names.h).
struct NameForm {
  struct Row {
    std::uint64_t number;
    std::string_view name;
  };
  std::size_t (*count)();
  Row (*row)(std::size_t index);
  NumberForm number;  // its underlying type
  bool open;          // values without a name are written as numbers
};

struct OptionalForm {
  const Form* item;
  const void* (*get)(const void* optional);  // null where it holds nothing
  void* (*emplace)(void* optional);
};

struct ListForm {
  const Form* item;
  bool lines;  // a line for each item
  std::size_t (*size)(const void* list);
  const void* (*at)(const void* list, std::size_t index);
  void (*resize)(void* list, std::size_t size);
};

// A member of a struct.
struct Field {
  std::string_view name;
  const Form* form;
  const void* (*in)(const void* object);
  // Whether two values are equal: an optional member is left out where it has its default value.
  // Null for a required one.
  bool (*same)(const void* a, const void* b);

  constexpr bool required() const { return same == nullptr; }
};

struct ObjectForm {
  std::span<const Field> fields;
  const void* usual;  // a struct with the members' default values
  bool lines;         // a line for each member
};

// A variant: an object whose "type" says which of the alternatives it is.
struct ChoiceForm {
  struct Alternative {
    std::string_view type;
    const ObjectForm* form;
    void* (*emplace)(void* variant);
  };
  std::span<const Alternative> alternatives;
  std::size_t (*index)(const void* variant);
  const void* (*get)(const void* variant);
};

struct Form
    : std::variant<Leaf, NumberForm, NameForm, OptionalForm, ListForm, ObjectForm, ChoiceForm> {
  using variant::variant;
};

// To write to what `get`, `at` or `in` has found in a value that is no constant.
inline void* writable(const void* found) {
  return const_cast<void*>(found);  // NOLINT(cppcoreguidelines-pro-type-const-cast)
}

// An integer or an enum's number; put_number cuts it to the form's size.
std::uint64_t unsigned_number(const NumberForm& form, const void* value);
std::int64_t signed_number(const NumberForm& form, const void* value);
void put_number(const NumberForm& form, std::uint64_t number, void* value);

const ObjectForm& snapshot_form();
const Form& source_line_form();
// Of ruleset::Elements the columns that are plain lists; each is left out where it is empty.
std::span<const Field> element_columns();

// The word for an expression: the value of its "type" key.
std::string_view type_name(const ruleset::Expr& expr);

}  // namespace rolewall::print
