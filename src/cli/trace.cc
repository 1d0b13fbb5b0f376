// rolewall trace: what the kernel does with real packets, rule by rule, and whether the dry run
// says the same.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "apply/apply.h"
#include "ask/trace_table.h"
#include "cli/dry_run_check.h"
#include "cli/exit_status.h"
#include "cli/interruption.h"
#include "cli/live.h"
#include "cli/program.h"
#include "cli/question.h"
#include "cli/render.h"
#include "cli/render_trace.h"
#include "cli/site_options.h"
#include "cli/state_options.h"
#include "cli/time_option.h"
#include "cli/trace_switch.h"
#include "cli/traced_packets.h"
#include "netlink/netlink.h"
#include "observe/drop_reasons.h"
#include "observe/trace.h"
#include "policy/codes.h"

namespace rolewall::cli {
namespace {

struct TraceOptions {
  std::vector<std::string> packet;
  SiteOptions site;
  std::string host;
  std::string state_directory{apply::kDefaultStateDirectory};
  std::string time = "30s";
  std::optional<std::uint32_t> count;
  std::string format = "text";
};
constexpr std::uint32_t kUsualCount = 10;

std::uint64_t steady_ms() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
}

// The live ruleset without tables of traces, and what reads and asks it.
struct Live {
  ruleset::Snapshot snapshot;
  sandbox::Reader reader;
  std::unique_ptr<DryRunCheck> check;
  std::uint32_t generation = 0;
  std::string other_trace;  // the table of one that runs already; "": there is none
};

Result<std::unique_ptr<Live>> read_live(netlink::Connection& kernel,
                                        const std::string& state_directory) {
  const auto generation = kernel.generation();
  if (!generation) return std::unexpected(generation.error());
  auto snapshot = live_snapshot(state_directory);
  if (!snapshot) return std::unexpected(std::move(snapshot).error());
  auto live = std::make_unique<Live>();
  live->snapshot = std::move(*snapshot);
  live->generation = *generation;
  std::erase_if(live->snapshot.ruleset.tables, [&](const ruleset::Table& table) {
    const bool traces = table.name.starts_with(ask::kTraceTables);
    if (traces) live->other_trace = table.name;
    return traces;
  });
  live->reader = sandbox::Reader(live->snapshot.ruleset);
  live->check = std::make_unique<DryRunCheck>(live->snapshot);
  return live;
}

// Whom the words are about: this host, by the policies where they are named.
Result<Subject> subject_of(const TraceOptions& options, const ruleset::Host& machine) {
  if (options.site.directory.empty() && options.host.empty()) {
    return Subject{policy_without_site(machine),
                   false,
                   {},
                   {policy::Index{0}, true, false},
                   "name their directory with -p"};
  }
  auto site = load_valid_site(options.site, Looks::Around);
  if (!site) return std::unexpected(std::move(site).error());
  Subject subject{std::move(site->policy), true, site->date, {}};
  const auto host = choose_host(subject.policy, options.host);
  if (!host) return std::unexpected(host.error());
  subject.asking = {*host, true, false};
  return subject;
}

struct Tally {
  std::size_t packets = 0;
  std::size_t agree = 0;
  std::size_t differ = 0;
  std::size_t not_compared = 0;
};

class Tracing {
 public:
  Tracing(const TraceOptions& options, netlink::Connection& kernel, std::unique_ptr<Live> live,
          observe::TraceSocket socket, TraceSwitch marking,
          std::optional<observe::DropReasons> reasons, std::string table)
      : options_(options),
        kernel_(kernel),
        live_(std::move(live)),
        socket_(std::move(socket)),
        marking_(std::move(marking)),
        reasons_(std::move(reasons)),
        packets_(std::move(table)) {
    ours_ = known_ = marking_.state().generation;
  }

