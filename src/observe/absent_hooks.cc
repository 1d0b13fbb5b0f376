#include "observe/absent_hooks.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "ruleset/hook_device.h"
#include "ruleset/names.h"

namespace rolewall::observe {
namespace {

namespace r = ruleset;

bool is_anywhere(std::string_view hooked, const r::Host& machine) {
  return r::is_hooked(hooked, "lo") ||
         std::ranges::any_of(machine.interfaces, [&](const r::Interface& interface) {
           return r::is_hooked(hooked, interface.device);
         });
}

// The kernel's name for it.
std::string plain(std::string hooked) {
  if (hooked.ends_with("\\*")) hooked.erase(hooked.size() - 2, 1);
  return hooked;
}

}  // namespace

std::vector<Finding> absent_hooks(const ruleset::Ruleset& live, const ruleset::Host& machine) {
  std::vector<Finding> findings;
  for (const r::Table& table : live.tables) {
    for (const r::Chain& chain : table.chains) {
      if (!chain.base) continue;
      for (const std::string& hooked : chain.base->devices) {
        if (is_anywhere(hooked, machine)) continue;
        const bool is_letter = hooked.ends_with("\\*");
        findings.push_back(
            {Weight::Warning, Code::AbsentDevice,
             fmt::format("table {} {}, chain {} is for the device {}, which this machine does not "
                         "have: it meets no packet there",
                         r::name_of(table.family), table.name, chain.name, plain(hooked)),
             is_letter ? "the kernel took the `*` for a letter of the name: name each device, or "
                         "load it with an nft that knows beginnings of names"
                       : "`ip link` lists this machine's devices"});
      }
    }
  }
  return findings;
}

}  // namespace rolewall::observe
