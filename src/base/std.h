// What nearly every file includes, parsed once a folder instead of once a file (Meson's cpp_pch).
// The standard library and fmt alone: a header of our own here would rebuild everything when it is
// touched. Every file still includes what it uses: it must compile without this one, too.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>
