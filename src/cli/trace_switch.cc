#include "cli/trace_switch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/netfilter/xt_NFQUEUE.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <optional>
#include <utility>

#include "ask/trace_table.h"
#include "netlink/netlink.h"
#include "netlink/packet_queue.h"
#include "ruleset/expr.h"

namespace rolewall::cli {
namespace {

using ruleset::Chain;
using ruleset::Rule;
using ruleset::Table;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kStays{2000};

// What the holding process tells.
struct Told {
  std::uint32_t generation = 0;
  bool others_came = false;
  bool failed = false;
  char why[256] = "";
};

Chain& mark_chain(Table& table) {
  return *std::ranges::find(table.chains, ask::trace_chain::kMark, &Chain::name);
}

bool is_gate(const Chain& chain) {
  return chain.name == ask::trace_chain::kDelivered || chain.name == ask::trace_chain::kLeft;
}

// Within the same limit, held instead of marked; where nobody holds, it passes.
Rule holding(const Rule& marking, std::uint16_t queue) {
  Rule rule;
  rule.exprs.push_back(*marking.exprs.begin());
  xt_NFQ_info_v3 info{};
  info.queuenum = queue;
  info.queues_total = 1;
  info.flags = NFQ_FLAG_BYPASS;
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(&info);
  rule.exprs.push_back(ruleset::XtTarget{"NFQUEUE", 3, {bytes, bytes + sizeof info}});
  return rule;
}

std::string words_of(const netlink::CommitResult& result) {
  if (result.refusals.empty()) return "another program is changing the firewall";
  return fmt::format("{}: {}", result.refusals.front().what, result.refusals.front().explanation);
}

class Holder {
 public:
  Holder(Table table, int from_parent, int to_parent)
      : marking_(std::move(table)), from_parent_(from_parent), to_parent_(to_parent) {}

  // Returns when the parent has nothing more to say.
  void run() {
    auto kernel = netlink::Connection::open();
    if (!kernel) return tell_failure(kernel.error().message);
    kernel_.emplace(std::move(*kernel));
    auto queue = netlink::PacketQueue::open();
    std::string why = queue ? load_holding(queue->number()) : queue.error().message;
    if (why.empty()) {
      queue_.emplace(std::move(*queue));
    } else if (std::string refused = load(marking_); !refused.empty()) {
      return tell_failure(refused);
    }
    told_.failed = false;
    std::snprintf(told_.why, sizeof told_.why, "%s", why.c_str());
    tell();
    wait();
  }

 private:
  void tell() {
    [[maybe_unused]] const ssize_t done = ::write(to_parent_, &told_, sizeof told_);
    told_.others_came = false;
    told_.why[0] = '\0';
  }
  void tell_failure(const std::string& why) {
    told_.failed = true;
    std::snprintf(told_.why, sizeof told_.why, "%s", why.c_str());
    tell();
  }

  // "", or why not.
  std::string load(const Table& table) {
    const auto made = kernel_->replace_table(table, std::nullopt);
    if (!made) return made.error().message;
    if (!made->committed) return words_of(*made);
    told_.generation = made->generation;
    return "";
  }
  std::string load_holding(std::uint16_t queue) {
    holding_ = marking_;
    Chain& chain = mark_chain(holding_);
    chain.rules = {holding(chain.rules.front(), queue)};
    Table first = holding_;
    std::erase_if(first.chains, is_gate);
    return load(first);
  }

  void wait() {
    while (true) {
      pollfd waiting[2] = {
          {.fd = from_parent_, .events = POLLIN, .revents = 0},
          {.fd = queue_ ? queue_->descriptor() : -1, .events = POLLIN, .revents = 0}};
      ::poll(waiting, 2, 200);
      if (waiting[0].revents != 0) {
        char bytes[64];
        const ssize_t size = ::read(from_parent_, bytes, sizeof bytes);
        if (size == 0 || (size < 0 && errno != EINTR)) return;
        last_ = Clock::now();
      }
      if (!queue_) continue;
      if (const auto packets = queue_->held(); packets && !packets->empty()) {
        if (!marks_) marks_ = change_to(marking_);
        last_ = Clock::now();
        // Where the rule could not be changed it would be held again, for ever.
        if (!(marks_ ? queue_->repeat(*packets) : queue_->pass(*packets))) return;
        if (!marks_) return;
      } else if (marks_ && Clock::now() - last_ > kStays) {
        marks_ = !change_to(holding_);
      }
    }
  }

