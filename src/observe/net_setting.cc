#include "observe/net_setting.h"

#include <fmt/format.h>

#include <charconv>

#include "base/file.h"

namespace rolewall::observe {

std::optional<std::uint64_t> net_setting(std::string_view path) {
  constexpr std::size_t kLargestNumber = 64;
  const auto text = read_file(fmt::format("/proc/sys/net/{}", path), kLargestNumber);
  if (!text) return std::nullopt;
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc{} || end == text->data()) return std::nullopt;
  return number;
}

}  // namespace rolewall::observe
