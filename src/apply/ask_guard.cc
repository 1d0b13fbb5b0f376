#include "apply/ask_guard.h"

#include <algorithm>
#include <string>
#include <utility>

#include "apply/rulesets_in_part.h"

namespace rolewall::apply {
namespace {

using ruleset::Set;
using ruleset::Table;

class LiveGuard {
 public:
  LiveGuard(Kernel& kernel, const Table* wanted, const Today& today)
      : kernel_(kernel), today_(today) {
    if (wanted != nullptr) wanted_ = *wanted;
  }

  Result<GuardAnswer> ask(const GuardFacts& facts) {
    TRY(read_rulesets(kernel_, wanted_, today_, before_, after_));
    return ask_until_read(before_, after_, facts);
  }

  // What is lost today too is no loss.
  Result<GuardAnswer> ask_about_removal(const std::string& set, const ruleset::Bytes& key,
                                        const GuardFacts& facts) {
    TRY(read_rulesets(kernel_, wanted_, today_, before_, after_));
    after_.ruleset.tables.front() = before_.ruleset.tables.front();
    after_.unread.front() = before_.unread.front();
    after_.partial.clear();
    after_.note_partial();
    Table& ours = after_.ruleset.tables.front();
    const auto at = std::ranges::find(ours.sets, set, &Set::name);
    if (at == ours.sets.end()) return GuardAnswer{};
    remove(*at, key);
    // It is not to be found by asking the kernel either.
    if (const auto partial = after_.partial.find(&*at); partial != after_.partial.end()) {
      partial->second.read.insert(key);
    }
    Result<GuardAnswer> then = ask_until_read(before_, after_, facts);
    if (!then || then->losses.empty()) return then;
    const Result<GuardAnswer> now = ask_until_read(before_, before_, facts);
    if (!now) return std::unexpected(now.error());
    std::erase_if(then->losses, [&](const Loss& loss) {
      return std::ranges::find(now->losses, loss.what, &Loss::what) != now->losses.end();
    });
    return then;
  }

 private:
  static void remove(Set& set, const ruleset::Bytes& key) {
    const ruleset::Elements all = set.elements;
    set.elements = {};
    set.elements.key_size = set.key_size();
    for (std::size_t row = 0; row < all.count(); ++row) {
      if (!std::ranges::equal(all.key(row), key)) set.elements.append(all, row);
    }
  }

  Result<GuardAnswer> ask_until_read(InPart& before, InPart& after, const GuardFacts& facts) {
    while (true) {
      GuardAnswer answer = ask_about(before.asked(), after.asked(), facts);
      bool again = false;
      for (InPart* each : {&before, &after}) {
        const Result<bool> more = read_what_was_asked(kernel_, *each);
        if (!more) return std::unexpected(more.error());
        again |= *more;
      }
      if (!again) return answer;
    }
  }

  Kernel& kernel_;
  std::optional<Table> wanted_;
  Today today_;
  InPart before_;
  InPart after_;
};

}  // namespace

Result<GuardAnswer> ask_guard(Kernel& kernel, const Table* wanted, const GuardFacts& facts,
                              const Today& today) {
  return LiveGuard(kernel, wanted, today).ask(facts);
}

Result<GuardAnswer> ask_about_removal(Kernel& kernel, const std::string& set,
                                      const ruleset::Bytes& key, const GuardFacts& facts) {
  return LiveGuard(kernel, nullptr, {}).ask_about_removal(set, key, facts);
}

void track_sessions(Kernel& kernel, GuardFacts& facts) {
  const Result<netlink::TcpSockets> sockets = kernel.tcp_sockets();
  if (!sockets) return;
  for (Session& session : facts.sessions) {
    const auto is_session = [&](const netlink::TcpSocket& socket) {
      return socket.local == session.server && socket.local_port == session.server_port &&
             socket.remote == session.client && socket.remote_port == session.client_port;
    };
    const auto open = std::ranges::find_if(sockets->established, is_session);
    if (open == sockets->established.end()) continue;
    session.tracked = kernel.ensure_conntrack_entry(*open, true).has_value();
  }
}

Result<void> settle(const Result<GuardAnswer>& answer, GuardCall& call) {
  if (!answer) return std::unexpected(answer.error());
  call.answer = *answer;
  if (call.answer.losses.empty() || call.force) return {};
  return fail(ErrorKind::Refused, "the guard refused");
}

Result<void> ask_before(Kernel& kernel, const Table* wanted, GuardCall* call) {
  if (call == nullptr) return {};
  track_sessions(kernel, call->facts);
  return settle(ask_guard(kernel, wanted, call->facts), *call);
}

}  // namespace rolewall::apply
