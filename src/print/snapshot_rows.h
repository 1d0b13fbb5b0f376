// Makes Forms (snapshot_fields.h) of C++ types, and rows of their members; for snapshot_fields.cc
// alone, which says what the rows are.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "base/visit.h"
#include "print/snapshot_fields.h"
#include "ruleset/names.h"
#include "ruleset/snapshot.h"

namespace rolewall::print {

// kFields: an array of Field, one for each member. kType, for alternatives of a variant: the value
// of their "type" key. kLines: a line for each member.
template <class Struct>
struct Described;

template <class T>
const T& as(const void* value) {
  return *static_cast<const T*>(value);
}
template <class T>
T& as(void* value) {
  return *static_cast<T*>(value);
}

template <class T>
constexpr Form make_form();
template <class T>
inline constexpr Form kForm = make_form<T>();

// --- rows ---

template <class Struct, class Member>
constexpr const Form* form_of(Member Struct::* /*member*/) {
  return &kForm<Member>;
}
template <class Struct, class Member>
Struct struct_of(Member Struct::*);

template <auto kMember>
const void* member_in(const void* object) {
  return std::addressof(as<decltype(struct_of(kMember))>(object).*kMember);
}
template <class Struct, class Member>
constexpr auto equality_of(Member Struct::* /*member*/) {
  return [](const void* a, const void* b) { return as<Member>(a) == as<Member>(b); };
}

template <auto kMember>
constexpr Field required(std::string_view name) {
  return {name, form_of(kMember), &member_in<kMember>, nullptr};
}
template <auto kMember>
constexpr Field optional(std::string_view name) {
  return {name, form_of(kMember), &member_in<kMember>, equality_of(kMember)};
}

// Whether Struct has exactly as many members as it has rows: one that was forgotten would be lost
// in every file.
struct Anything {
  template <class T>
  operator T() const;  // NOLINT(google-explicit-constructor): it stands for any member
};
template <class Struct, std::size_t... I>
constexpr bool takes(std::index_sequence<I...>) {
  return requires { Struct{(static_cast<void>(I), Anything{})...}; };
}
template <class Struct>
constexpr bool every_member_has_a_row() {
  constexpr std::size_t kRows = Described<Struct>::kFields.size();
  return takes<Struct>(std::make_index_sequence<kRows>{}) &&
         !takes<Struct>(std::make_index_sequence<kRows + 1>{});
}

// --- forms ---

template <class T>
concept IsDescribed = requires { Described<T>::kFields; };
// A vector, or ruleset::ExprList, which derives from one.
template <class T>
concept List = std::is_base_of_v<std::vector<typename T::value_type>, T>;
template <class T>
inline constexpr bool kIsOptional = false;
template <class T>
inline constexpr bool kIsOptional<std::optional<T>> = true;

template <class T>
constexpr std::optional<Leaf> leaf_of() {
  if constexpr (std::is_same_v<T, bool>) return Leaf::Boolean;
  if constexpr (std::is_same_v<T, std::string>) return Leaf::Text;
  if constexpr (std::is_same_v<T, ruleset::Comment>) return Leaf::Comment;
  if constexpr (std::is_same_v<T, ruleset::Bytes>) return Leaf::Bytes;
  if constexpr (std::is_same_v<T, ruleset::Value>) return Leaf::Value;
  if constexpr (std::is_same_v<T, ruleset::Verdict>) return Leaf::Verdict;
  if constexpr (std::is_same_v<T, net::Address>) return Leaf::Address;
  if constexpr (std::is_same_v<T, net::Prefix>) return Leaf::Prefix;
  if constexpr (std::is_same_v<T, net::AddressSet>) return Leaf::AddressSet;
  if constexpr (std::is_same_v<T, ruleset::SourceMap>) return Leaf::Sources;
  if constexpr (std::is_same_v<T, ruleset::Elements>) return Leaf::Elements;
  return std::nullopt;
}

template <class Number>
constexpr NumberForm number_form() {
  return {sizeof(Number), std::is_signed_v<Number>};
}

template <class Enum>
constexpr NameForm name_form() {
  return {[] { return ruleset::name_rows(Enum{}).size(); },
          [](std::size_t index) {
            const auto& row = ruleset::name_rows(Enum{})[index];
            return NameForm::Row{static_cast<std::uint64_t>(row.value), row.name};
          },
          number_form<std::underlying_type_t<Enum>>(), std::is_same_v<Enum, ruleset::DataType>};
}

template <class Optional>
constexpr OptionalForm optional_form() {
  return {&kForm<typename Optional::value_type>,
          [](const void* value) -> const void* {
            const auto& optional = as<Optional>(value);
            return optional ? std::addressof(*optional) : nullptr;
          },
          [](void* value) -> void* { return std::addressof(as<Optional>(value).emplace()); }};
}

// Structs and expressions stand on lines of their own; a key's fields do not.
template <class T>
constexpr bool has_line_in_list() {
  return (IsDescribed<T> && !std::is_same_v<T, ruleset::KeyField>) ||
         std::is_same_v<T, ruleset::Expr>;
}

template <List Items>
constexpr ListForm list_form() {
  using Item = typename Items::value_type;
  return {&kForm<Item>, has_line_in_list<Item>(),
          [](const void* list) { return as<Items>(list).size(); },
          [](const void* list, std::size_t index) -> const void* {
            return std::addressof(as<Items>(list)[index]);
          },
          [](void* list, std::size_t size) { as<Items>(list).resize(size); }};
}

template <class Struct>
inline const Struct kUsual{};
template <class Struct>
constexpr ObjectForm object_form() {
  static_assert(every_member_has_a_row<Struct>(), "a member has no row in snapshot_fields.cc");
  return {Described<Struct>::kFields, std::addressof(kUsual<Struct>),
          requires {Described<Struct>::kLines;
}
};  // namespace rolewall::print
}
template <class Struct>
inline constexpr ObjectForm kObjectForm = object_form<Struct>();

// `Choice`: the variant itself, or a struct that derives from it.
template <class Choice, class Alternative>
void* emplace(void* choice) {
  as<Choice>(choice) = Alternative{};
  return std::addressof(std::get<Alternative>(as<Choice>(choice)));
}
template <class Choice, class... Alternatives>
inline constexpr std::array kAlternatives{ChoiceForm::Alternative{
    Described<Alternatives>::kType, &kObjectForm<Alternatives>, &emplace<Choice, Alternatives>}...};
template <class Choice, class... Alternatives>
constexpr ChoiceForm choice_form(const std::variant<Alternatives...>* /*choice*/) {
  return {kAlternatives<Choice, Alternatives...>,
          [](const void* choice) { return as<Choice>(choice).index(); },
          [](const void* choice) {
            const std::variant<Alternatives...>& variant = as<Choice>(choice);
            return visit_closed([](const auto& is) -> const void* { return std::addressof(is); },
                                variant);
          }};
}

template <class T>
constexpr Form make_form() {
  if constexpr (leaf_of<T>()) {
    return *leaf_of<T>();
  } else if constexpr (std::is_integral_v<T>) {
    return number_form<T>();
  } else if constexpr (std::is_enum_v<T>) {
    return name_form<T>();
  } else if constexpr (kIsOptional<T>) {
    return optional_form<T>();
  } else if constexpr (List<T>) {
    return list_form<T>();
  } else if constexpr (IsDescribed<T>) {
    return kObjectForm<T>;
  } else {
    return choice_form<T>(static_cast<const T*>(nullptr));
  }
}

}  // namespace rolewall::print
