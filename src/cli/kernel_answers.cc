#include "cli/kernel_answers.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <variant>

#include "cli/exit_status.h"
#include "cli/host_on_trial.h"
#include "cli/render.h"
#include "cli/render_json.h"
#include "ruleset/expr.h"
#include "sandbox/observation.h"
#include "sandbox/sandbox.h"

namespace rolewall::cli {
namespace {

// Or why the kernel cannot be brought to what the question says.
using HopsOrWhyNot = std::expected<std::vector<ask::Hop>, std::string>;

// What one host is asked, and what it answered, in the same order.
struct HostQuestions {
  std::vector<ask::FlowEnd> ends;
  std::vector<HopsOrWhyNot> answers;
  std::size_t next = 0;  // the first answer that was not yet taken
};

// How the sandbox's process, which shares no memory with ours, tells its answers: a file without a
// name, a line for each question.
class Channel {
 public:
  Channel() : file_(::memfd_create("rolewall-answers", MFD_CLOEXEC)) {}
  ~Channel() {
    if (file_ >= 0) ::close(file_);
  }
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  bool write(std::string_view text) const {
    while (!text.empty()) {
      const ssize_t count = ::write(file_, text.data(), text.size());
      if (count < 0 && errno != EINTR) return false;
      if (count > 0) text.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
  }
  std::string read() const {
    std::string text;
    std::array<char, 1 << 16> block{};
    for (off_t at = 0;;) {
      const ssize_t count = ::pread(file_, block.data(), block.size(), at);
      if (count <= 0) return text;
      text.append(block.data(), static_cast<std::size_t>(count));
      at += count;
    }
  }

 private:
  int file_;
};

ask::Verdict verdict_of(sandbox::Fate fate) {
  switch (fate) {
    case sandbox::Fate::Accept:
      return ask::Verdict::Accept;
    case sandbox::Fate::Drop:
      return ask::Verdict::Drop;
    case sandbox::Fate::Reject:
      return ask::Verdict::Reject;
    case sandbox::Fate::Stack:
      return ask::Verdict::Stack;
    case sandbox::Fate::Queue:
    case sandbox::Fate::Stolen:
      break;  // no ruleset of ours does either
  }
  return ask::Verdict::Undecided;
}

std::vector<ask::Hop> to_hops(const ruleset::Snapshot& snapshot, const ruleset::Ruleset& live,
                              const sandbox::Observation& seen) {
  std::vector<ask::Hop> hops;
  for (const sandbox::HookObservation& observed : seen.hooks) {
    ask::Hop hop;
    hop.host = snapshot.host.name;
    hop.hook = observed.hook;
    const bool leaves = observed.hook == ruleset::Hook::Postrouting && !seen.leaves_by.empty();
    hop.device = leaves ? seen.leaves_by : seen.device;
    hop.verdict = verdict_of(observed.fate);
    if (const sandbox::Step* step = observed.decision(); step != nullptr) {
      const std::uint32_t rule =
          step->rule == sandbox::Step::kEnd ? eval::Decision::kPolicy : step->rule;
      hop.decided_by = ask::decided_by(live, snapshot.sources, {step->table, step->chain, rule});
    }
    if (observed.fate == sandbox::Fate::Stack) hop.reason = seen.reason;
    hops.push_back(std::move(hop));
  }
  return hops;
}

// The sandbox routes by what is behind the interfaces; where words say another way out, it cannot
// follow them.
class Routing {
 public:
  explicit Routing(ask::Site& site) : site_(site) {}

  bool leads_there(const ask::FlowEnd& end) {
    auto& evaluator = evaluators_[end.host];
    const ruleset::Snapshot& snapshot = site_.snapshot(end.host);
    if (!evaluator) {
      const auto [host, fresh] =
          hosts_.emplace(end.host, forwarding(sandbox::with_routes(snapshot.host)));
      evaluator = std::make_unique<eval::Evaluator>(snapshot.ruleset, host->second);
    }
    eval::Packet packet = end.packet;
    packet.out_device.clear();
    eval::Options options;
    options.steps = false;
    const eval::Journey journey = evaluator->arrive(packet, options);
    return journey.after.out_device.empty() || journey.after.out_device == end.packet.out_device;
  }

  static ruleset::Host forwarding(ruleset::Host host) {
    host.forwards_ipv4 = true;
    host.forwards_ipv6 = true;
    return host;
  }