  Result<void> run(std::chrono::seconds within) {
    constexpr int kPatienceMs = 100;
    const std::size_t most = options_.count.value_or(kUsualCount);
    const std::uint64_t end = steady_ms() + static_cast<std::uint64_t>(within.count()) * 1000;
    while (tally_.packets < most && steady_ms() < end && !Interruption::requested()) {
      std::vector<observe::TraceMessage> messages;
      const auto left = static_cast<int>(std::min<std::uint64_t>(kPatienceMs, end - steady_ms()));
      const Result<void> read = socket_.read(messages, std::max(left, 1));
      if (!read && read.error().kind != ErrorKind::Conflict) return read;
      if (!read) lost_ = true;
      if (!messages.empty()) marking_.packet_came();
      for (observe::TraceMessage& message : messages) {
        packets_.take(std::move(message), steady_ms());
      }
      TRY(tell(packets_.finished(steady_ms()), most));
      if (marking_.has_ended()) {
        return fail(ErrorKind::System, "the process that marks the packets has ended");
      }
    }
    return tell(packets_.all(), most);
  }

  const Tally& tally() const { return tally_; }
  bool lost() const { return lost_; }

 private:
  Result<void> tell(std::vector<TracedPacket> packets, std::size_t most) {
    if (packets.empty()) return {};
    const auto changed = read_changes();
    if (!changed) return std::unexpected(changed.error());
    for (const TracedPacket& packet : packets) {
      if (tally_.packets == most) break;
      tell_one(packet, *changed);
    }
    return {};
  }

  // Whether another program has changed the ruleset since it was read last: it is read again then.
  // That our own table is changed counts for nothing.
  Result<bool> read_changes() {
    const TraceSwitch::State ours = marking_.state();
    if (ours.generation != ours_ && !ours.others_came) known_ = ours.generation;
    ours_ = ours.generation;
    const auto generation = kernel_.generation();
    if (!generation) return std::unexpected(generation.error());
    if (*generation == known_ && !ours.others_came) return false;
    auto now = read_live(kernel_, options_.state_directory);
    if (!now) return std::unexpected(std::move(now).error());
    live_ = std::move(*now);
    known_ = live_->generation;
    return true;
  }

  // Of packets of its protocol, in its time: nothing says which packet it was.
  std::vector<std::string> reasons_of(const TracedPacket& packet) {
    constexpr std::uint64_t kNsPerMs = 1'000'000;
    constexpr std::uint64_t kAboutMs = 100;
    constexpr std::size_t kMostKept = 4096;
    if (!reasons_) return {};
    ::usleep(2000);  // it is dropped once the last rule has told of it
    for (observe::DropReason& one : reasons_->read()) dropped_.push_back(std::move(one));
    if (dropped_.size() > kMostKept) {
      dropped_.erase(dropped_.begin(), dropped_.end() - static_cast<std::ptrdiff_t>(kMostKept));
    }
    const auto told = packet_in(packet.first, live_->snapshot.host);
    std::vector<std::string> names;
    for (const observe::DropReason& one : dropped_) {
      const std::uint64_t at_ms = one.monotonic_ns / kNsPerMs;
      const bool is_near =
          at_ms + kAboutMs >= packet.first_ms && at_ms <= packet.last_ms + kAboutMs;
      const bool is_alike = !told || told->ether_type == one.ether_type;
      if (is_near && is_alike && std::ranges::find(names, one.name) == names.end()) {
        names.push_back(one.name);
      }
    }
    return names;
  }

  void tell_one(const TracedPacket& packet, bool changed) {
    TracedAnswer answer;
    answer.packet = words_of(packet, live_->snapshot.host);
    answer.translations = translations_of(packet, live_->snapshot.host);
    const auto seen = observation_of(packet, live_->snapshot.ruleset, live_->reader);
    if (!seen) {
      answer.problem = seen.error().message;
      answer.dry_run = {Agreement::NotCompared, "it is not known what the kernel did", ""};
    } else {
      answer.hops = hops_of(*seen, live_->snapshot);
      const bool unmarked = loses_mark(*seen, live_->snapshot.ruleset);
      if (seen->fate() != sandbox::Fate::Accept) answer.drop_reasons = reasons_of(packet);
      if (unmarked) {
        answer.dry_run = {Agreement::NotCompared, "another program's rule has ended the trace", ""};
      } else if (changed) {
        answer.dry_run = {Agreement::NotCompared, "the ruleset has just changed", ""};
      } else {
        answer.dry_run = live_->check->check(packet, *seen);
      }
    }
    ++tally_.packets;
    switch (answer.dry_run.agreement) {
      case Agreement::Agrees:
        ++tally_.agree;
        break;
      case Agreement::Differs:
        ++tally_.differ;
        break;
      case Agreement::NotCompared:
        ++tally_.not_compared;
        break;
    }
    if (options_.format == "json") {
      print(to_json(answer));
    } else {
      render(out(), answer);
    }
    std::fflush(stdout);
  }

