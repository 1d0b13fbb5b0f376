// rolewall log: what the policy's rules log, as it comes, in the policy's words.

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <utility>

#include "apply/apply.h"
#include "apply/generations.h"
#include "cli/exit_status.h"
#include "cli/interruption.h"
#include "cli/json.h"
#include "cli/log_suggestions.h"
#include "cli/log_words.h"
#include "cli/program.h"
#include "cli/recorded_site.h"
#include "cli/render.h"
#include "cli/site_options.h"
#include "cli/state_options.h"
#include "net/built_in_steps.h"
#include "observe/held_back.h"
#include "observe/log_fold.h"
#include "observe/net_setting.h"
#include "observe/source_counts.h"
#include "observe/stats.h"
#include "observe/this_host.h"

namespace rolewall::cli {
namespace {

using Clock = observe::LogFold::Clock;

struct LogOptions {
  std::string state_directory{apply::kDefaultStateDirectory};
  std::string format = "text";
  std::optional<std::uint32_t> group;
  std::string fold = "5s";
  std::string time;
  std::string counts;
  bool each = false;
  bool explain = false;
  bool suggest = false;
  SiteOptions site;  // to which the rules that are suggested would be added
};

// What a rule must name of a packet that was translated before, its connection says. For a line
// alone it is not needed.
bool asks_for_connections(const LogOptions& options) {
  return options.explain || options.suggest;
}

// The record of what is in force, read anew when that is another generation.
class Recorded {
 public:
  explicit Recorded(std::string directory) : directory_(std::move(directory)) { read(); }

  const observe::WrittenPolicy& policy() const { return policy_; }
  const std::string& problem() const { return problem_; }
  const std::string& host() const { return host_; }
  // That the policy logs to.
  std::optional<std::uint16_t> group() const { return group_; }

  // True where it has.
  bool read_again_if_changed() {
    const auto applied = apply::current_applied(directory_);
    const auto number = applied && *applied ? std::optional((*applied)->generation) : std::nullopt;
    if (!number || number == generation_) return false;
    read();
    return problem_.empty();
  }

 private:
  void read() {
    auto current = apply::current_generation(directory_);
    problem_.clear();
    if (!current) {
      problem_ = current.error().message;
    } else if (!*current) {
      problem_ = apply::why_none_is_in_force(directory_);
    } else {
      generation_ = (*current)->applied.generation;
      policy_ = observe::WrittenPolicy((*current)->snapshot, (*current)->applied.site);
      group_ = observe::log_group((*current)->snapshot);
      host_ = (*current)->snapshot.host.name;
    }
    const policy::Policy shipped = policy_without_site({});
    for (const policy::Service& service : shipped.services) {
      std::vector<std::string> literals;
      for (const policy::ServiceLiteral& literal : service.literals) {
        literals.push_back(literal.text);
      }
      policy_.add_service(service.name, literals);
    }
  }

  std::string directory_;
  observe::WrittenPolicy policy_;
  std::optional<std::uint16_t> group_;
  std::optional<std::uint32_t> generation_;
  std::string host_;
  std::string problem_;
};

// The journal, without its library: a datagram for each entry.
class Journal {
 public:
  Journal() : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {}
  ~Journal() {
    if (socket_ >= 0) ::close(socket_);
  }
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // An error where there is none.
  Result<void> check() const {
    const sockaddr_un journal = address();
    if (::connect(socket_, reinterpret_cast<const sockaddr*>(&journal), sizeof journal) == 0) {
      return {};
    }
    return fail(ErrorKind::System,
                fmt::format("no journal takes lines at {}: leave --format journal out", kPath),
                errno);
  }

  // False where there is none, or it cannot take it now: the entry is lost.
  bool send(const std::string& fields) const {
    const sockaddr_un journal = address();
    return ::sendto(socket_, fields.data(), fields.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                    reinterpret_cast<const sockaddr*>(&journal), sizeof journal) >= 0;
  }

 private:
  static constexpr std::string_view kPath = "/run/systemd/journal/socket";

  static sockaddr_un address() {
    sockaddr_un journal{};
    journal.sun_family = AF_UNIX;
    std::memcpy(journal.sun_path, kPath.data(), kPath.size());
    return journal;
  }

