#include "observe/nat_helpers.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <sstream>
#include <string_view>
#include <variant>

#include "base/file.h"
#include "net/conntrack_helpers.h"

namespace rolewall::observe {
namespace {

constexpr std::size_t kLargestList = 4U << 20;

}  // namespace

std::optional<std::set<std::string>> kernel_modules() {
  const auto loaded = read_file("/proc/modules", kLargestList);
  utsname kernel{};
  if (!loaded || uname(&kernel) != 0) return std::nullopt;
  const auto built_in =
      read_file(fmt::format("/lib/modules/{}/modules.builtin", kernel.release), kLargestList);
  if (!built_in) return std::nullopt;
  std::set<std::string> modules;
  std::istringstream lines(*loaded);
  for (std::string line; std::getline(lines, line);) modules.insert(line.substr(0, line.find(' ')));
  std::istringstream paths(*built_in);  // "kernel/net/netfilter/nf_nat_ftp.ko"
  for (std::string path; std::getline(paths, path);) {
    const std::string_view file = std::string_view(path).substr(path.rfind('/') + 1);
    modules.emplace(file.substr(0, file.find(".ko")));
  }
  return modules;
}

std::vector<Finding> missing_nat_helpers(const ruleset::Table& own, bool translates,
                                         const std::optional<std::set<std::string>>& modules) {
  std::set<std::string> missing;
  for (const ruleset::Object& object : own.objects) {
    const auto* body = std::get_if<ruleset::CtHelper>(&object.body);
    const auto* helper = body != nullptr ? net::find_conntrack_helper(body->helper) : nullptr;
    if (!translates || !modules || helper == nullptr || helper->nat_module.empty()) continue;
    if (!modules->contains(std::string(helper->nat_module))) missing.emplace(helper->nat_module);
  }
  std::vector<Finding> findings;
  for (const std::string& module : missing) {
    findings.push_back({Weight::Warning, Code::NoNatHelper,
                        fmt::format("this host translates addresses and the kernel module {} is "
                                    "not loaded: what its helper expects never comes",
                                    module),
                        fmt::format("sudo modprobe {0}; for each boot, a line {0} in "
                                    "/etc/modules-load.d/",
                                    module)});
  }
  return findings;
}

bool translates(const ruleset::Table& own) {
  return std::ranges::any_of(own.chains, [](const ruleset::Chain& chain) {
    return chain.base && chain.base->type == ruleset::ChainType::Nat;
  });
}

}  // namespace rolewall::observe
