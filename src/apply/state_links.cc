#include "apply/state_links.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "apply/events.h"
#include "apply/state_files.h"
#include "apply/state_format.h"
#include "base/file.h"

namespace rolewall::apply {
namespace {

using Number = std::optional<std::uint32_t>;

constexpr std::string_view kNothing = "nothing";  // where a link leads that leads to no generation

std::string path_in(const std::string& directory, std::string_view name) {
  return fmt::format("{}/{}", directory, name);
}

// Says the number twice, so that no other byte leads to another generation.
std::string link_to(Number generation) {
  if (!generation) return std::string(kNothing);
  return fmt::format("{}/../{}", folder_of(*generation), *generation);
}

// The generation that a link leads to; std::nullopt where it says that there is none.
struct Link {
  bool is_there = false;
  Number to;
};

Result<Link> linked(const std::string& directory, std::string_view name) {
  const auto target = read_state_link(directory, name);
  if (!target) return std::unexpected(target.error());
  if (!*target) return Link();
  if (**target == kNothing) return Link{true, {}};
  const std::string_view to(**target);
  const bool leads_there = to.starts_with(kGenerations) && to.size() > kGenerations.size() + 1;
  const std::string_view digits =
      leads_there ? to.substr(kGenerations.size() + 1, to.find("/..") - kGenerations.size() - 1)
                  : "";
  const Number number = plain_number(digits);
  // Older ones say the number once.
  if (!number || (to != link_to(number) && to != folder_of(*number))) {
    return fail(ErrorKind::Io, path_in(directory, name) + ": does not lead to a generation");
  }
  return Link{true, number};
}

// No link, and no event: nothing was ever in force, unless all of it is lost. Format 2 had no link
// where nothing was in force.
Result<Number> nothing_unless_lost(const std::string& directory, std::string_view name) {
  const auto format = read_format(directory);
  if (!format) return std::unexpected(format.error());
  const auto kept = list_generations(directory);
  if (!kept) return std::unexpected(kept.error());
  if (kept->empty() || (*format && **format < kStateFormat)) return std::nullopt;
  return fail(ErrorKind::Io, fmt::format("{}: is lost, and the history does not say where it led",
                                         path_in(directory, name)));
}

// Where the link is lost, the history still says it.
Result<Number> linked_or_logged(const std::string& directory, std::string_view name,
                                Number (*by_log)(const std::vector<Event>&)) {
  const Result<Link> link = linked(directory, name);
  if (link && link->is_there) return link->to;
  const auto events = read_events(directory);
  if (!events) return std::unexpected(link ? events.error() : link.error());
  if (const Number logged = by_log(events->all)) return logged;
  if (!link) return std::unexpected(link.error());
  if (!events->all.empty()) return std::nullopt;
  return nothing_unless_lost(directory, name);
}

}  // namespace

std::string folder_of(std::uint32_t generation) {
  return fmt::format("{}/{}", kGenerations, generation);
}

Result<std::vector<std::uint32_t>> list_generations(const std::string& directory) {
  const auto names = list_state_folder(directory, kGenerations);
  if (!names && names.error().os_errno == ENOENT) return std::vector<std::uint32_t>();
  if (!names) return std::unexpected(names.error());
  std::vector<std::uint32_t> numbers;
  for (const std::string& name : *names) {
    if (const Number number = plain_number(name)) numbers.push_back(*number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

Result<Number> current_number(const std::string& directory) {
  return linked_or_logged(directory, kCurrentLink, in_force_by);
}

Result<Number> boot_number(const std::string& directory) {
  return linked_or_logged(directory, kBootLink, confirmed_by);
}

bool is_lost(const std::string& directory, std::string_view name) {
  const auto link = linked(directory, name);
  return !link || !link->is_there;
}

std::vector<std::string> damaged_links(const std::string& directory) {
  std::vector<std::string> problems;
  for (const std::string_view name : {kCurrentLink, kBootLink}) {
    if (const auto link = linked(directory, name); !link) {
      problems.push_back(link.error().message + "; where it led is taken from history.log");
    }
  }
  return problems;
}

Result<void> make_link(const std::string& directory, std::string_view name, Number generation) {
  const std::string link = path_in(directory, name);
  const std::string aside = link + ".new";
  const std::string target = link_to(generation);
  ::unlink(aside.c_str());
  if (::symlink(target.c_str(), aside.c_str()) != 0) return io_error(aside, errno);
  if (std::rename(aside.c_str(), link.c_str()) != 0) return io_error(link, errno);
  return sync_directory(directory);
}

}  // namespace rolewall::apply
