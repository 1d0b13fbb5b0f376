// Visits a closed variant with one lambda per alternative. Leave one out and it does not compile,
// which is how the compiler lists the places that a new alternative must be added to: never add a
// generic `auto` arm.
#pragma once

namespace rolewall {

template <class... Arms>
struct Overloaded : Arms... {
  using Arms::operator()...;
};
template <class... Arms>
Overloaded(Arms...) -> Overloaded<Arms...>;

}  // namespace rolewall