  int socket_;
};

class Follower {
 public:
  Follower(const LogOptions& options, observe::LogReader reader, std::uint16_t group,
           std::chrono::seconds fold)
      : options_(options),
        reader_(std::move(reader)),
        group_(group),
        recorded_(options.state_directory),
        fold_(options.each ? std::chrono::milliseconds(0) : std::chrono::milliseconds(fold)),
        fold_seconds_(static_cast<std::uint64_t>(fold.count())) {}

  const Recorded& recorded() const { return recorded_; }
  void lacks_what_clients_wrote() { suggestions_.lacks_what_clients_wrote(); }

  Result<void> follow(std::optional<Clock::time_point> until) {
    if (!options_.counts.empty()) TRY(sources_.begin(options_.counts));
    auto next = Clock::now() + kTidyEvery;
    auto next_look = Clock::now() + kLookEvery;
    before_ = observe::look_at_table();
    while (!Interruption::requested() && (!until || Clock::now() < *until)) {
      const auto read = reader_.read(kWaitMs, [&](const observe::LogLine& line) { take(line); });
      if (!read) return read;
      if (Clock::now() < next) continue;
      tidy(false);
      next = Clock::now() + kTidyEvery;
      if (recorded_.read_again_if_changed() && !options_.group) TRY(move_to(recorded_.group()));
      if (Clock::now() < next_look) continue;
      TRY(say_held_back());
      next_look = Clock::now() + kLookEvery;
    }
    tidy(true);
    if (options_.suggest) {
      TRY(count_packets());
      SiteOptions site = options_.site;
      site.refreshed = refreshed_names(options_.state_directory);
      out().write(suggestions_.write(recorded_.policy(), options_.format,
                                     RuleOpenings::open(site, recorded_.host())));
      return {};
    }
    return say_held_back();
  }

 private:
  static constexpr std::chrono::seconds kTidyEvery{1};
  static constexpr std::chrono::seconds kLookEvery{60};  // reads the whole table
  static constexpr int kWaitMs = 200;

  void take(const observe::LogLine& line) {
    const auto prefix = observe::parse_prefix(line.prefix);
    if (!prefix) {
      ++others_;
      return;
    }
    if (prefix->name == net::step::kDefault) ++lines_of_defaults_;
    if (options_.suggest) {
      if (const auto event = event_of(line)) suggestions_.take(*event, recorded_.policy());
      return;
    }
    if (!options_.counts.empty()) sources_.take(line);
    if (!fold_.is_new(line, Clock::now())) return;
    if (const auto event = event_of(line)) show(*event, 0);
  }

  // Where an `early` rule has met it, only its destination tells whether it would be passed on.
  std::optional<observe::LogEvent> event_of(const observe::LogLine& line) const {
    auto event = log_event(line);
    if (!event || !event->before_routing || !event->packet || !own_) return event;
    const net::Address& to = event->packet->to;
    if (!net::is_group(to) && !net::is_loopback(to) && !own_->contains(to))
      event->direction = observe::Direction::Forward;
    return event;
  }

  void show(const observe::LogEvent& event, std::uint64_t times) {
    const ShownEvent shown{.event = event,
                           .policy = recorded_.policy(),
                           .times = times,
                           .seconds = fold_seconds_,
                           .explains = options_.explain};
    if (options_.format == "json") {
      out().write(log_json(shown));
    } else if (options_.format == "journal") {
      send(journal_fields(shown));
    } else {
      out().write(log_text(shown));
    }
  }

  void send(const std::string& fields) {
    if (!journal_.send(fields)) ++unsent_;
  }

  // What the kernel has counted at the defaults since the beginning, after which their lines are
  // read: those come up to a tenth of a second later (LogReader), and whoever denies goes on, so
  // the counters are read first. An error: why it is not known.
  Result<std::uint64_t> packets_of_defaults() {
    const auto now = observe::look_at_table();
    if (!before_ || !now) return std::unexpected(before_ ? now.error() : before_.error());
    const auto packets = observe::met_defaults(*now, *before_);
    if (!packets) {
      const bool has_table = now->has_table;
      before_ = now;
      lines_of_defaults_ = 0;
      held_back_ = 0;
      return fail(ErrorKind::Refused, has_table ? "the table was made anew meanwhile"
                                                : "there is no table inet rolewall");
    }
    const auto until = Clock::now() + kTidyEvery;
    while (lines_of_defaults_ + reader_.lost() < *packets && Clock::now() < until) {
      TRY(reader_.read(kWaitMs, [&](const observe::LogLine& line) { take(line); }));
    }
    return *packets;
  }

