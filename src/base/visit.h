// std::visit for one closed variant, as a switch. libstdc++ 12 makes a table of functions for each
// visit of more than five alternatives, and instantiates one function for each: with 48 expressions
// a tenth of the time that the whole build takes. A switch is one function, and is inlined.
//
// Also of a struct that derives from its variant (ruleset::Expr). REQUIRES: it has a value.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>
#include <variant>

namespace rolewall {

namespace detail {

template <class... Ts>
constexpr std::variant<Ts...>& variant_of(std::variant<Ts...>& variant) {
  return variant;
}
template <class... Ts>
constexpr const std::variant<Ts...>& variant_of(const std::variant<Ts...>& variant) {
  return variant;
}

#define ROLEWALL_VISIT_CASE(offset)                                                  \
  case offset:                                                                       \
    if constexpr (First + offset < kCount) {                                         \
      return std::forward<Visitor>(visitor)(*std::get_if<First + offset>(&variant)); \
    }                                                                                \
    [[fallthrough]];

// The alternatives from First on, sixteen a switch.
template <std::size_t First, class Visitor, class Variant>
constexpr decltype(auto) visit_from(Visitor&& visitor, Variant& variant) {
  constexpr std::size_t kCount = std::variant_size_v<std::remove_const_t<Variant>>;
  switch (variant.index() - First) {
    ROLEWALL_VISIT_CASE(0)
    ROLEWALL_VISIT_CASE(1)
    ROLEWALL_VISIT_CASE(2)
    ROLEWALL_VISIT_CASE(3)
    ROLEWALL_VISIT_CASE(4)
    ROLEWALL_VISIT_CASE(5)
    ROLEWALL_VISIT_CASE(6)
    ROLEWALL_VISIT_CASE(7)
    ROLEWALL_VISIT_CASE(8)
    ROLEWALL_VISIT_CASE(9)
    ROLEWALL_VISIT_CASE(10)
    ROLEWALL_VISIT_CASE(11)
    ROLEWALL_VISIT_CASE(12)
    ROLEWALL_VISIT_CASE(13)
    ROLEWALL_VISIT_CASE(14)
    ROLEWALL_VISIT_CASE(15)
    default:
      if constexpr (First + 16 < kCount) {
        return visit_from<First + 16>(std::forward<Visitor>(visitor), variant);
      }
  }
  std::unreachable();
}

#undef ROLEWALL_VISIT_CASE

}  // namespace detail

template <class Visitor, class Variant>
constexpr decltype(auto) visit_closed(Visitor&& visitor, Variant&& variant) {
  return detail::visit_from<0>(std::forward<Visitor>(visitor), detail::variant_of(variant));
}

}  // namespace rolewall
