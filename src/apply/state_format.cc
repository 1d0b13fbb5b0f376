#include "apply/state_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

#include "apply/state_files.h"

namespace rolewall::apply {
namespace {

constexpr std::size_t kMaxFormat = 64UL * 1024;

// What may lie there before `format` does: a lock, an empty filesystem's own folder, and what a
// crash of ours has left.
bool may_come_first(const std::string& name) {
  static const std::set<std::string, std::less<>> known{"lock", "turn", "bans.lock", "lost+found"};
  return known.contains(name) || name.starts_with("format.");
}

}  // namespace

Result<std::optional<std::uint32_t>> read_format(const std::string& directory) {
  Result<std::string> text = read_state_file(directory, kFormatFile, kMaxFormat);
  if (!text && text.error().os_errno == ENOENT) return std::nullopt;
  if (!text) return std::unexpected(std::move(text).error());
  while (!text->empty() && text->back() == '\n') text->pop_back();
  const auto format = plain_number(*text);
  if (!format) {
    return fail(ErrorKind::Io,
                fmt::format("{}/{}: is damaged: not a number", directory, kFormatFile));
  }
  return format;
}

Result<void> check_format(const std::string& directory) {
  const auto format = read_format(directory);
  if (!format || !*format || (**format >= kOldestFormat && **format <= kStateFormat)) return {};
  return fail(
      ErrorKind::Io,
      fmt::format("{}: written by {} rolewall (format {}, this one knows {}): nothing is read and "
                  "nothing changed. Use that one, or move the directory away and apply again",
                  directory, **format < kStateFormat ? "an older" : "a newer", **format,
                  kStateFormat));
}

Result<bool> is_in_use(const std::string& directory) {
  const auto format = read_format(directory);
  if (!format) return std::unexpected(format.error());
  if (*format) return true;
  const auto names = list_state_folder(directory, "");
  if (!names && names.error().os_errno == ENOENT) return false;
  if (!names) return std::unexpected(names.error());
  const auto other = std::ranges::find_if_not(*names, may_come_first);
  if (other == names->end()) return false;
  return fail(ErrorKind::Usage,
              fmt::format("{}: holds {} and no `{}`, so it is no state directory of rolewall's, or "
                          "a damaged one: nothing was changed. Name a new or empty one with "
                          "--state-dir, or move this one away",
                          directory, *other, kFormatFile));
}

}  // namespace rolewall::apply