  Result<void> count_packets() {
    suggestions_.set_packets_of_defaults(packets_of_defaults());
    tidy(true);
    return {};
  }

  // Of what met the defaults, by their counters, what has no line and was not lost on the way here.
  Result<void> say_held_back() {
    if (options_.group && options_.group != recorded_.group()) return {};
    const auto packets = packets_of_defaults();
    if (!packets) return {};
    const std::uint64_t with_line = lines_of_defaults_ + reader_.lost();
    const std::uint64_t held = *packets > with_line ? *packets - with_line : 0;
    if (held > held_back_) {
      const std::uint64_t newly = held - held_back_;
      std::string words =
          fmt::format("{} met the defaults and {} not logged.", counted(newly, "further packet"),
                      newly == 1 ? "was" : "were");
      for (const std::string& sentence : observe::limits_of_log(recorded_.policy())) {
        words += ' ' + sentence;
      }
      say("held-back", newly, words);
      held_back_ = held;
    }
    out().flush();
    return {};
  }

  // What is no packet's: a loss.
  void say(const char* event, std::uint64_t count, const std::string& words) {
    if (count == 0) return;
    if (options_.format == "json") {
      const Json json{
          {"version", kJsonVersion}, {"verb", "log"}, {"event", event}, {"count", count}};
      out().write(json.dump() + "\n");
    } else if (options_.format == "journal") {
      if (!journal_.send(journal_message(words, 4))) render_notes({words});
    } else {
      out().line(out().paint(Tone::Warning, words));
    }
  }

  void tidy(bool all) {
    fold_.finish(Clock::now(), all, [&](const observe::LogFold::Repeated& repeated) {
      show(repeated.event, repeated.times);
    });
    const std::uint64_t lost = std::exchange(lost_before_, reader_.lost());
    const std::uint64_t newly = reader_.lost() - lost;
    say("lost", newly,
        fmt::format("{} lost: they came faster than they were read", counted(newly, "line")));
    if (reader_.take_overrun() && newly == 0) {
      say("overrun", 1, "lines are being lost: how many is known with the next one that comes");
    }
    const std::uint64_t crowd = fold_.take_crowd();
    say("not-shown", crowd,
        fmt::format("{} not shown: too many different ones at once", counted(crowd, "line")));
    const std::uint64_t unsent = std::exchange(unsent_, 0);
    say("not-kept", unsent,
        fmt::format("{} not kept: the journal did not take them", counted(unsent, "line")));
    const std::uint64_t others = std::exchange(others_, 0);
    say("others", others,
        fmt::format("{} of another program's rules in this group", counted(others, "line")));
    if (!options_.counts.empty() && written_at_ != reader_.taken()) {
      written_at_ = reader_.taken();
      const auto written = sources_.write(options_.counts);
      if (!written && !std::exchange(complained_, true)) {
        render_notes({written.error().message});
      }
    }
    out().flush();
  }

  // An apply may name another group.
  Result<void> move_to(std::optional<std::uint16_t> group) {
    if (group == group_) return {};
    if (!group) {
      return fail(ErrorKind::Refused,
                  "what was applied now logs to the kernel's own log, not to a group");
    }
    auto reader = observe::LogReader::open(*group, asks_for_connections(options_));
    if (!reader) return std::unexpected(std::move(reader).error());
    reader_ = std::move(*reader);
    lost_before_ = 0;
    before_ = observe::look_at_table();
    lines_of_defaults_ = 0;
    held_back_ = 0;
    group_ = group;
    return {};
  }

