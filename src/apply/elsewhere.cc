#include "apply/elsewhere.h"

#include <fmt/format.h>

#include "apply/applied_json.h"
#include "apply/generations.h"
#include "apply/pending.h"
#include "apply/state_files.h"
#include "apply/state_links.h"

namespace rolewall::apply {

bool is_elsewhere(const std::string& state_directory, const World& world) {
  const auto current = current_number(state_directory);
  const bool is_any = !current || *current || is_there(state_directory, kPendingFile);
  const auto text = is_any ? read_state_file(state_directory, kKernelFile, kMaxKernelFile)
                           : Result<std::string>("");
  if (!text) return false;
  const Where there = where_of(*text);
  const std::string here = world.network_namespace();
  return !there.boot_id.empty() && there.boot_id == world.boot_id() && !here.empty() &&
         !there.network_namespace.empty() && there.network_namespace != here;
}

std::string elsewhere_in_words(const std::string& state_directory) {
  return fmt::format("{}: what is recorded there is in force in another network namespace",
                     state_directory);
}

Result<void> refuse_elsewhere(const std::string& state_directory, const World& world) {
  if (!is_elsewhere(state_directory, world)) return {};
  return fail(ErrorKind::Refused,
              elsewhere_in_words(state_directory) +
                  ": run this there, or name this one's own with --state-dir (`rolewall boot` "
                  "takes it over). Nothing was changed");
}

}  // namespace rolewall::apply
