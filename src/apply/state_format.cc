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

// `current` or `boot`, which nobody else has (state_links.h).
bool has_our_links(const std::string& directory) {
  const auto leads_to_ours = [&](std::string_view name) {
    const auto target = read_state_link(directory, name);
    return target && *target && (**target == "nothing" || (*target)->starts_with("generations/"));
  };
  return leads_to_ours("current") || leads_to_ours("boot");
}

Result<std::optional<std::string>> format_text(const std::string& directory) {
  Result<std::string> text = read_state_file(directory, kFormatFile, kMaxFormat);
  if (!text && text.error().os_errno == ENOENT) return std::nullopt;
  if (!text) return std::unexpected(std::move(text).error());
  while (!text->empty() && text->back() == '\n') text->pop_back();
  return std::move(*text);
}

}  // namespace

Result<std::optional<std::uint32_t>> read_format(const std::string& directory) {
  const auto text = format_text(directory);
  if (!text) return std::unexpected(text.error());
  if (!*text) return std::nullopt;
  if (const auto format = plain_number(**text)) return format;
  if (has_our_links(directory)) return kStateFormat;
  return fail(ErrorKind::Usage,
              fmt::format("{0}/{1}: is no number, and nothing else in {0} says that it is a state "
                          "directory of rolewall's: nothing was changed. Name a new or empty one "
                          "with --state-dir, or move this one away",
                          directory, kFormatFile));
}

bool is_format_damaged(const std::string& directory) {
  const auto text = format_text(directory);
  return text && *text && !plain_number(**text);
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