  const LogOptions& options_;
  observe::LogReader reader_;
  std::optional<std::uint16_t> group_;
  Recorded recorded_;
  Result<net::AddressSet> own_ = observe::delivered_addresses();
  observe::LogFold fold_;
  std::uint64_t fold_seconds_;
  observe::SourceCounts sources_;
  LogSuggestions suggestions_;
  Journal journal_;
  Result<observe::Look> before_ = fail(ErrorKind::Refused, "nobody has looked");
  std::uint64_t lines_of_defaults_ = 0;  // since `before_`
  std::uint64_t held_back_ = 0;          // of which was told
  std::uint64_t lost_before_ = 0;
  std::uint64_t written_at_ = 0;  // lines taken when the counts were written
  std::uint64_t unsent_ = 0;
  std::uint64_t others_ = 0;
  bool complained_ = false;
};

// Where no group is named, the policy's; an error that says why there is nothing to follow.
Result<std::uint16_t> group_to_read(const LogOptions& options) {
  if (options.group) {
    if (*options.group > 0xffff) return fail(ErrorKind::Usage, "--group: a number up to 65535");
    return static_cast<std::uint16_t>(*options.group);
  }
  auto current = apply::current_generation(options.state_directory);
  if (!current) return std::unexpected(std::move(current).error());
  if (!*current) {
    return fail(ErrorKind::Refused, apply::why_none_is_in_force(options.state_directory) +
                                        ". To read a group all the same, name it with --group");
  }
  const auto group = observe::log_group((*current)->snapshot);
  if (group) return *group;
  std::string why =
      "what is in force logs to the kernel's own log, not to a group. Read it there (journalctl -k "
      "-f --grep '^rolewall '), or write `log = { to = 5 }` in [defaults] and apply";
  if (!observe::net_setting("netfilter/nf_log_all_netns")) {
    why +=
        ". In a network namespace, as a container's, the kernel writes to its log only where "
        "net.netfilter.nf_log_all_netns is 1 outside of it; a group works without";
  }
  return fail(ErrorKind::Refused, why);
}

int run(const LogOptions& options) {
  const auto fold = parse_time("--fold", options.fold, std::chrono::hours(1));
  if (!fold) return report(fold.error());
  std::optional<Clock::time_point> until;
  if (!options.time.empty()) {
    const auto time = parse_time("--for", options.time, std::chrono::hours(24 * 365));
    if (!time) return report(time.error());
    until = Clock::now() + *time;
  }
  if (options.suggest && options.format == "journal") {
    return report_usage("--suggest prints to the terminal: not with --format journal");
  }
  const auto group = group_to_read(options);
  if (!group) return report(group.error());
  auto reader = observe::LogReader::open(*group, asks_for_connections(options));
  if (!reader) return report(reader.error());
  if (options.format == "journal") {
    if (const auto good = Journal().check(); !good) return report(good.error());
  }
  const bool tells_connections = reader->tells_connections();
  const Interruption interruption;
  Follower follower(options, std::move(*reader), *group, *fold);
  const bool asks_what_clients_wrote =
      follower.recorded().policy().means_what_client_wrote(observe::Direction::Inbound);
  if (!tells_connections && asks_what_clients_wrote) {
    follower.lacks_what_clients_wrote();
    render_notes(
        {"this kernel does not tell what a packet's client wrote "
         "(CONFIG_NETFILTER_NETLINK_GLUE_CT): where another program translates, as Docker "
         "does, a rule of a gateway must name that, and not what is shown here"});
  }
  if (!follower.recorded().problem().empty()) {
    render_notes({"no names and no policy lines: " + follower.recorded().problem()});
  }
  const auto followed = follower.follow(until);
  return followed ? kDone : report(followed.error());
}

}  // namespace

void add_log(Program& program) {
  Verb verb = program.add_verb(
      kServerVerbs, "log", "follow what the policy's rules log, in its words",
      "  sudo rolewall log\n"
      "  sudo rolewall log --explain\n"
      "  sudo rolewall log --suggest --for 1h\n"
      "  sudo rolewall log --format json | jq .rule\n"
      "\n"
      "The policy must log to a group: `log = { to = 5 }` in [defaults]. A group has one reader;\n"
      "where rolewall-log.service is, the journal has the lines: journalctl -t rolewall -f");
  auto options = std::make_shared<LogOptions>();
  add_state_option(verb, options->state_directory);
  add_format_option(verb, options->format, {"text", "json", "journal"});
  verb.add_option("--group", options->group, "the NFLOG group (default: the policy's)")
      .type_name("NUMBER");
  verb.add_flag("--each", options->each, "show each line, also repeats, whatever --fold says");
  verb.add_option("--fold", options->fold, "how long repeats are counted and not shown")
      .type_name("TIME")
      .show_default();
  verb.add_option("--for", options->time, "end after this time").type_name("TIME");
  verb.add_option("--counts", options->counts,
                  "keep here how often each source was logged (its directory is made)")
      .type_name("FILE");
  const Option explain = verb.add_flag("--explain", options->explain,
                                       "say which change of the policy would admit the packet");
  verb.add_flag("--suggest", options->suggest,
                "print rules at the end that would admit what was logged, to choose from, and "
                "what each opens")
      .excludes(explain);
  add_site_options(verb, options->site, Looks::OnServer, false);
  program.on_choice(verb, options, run);
}

}  // namespace rolewall::cli