  const TraceOptions& options_;
  netlink::Connection& kernel_;
  std::unique_ptr<Live> live_;
  observe::TraceSocket socket_;
  TraceSwitch marking_;
  std::optional<observe::DropReasons> reasons_;
  std::vector<observe::DropReason> dropped_;
  TracedPackets packets_;
  std::uint32_t ours_ = 0;   // the kernel's generation as our own table's last change has left it
  std::uint32_t known_ = 0;  // at which the ruleset is as it was read, but for that table
  Tally tally_;
  bool lost_ = false;
};

void say_end(const TraceOptions& options, const Tally& tally, bool lost,
             const std::string& for_how_long) {
  if (options.format == "json") {
    print({{"version", kJsonVersion},
           {"verb", "trace"},
           {"packets", tally.packets},
           {"agree", tally.agree},
           {"differ", tally.differ},
           {"not_compared", tally.not_compared},
           {"lost", lost}});
    return;
  }
  if (tally.packets == 0) {
    out().line(fmt::format("no packet of these words came{}",
                           for_how_long.empty() ? "" : " in " + for_how_long));
  } else {
    std::string words = fmt::format("{}: the dry run says the same of {}",
                                    counted(tally.packets, "packet"), tally.agree);
    if (tally.differ != 0) words += fmt::format(", another thing of {}", tally.differ);
    if (tally.not_compared != 0) words += fmt::format(", {} not compared", tally.not_compared);
    out().line(words);
  }
  if (lost) {
    render_notes(
        {"the kernel told more than was read in time: some packets are missing or not "
         "whole"});
  }
}

// What a question would need, packets that come have: a port. `tcp any > self` is all of TCP.
std::optional<policy::PacketWords> open_words(const std::string& words, const Subject& subject,
                                              Diagnostics& diagnostics) {
  constexpr Span kPlace{kNoFile, 1, 1};
  auto packet = words_of(words, subject, kPlace, diagnostics);
  const bool lacks_port = std::ranges::any_of(diagnostics.all(), [](const Diagnostic& finding) {
    return is(finding, policy::Code::PortNeeded);
  });
  const std::size_t end = words.find(' ');
  if (!lacks_port || end == std::string::npos) return packet;
  diagnostics = {};
  return words_of(words.substr(0, end) + "/0-65535" + words.substr(end), subject, kPlace,
                  diagnostics);
}

Error another_runs(const std::string& table) {
  return {ErrorKind::Refused,
          fmt::format("another trace runs here (process {}), and two would take each other's "
                      "packets: wait for its end, or end it",
                      table.substr(ask::kTraceTables.size())),
          0,
          {}};
}

// The table of another trace that was there before ours; "": there is none.
Result<std::string> trace_before(netlink::Connection& kernel, const std::string& own) {
  const auto ruleset = kernel.dump(false);
  if (!ruleset) return std::unexpected(ruleset.error());
  std::uint64_t own_handle = 0;
  for (const ruleset::Table& table : ruleset->tables) {
    if (table.name == own) own_handle = table.handle;
  }
  for (const ruleset::Table& table : ruleset->tables) {
    const bool is_other = table.name.starts_with(ask::kTraceTables) && table.name != own;
    if (is_other && table.handle < own_handle) return table.name;
  }
  return std::string();
}

int run(const TraceOptions& options) {
  if (options.packet.size() > 1) {
    return report_usage(
        "the packet must be one argument: quote it, or the shell takes `>` as a redirection");
  }
  const auto within = parse_time("--for", options.time, std::chrono::hours(24));
  if (!within) return report(within.error());
  if (options.count && *options.count == 0) return report_usage("--count: at least 1");
  auto kernel = netlink::Connection::open();
  if (!kernel) return report(kernel.error());
  auto live = read_live(*kernel, options.state_directory);
  if (!live) return report(live.error());
  // Each would be told the other's packets, and could not read their way.
  if (!(*live)->other_trace.empty()) return report(another_runs((*live)->other_trace));
  const auto subject = subject_of(options, (*live)->snapshot.host);
  if (!subject) return report(subject.error());
  Diagnostics diagnostics;
  const std::string& words = options.packet.front();
  const auto packet = open_words(words, *subject, diagnostics);
  std::optional<ruleset::Table> table;
  const std::uint32_t most = options.count.value_or(kUsualCount);
  if (packet && !diagnostics.has_errors()) {
    table = ask::trace_table(subject->policy, *subject->asking.self, *packet,
                             fmt::format("{}{}", ask::kTraceTables, ::getpid()),
                             {.at_once = std::max(most, 200U),
                              .before_defragmentation = ask::has_chains_before_defragmentation(
                                  (*live)->snapshot.ruleset)},
                             diagnostics);
  }
  if (!table) {
    show_words(err(), words, diagnostics);
    return kUsage;
  }
  auto socket = observe::TraceSocket::open();
  if (!socket) return report(socket.error());
  say_beside((*live)->snapshot.beside);
  const Interruption interruption;
  auto marking = TraceSwitch::start(*table);
  if (!marking) return report(marking.error());
  // Two that began at once: one of them stays.
  const auto other = trace_before(*kernel, table->name);
  if (!other) return report(other.error());
  if (!other->empty()) return report(another_runs(*other));
  if (!marking->remark().empty()) {
    render_notes(
        {"packets of other words take some 0.3 us longer meanwhile: " + marking->remark()});
  }
  auto opened = observe::DropReasons::open();
  if (!opened) render_notes({"the kernel's drop reasons are not shown: " + opened.error().message});
  std::optional<observe::DropReasons> reasons;
  if (opened) reasons.emplace(std::move(*opened));
  Tracing tracing(options, *kernel, std::move(*live), std::move(*socket), std::move(*marking),
                  std::move(reasons), table->name);
  err().line(fmt::format("rolewall: tracing for {}, or until {} came; Ctrl-C ends it", options.time,
                         counted(most, "packet")));
  const auto done = tracing.run(*within);
  if (!done) return report(done.error());
  say_end(options, tracing.tally(), tracing.lost(), Interruption::requested() ? "" : options.time);
  return tracing.tally().differ == 0 ? kDone : kNo;
}

}  // namespace