  // The gates come with the first mark and stay: that a base chain goes has the kernel drop what is
  // held anywhere (nf_queue_nf_hook_drop()).
  bool change_to(const Table& wanted) {
    constexpr int kAttempts = 5;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      const auto live = kernel_->dump_table(wanted.family, wanted.name);
      if (!live || !*live) return false;
      ruleset::TableChange change;
      for (std::size_t i = 0; i < wanted.chains.size(); ++i) {
        if (find_chain(**live, wanted.chains[i].name) == nullptr) change.added_chains.push_back(i);
        if (wanted.chains[i].name != ask::trace_chain::kMark) continue;
        const Chain* mark = find_chain(**live, ask::trace_chain::kMark);
        if (mark == nullptr || mark->rules.empty()) return false;
        change.removed_rules.push_back({mark->name, mark->rules.front().handle});
        change.added_rules.push_back({.chain = i, .rule = 0, .before = 0});
      }
      const auto generation = attempt == 0 ? std::optional(told_.generation) : std::nullopt;
      const auto made = kernel_->change_table(wanted, change, generation);
      if (made && made->committed) {
        told_.generation = made->generation;
        tell();
        return true;
      }
      told_.others_came = true;
    }
    return false;
  }

  Table marking_;
  Table holding_;
  int from_parent_;
  int to_parent_;
  std::optional<netlink::Connection> kernel_;
  std::optional<netlink::PacketQueue> queue_;
  Told told_;
  bool marks_ = false;
  Clock::time_point last_;
};

[[noreturn]] void hold(Table table, pid_t parent, int from_parent, int to_parent) {
  ::setsid();  // Ctrl-C and Ctrl-Z are the parent's
  for (const int signal : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE}) ::signal(signal, SIG_IGN);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() == parent) Holder(std::move(table), from_parent, to_parent).run();
  ::_exit(0);
}

}  // namespace

Result<TraceSwitch> TraceSwitch::start(const Table& table) {
  const auto refused = [] {
    return fail(ErrorKind::System, fmt::format("cannot start the trace: {}", std::strerror(errno)),
                errno);
  };
  int up[2];
  int down[2];
  // A socket, on which a process that is gone is an error and no signal.
  if (::pipe2(up, O_CLOEXEC) != 0 ||
      ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, down) != 0) {
    return refused();
  }
  std::fflush(nullptr);  // else the child would write what is buffered a second time
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return refused();
  if (child == 0) {
    ::close(up[0]);
    ::close(down[1]);
    hold(table, parent, down[0], up[1]);
  }
  ::close(up[1]);
  ::close(down[0]);
  TraceSwitch made;
  made.child_ = child;
  made.from_child_ = up[0];
  made.to_child_ = down[1];
  Told told;
  ssize_t size = 0;
  do {
    size = ::read(up[0], &told, sizeof told);
  } while (size < 0 && errno == EINTR);
  if (size != sizeof told) {
    return fail(ErrorKind::System, "the process that traces did not start");
  }
  if (told.failed) {
    return fail(ErrorKind::System,
                fmt::format("the kernel refused the table that traces: {}", told.why));
  }
  made.state_.generation = told.generation;
  made.remark_ = told.why;
  ::fcntl(up[0], F_SETFL, O_NONBLOCK);
  return made;
}

TraceSwitch::TraceSwitch(TraceSwitch&& other) noexcept
    : child_(std::exchange(other.child_, 0)),
      from_child_(std::exchange(other.from_child_, -1)),
      to_child_(std::exchange(other.to_child_, -1)),
      state_(other.state_),
      remark_(std::move(other.remark_)) {}

TraceSwitch::~TraceSwitch() {
  if (to_child_ >= 0) ::close(to_child_);
  if (from_child_ >= 0) ::close(from_child_);
  if (child_ <= 0) return;
  while (::waitpid(child_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

TraceSwitch::State TraceSwitch::state() {
  Told told;
  while (::read(from_child_, &told, sizeof told) == sizeof told) {
    state_.generation = told.generation;
    state_.others_came |= told.others_came;
  }
  const State now = state_;
  state_.others_came = false;
  return now;
}

bool TraceSwitch::has_ended() const {
  pollfd end{.fd = from_child_, .events = 0, .revents = 0};
  return ::poll(&end, 1, 0) == 1 && (end.revents & POLLHUP) != 0;
}

void TraceSwitch::packet_came() const {
  [[maybe_unused]] const ssize_t done = ::send(to_child_, "!", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

}  // namespace rolewall::cli