 private:
  ask::Site& site_;
  std::map<policy::Index, ruleset::Host> hosts_;
  std::map<policy::Index, std::unique_ptr<eval::Evaluator>> evaluators_;
};

bool reads_clock(const ruleset::Ruleset& ruleset) {
  using ruleset::MetaKey;
  for (const ruleset::Table& table : ruleset.tables) {
    for (const ruleset::Chain& chain : table.chains) {
      for (const ruleset::Rule& rule : chain.rules) {
        for (const ruleset::Expr& expr : rule.exprs) {
          const auto* meta = std::get_if<ruleset::Meta>(&expr);
          if (meta != nullptr && (meta->key == MetaKey::TimeNs || meta->key == MetaKey::TimeDay ||
                                  meta->key == MetaKey::TimeHour)) {
            return true;
          }
        }
      }
    }
  }
  return false;
}

// Those by whose number a rule tells senders apart.
std::set<std::uint32_t> users_told_apart(const ruleset::Ruleset& ruleset) {
  std::set<std::uint32_t> users;
  for (const ruleset::Table& table : ruleset.tables) {
    for (const ruleset::Chain& chain : table.chains) {
      for (const ruleset::Rule& rule : chain.rules) {
        bool loads_user = false;
        for (const ruleset::Expr& expr : rule.exprs) {
          const auto* meta = std::get_if<ruleset::Meta>(&expr);
          loads_user = loads_user || (meta != nullptr && meta->key == ruleset::MetaKey::SkUid);
          const auto* cmp = std::get_if<ruleset::Cmp>(&expr);
          if (!loads_user || cmp == nullptr || cmp->value.size != sizeof(std::uint32_t)) continue;
          std::uint32_t user = 0;
          std::memcpy(&user, cmp->value.begin(), sizeof user);
          users.insert(user);
        }
      }
    }
  }
  return users;
}

// Where words name no user, they mean none that a rule names: the sandbox's own, root, may be one.
std::uint32_t user_of_nobody(const std::set<std::uint32_t>& told_apart) {
  if (told_apart.empty()) return 0;
  constexpr std::uint32_t kNobody = 65534;
  std::uint32_t user = kNobody;
  while (told_apart.contains(user)) --user;
  return user;
}

// A policy's host without named interfaces has one, which words may call by any name.
eval::Packet on_the_only_device(eval::Packet packet, const ruleset::Host& as_written,
                                const ruleset::Host& host) {
  if (!as_written.interfaces.empty()) return packet;
  for (std::string* device : {&packet.in_device, &packet.out_device}) {
    if (!device->empty() && *device != "lo") *device = host.interfaces.front().device;
  }
  return packet;
}

// Runs in the sandbox; the exit status of its process.
int answer_all(const ruleset::Snapshot& snapshot, const HostQuestions& questions,
               const Channel& channel) {
  ruleset::Host host = sandbox::realise(snapshot.host);
  if (std::ranges::any_of(questions.ends, &ask::FlowEnd::passes_on)) {
    host = Routing::forwarding(std::move(host));
  }
  if (const auto made = sandbox::set_up_host(host); !made) return report(made.error());
  auto trial = HostOnTrial::open(snapshot, host);
  if (!trial) return report(trial.error());
  const std::uint32_t nobody = user_of_nobody(users_told_apart(snapshot.ruleset));
  for (const ask::FlowEnd& end : questions.ends) {
    eval::Packet packet = on_the_only_device(end.packet, snapshot.host, host);
    if (!end.arrives && !packet.user) packet.user = nobody;
    const auto seen = trial->ask(packet, end.arrives);
    if (!seen) return report(seen.error());
    Json answer{{"why_not", "the kernel gives their packet no such state as `state=` says"}};
    if (*seen) {
      answer = Json::array();
      for (const ask::Hop& hop : to_hops(snapshot, trial->ruleset(), **seen)) {
        answer.push_back(to_json(hop));
      }
    }
    if (!channel.write(answer.dump() + "\n")) return kSystem;
  }
  return kDone;
}

Result<void> ask_host(const ruleset::Snapshot& snapshot, HostQuestions& questions) {
  if (err().interactive()) {
    err().line(fmt::format("rolewall: asking the kernel as {}: {}", snapshot.host.name,
                           counted(questions.ends.size(), "packet")));
  }
  const Channel channel;
  // The child shares our streams: what is buffered here would be written twice.
  std::fflush(nullptr);
  const auto status = sandbox::run([&] { return answer_all(snapshot, questions, channel); });
  if (!status) return std::unexpected(status.error());
  std::istringstream lines(channel.read());
  for (std::string line; std::getline(lines, line);) {
    const auto answer = parse_json(line);
    if (!answer) break;
    if (std::string why_not = answer->text("why_not"); !why_not.empty()) {
      questions.answers.emplace_back(std::unexpected(std::move(why_not)));
      continue;
    }
    std::vector<ask::Hop> hops;
    for (const Json& hop : answer->elements()) hops.push_back(hop_from_json(hop));
    questions.answers.emplace_back(std::move(hops));
  }
  if (*status != kDone || questions.answers.size() != questions.ends.size()) {
    return fail(
        ErrorKind::System,
        fmt::format("{}: the sandbox exited with status {} after {} of {} packets",
                    snapshot.host.name, *status, questions.answers.size(), questions.ends.size()));
  }
  return {};
}

bool bears(const ruleset::Host& host, const net::Address& address) {
  for (const auto* prefixes : {&host.addresses, &host.virtual_addresses}) {
    for (const net::Prefix& prefix : *prefixes) {
      if (prefix.address == address) return true;
    }
  }
  return false;
}

// "" where it can be put to the kernel.
std::string obstacle(ask::Site& site, Routing& routing, const ask::Sample& sample) {
  for (const ask::Stop& stop : site.way_of(sample)) {
    // The sandbox's clock is the machine's.
    if (sample.time_ns && reads_clock(site.snapshot(stop.ends.front().host).ruleset)) {
      return "they say when they pass, with `time=`, and a rule asks for that";
    }
    const bool follows = std::ranges::all_of(stop.ends, [&](const ask::FlowEnd& end) {
      return !end.passes_on() || routing.leads_there(end);
    });
    if (!follows) return "their `out=` is not the interface that the host's routes give";
  }
  const auto sends_as = [&](policy::Index sender) {
    return sample.user.value_or(user_of_nobody(users_told_apart(site.snapshot(sender).ruleset)));
  };
  if (sample.sender && sends_as(*sample.sender) != 0 && ::geteuid() != 0) {
    return "sending as another user than root needs root";
  }
  const auto is_there = [&](policy::Index host, const net::Address& address) {
    return bears(sandbox::realise(site.snapshot(host).host), address);
  };
  const bool sent = !sample.sender || is_there(*sample.sender, sample.fields.source);
  const bool received = !sample.receiver || net::is_group(sample.fields.destination) ||
                        is_there(*sample.receiver, sample.fields.destination);
  return sent && received ? "" : "they are from or to another machine of a pool";
}

}  // namespace

Result<ask::Asker> kernel(ask::Site& site, const std::vector<ask::TestCase>& cases) {
  std::map<policy::Index, HostQuestions> hosts;
  Routing routing(site);
  const auto collect = [&](const ask::FlowEnd& end) {
    hosts[end.host].ends.push_back(end);
    return std::vector<ask::Hop>{};
  };
  for (const ask::TestCase& test_case : cases) {
    for (const ask::Sample& sample : test_case.samples) {
      if (obstacle(site, routing, sample).empty()) site.ask_with(sample, collect);
    }
  }
  for (auto& [host, questions] : hosts) TRY(ask_host(site.snapshot(host), questions));

  // The same questions once more, in the same order, now with their answers.
  std::string why_not_asked;
  const auto take = [&](const ask::FlowEnd& end) {
    HostQuestions& questions = hosts[end.host];
    HopsOrWhyNot& answer = questions.answers[questions.next++];
    if (answer) return std::move(*answer);
    why_not_asked = answer.error();
    return std::vector<ask::Hop>{};
  };
  // Shared by the copies of the Asker, for which std::function asks.
  const auto answers = std::make_shared<std::vector<std::vector<ask::AnswerOrWhyNot>>>();
  for (const ask::TestCase& test_case : cases) {
    auto& of_case = answers->emplace_back();
    for (const ask::Sample& sample : test_case.samples) {
      why_not_asked = obstacle(site, routing, sample);
      ask::AnswerOrWhyNot answer;
      if (why_not_asked.empty()) answer = site.ask_with(sample, take);
      if (!why_not_asked.empty()) answer = std::unexpected(std::move(why_not_asked));
      of_case.push_back(std::move(answer));
    }
  }
  return [answers](std::size_t test_case, std::size_t sample) {
    return std::move((*answers)[test_case][sample]);
  };
}

}  // namespace rolewall::cli
