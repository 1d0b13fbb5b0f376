// One arm for several alternatives of a closed variant that are treated alike: each is named, so
// that a new alternative still does not compile until somebody has said where it belongs.
//
//   [](const OneOf<Counter, Log> auto&) { ... }
#pragma once

#include <type_traits>

namespace rolewall {

template <class T, class... Ts>
concept OneOf = (std::is_same_v<T, Ts> || ...);

}  // namespace rolewall