void add_trace(Program& program) {
  Verb verb = program.add_verb(
      kServerVerbs, "trace", "show what the kernel does with real packets, rule by rule",
      "  sudo rolewall trace 'tcp 10.0.1.10 > self:443'\n"
      "  sudo rolewall trace 'tcp any > self:22 flags=syn in=eth0' --for 5m --count 100\n"
      "  sudo rolewall trace 'icmp self > any' --format json\n"
      "  sudo rolewall trace -p policies 'mysql self > db-primary'\n"
      "\n"
      "Packets of these words, as `eval` knows them, are traced as they arrive and as this host\n"
      "sends them, through the tables of all programs: each rule that matched, at its policy line\n"
      "or by its handle, and what was translated. Each is asked of the dry run as well, and a\n"
      "difference is said (exit status 1). Nothing of a packet is changed. The table that marks\n"
      "them is gone when this program ends, however it ends.");
  auto options = std::make_shared<TraceOptions>();
  verb.add_option("PACKET", options->packet,
                  "SERVICE FROM > TO, all in quotes, with options behind: in= out= flags= family= "
                  "user= length= ttl= dscp= df=")
      .type_name("TEXT")
      .required();
  add_site_options(verb, options->site, Looks::Around, false,
                   "with --host as `eval` finds it, else no policies");
  verb.add_option("--host", options->host,
                  "which host of the policies this is (their names are understood then)")
      .type_name("HOST");
  add_state_option(verb, options->state_directory);
  verb.add_option("--for", options->time, "how long (30s, 5m)").type_name("TIME").show_default();
  verb.add_option("--count", options->count, "end after so many packets; default: 10")
      .type_name("N");
  add_format_option(verb, options->format, {"text", "json"});
  program.on_choice(verb, options, run);
}

}  // namespace rolewall::cli
