#include "cli/host_on_trial.h"

#include <fmt/format.h>

#include <utility>

#include "cli/given_state.h"
#include "netlink/conntrack.h"
#include "netlink/netlink.h"
#include "ruleset/expr.h"

namespace rolewall::cli {

struct HostOnTrial::Shared {
  netlink::Connection kernel;
  ruleset::Table table;
  std::optional<std::uint32_t> wanted;

  Result<void> commit(const ruleset::Table& one) {
    const auto committed = kernel.replace_table(one, std::nullopt);
    if (!committed) return std::unexpected(committed.error());
    if (committed->committed) return {};
    return fail(
        ErrorKind::System,
        fmt::format(
            "the kernel refuses the table {}{}", one.name,
            committed->refusals.empty() ? "" : ": " + committed->refusals.front().explanation));
  }
  Result<void> load() {
    TRY(commit(state_table(wanted)));
    return commit(table);
  }
};

Result<HostOnTrial> HostOnTrial::open(const ruleset::Snapshot& snapshot,
                                      const ruleset::Host& host) {
  auto kernel = netlink::Connection::open();
  if (!kernel) return std::unexpected(kernel.error());
  auto shared = std::make_shared<Shared>(std::move(*kernel), snapshot.ruleset.tables.front());
  auto judge = sandbox::Judge::open(host, [shared] { return shared->load(); });
  if (!judge) return std::unexpected(judge.error());
  return HostOnTrial(std::move(shared), std::move(*judge));
}

Result<std::optional<sandbox::Observation>> HostOnTrial::ask(const eval::Packet& packet,
                                                             bool arrives) {
  TRY(want(packet.ct_state));
  if (!packet.ct_state) return send(packet, arrives);
  for (const Preparation& preparation : preparations(packet, arrives)) {
    bool entered = true;
    for (const netlink::NewConnection& connection : preparation.connections) {
      entered = entered && netlink::enter_connection(connection).has_value();
    }
    // Of a protocol that has no such connection none is entered.
    Result<std::optional<sandbox::Observation>> seen = std::nullopt;
    if (entered) seen = send(preparation.packet, arrives);
    TRY(netlink::forget_connections());
    if (!seen || *seen) return seen;
  }
  return std::nullopt;
}

Result<void> HostOnTrial::want(std::optional<std::uint32_t> state) {
  if (shared_->wanted == state) return {};
  shared_->wanted = state;
  return shared_->commit(state_table(state));
}

// Absent: the state's table has dropped it.
Result<std::optional<sandbox::Observation>> HostOnTrial::send(const eval::Packet& packet,
                                                              bool arrives) {
  auto seen = arrives ? judge_.arrive(packet) : judge_.send(packet);
  if (!seen) return std::unexpected(seen.error());
  for (sandbox::HookObservation& hook : seen->hooks) {
    const auto is_of_state = [&](const sandbox::Step& step) {
      return ruleset().tables[step.table].name == kStateTable;
    };
    const bool denied = hook.fate == sandbox::Fate::Drop && !hook.path.empty();
    if (denied && is_of_state(hook.path.back())) return std::nullopt;
    std::erase_if(hook.path, is_of_state);
  }
  return std::optional(std::move(*seen));
}

}  // namespace rolewall::cli
