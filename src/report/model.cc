#include "report/model.h"

#include <utility>

#include "ask/alike.h"
#include "ask/site.h"
#include "base/file.h"
#include "compile/compile.h"
#include "print/print.h"

namespace rolewall::report {
namespace {

constexpr std::size_t kLongestPolicy = 16U << 20U;

std::vector<HostKind> kinds_of_hosts(const policy::Policy& policy, policy::Date date) {
  std::vector<policy::Index> all;
  for (policy::Index host = 0; host < policy.hosts.size(); ++host) all.push_back(host);
  const ask::Alike alike(policy, date);
  std::vector<HostKind> kinds;
  for (const auto& group : alike.groups(all)) {
    HostKind kind{{}, {}, policy::effective_policy(policy, group.front(), date), {}};
    for (const policy::Index host : group) {
      kind.names.push_back(policy.hosts[host].name);
      kind.hosts.push_back(&policy.hosts[host]);
    }
    const auto text = print::to_nft(compile::compile(policy, group.front(), {date, true}).ruleset);
    kind.ruleset = text ? *text : text.error().message;
    kinds.push_back(std::move(kind));
  }
  return kinds;
}

}  // namespace

Result<Model> gather(const policy::Policy& policy, policy::Date date, Diagnostics findings,
                     const std::function<void(std::string_view)>& step) {
  Model model{policy, date, {}, {}, {}, {}, {}, {}, {}, {}, {}};
  step("lint, tests and laws");
  auto checked = ask::check(policy, date, std::move(findings), ask::Extent::WithoutSizes);
  if (!checked) return std::unexpected(checked.error());
  model.checked = std::move(*checked);
  policy::Handling handling;
  handling.complete = true;
  handling.packets_asked = true;
  model.silenced = policy::handle(policy, handling, model.checked.findings);
  step("who reaches whom");
  ask::Site site(policy, date);
  auto reach = ask::reach(policy, date, site, {});
  if (reach) {
    model.reach = std::move(reach->cells);
    model.reach_left_out = std::move(reach->left_out);
  } else {
    model.reach_not_asked = reach.error().message;
  }
  step("the hosts' rules");
  model.hosts = kinds_of_hosts(policy, date);
  for (const HostKind& kind : model.hosts) {
    if (kind.policy.defaults.mode != policy::Mode::Audit) continue;
    model.auditing.insert(model.auditing.end(), kind.names.begin(), kind.names.end());
  }
  return model;
}

std::string PolicyLines::of(const std::string& path, std::uint32_t line) {
  auto [file, fresh] = files_.try_emplace(path);
  if (fresh) {
    if (const auto text = read_file(path, kLongestPolicy)) file->second = lines_of(*text);
  }
  if (line == 0 || line > file->second.size()) return "";
  const std::string& text = file->second[line - 1];
  const std::size_t begin = text.find_first_not_of(" \t");
  return begin == std::string::npos ? "" : text.substr(begin);
}

}  // namespace rolewall::report
