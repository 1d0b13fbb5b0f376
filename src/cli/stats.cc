// rolewall stats: what is let in, what is denied and how full the tables are, as counted by the
// kernel; once, again and again on the screen, or for Prometheus.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "apply/apply.h"
#include "apply/generations.h"
#include "cli/exit_status.h"
#include "cli/interruption.h"
#include "cli/live_screen.h"
#include "cli/output.h"
#include "cli/program.h"
#include "cli/render.h"
#include "cli/shown_stats.h"
#include "cli/state_options.h"
#include "observe/this_host.h"

namespace rolewall::cli {
namespace {

struct StatsOptions {
  std::string state_directory{apply::kDefaultStateDirectory};
  std::string format = "text";
  std::string output;
  std::string over = "1s";
  std::string sort = "rate";
  std::string sources{observe::kSourceCountsFile};
  bool watch = false;
  bool once = false;
  bool no_connections = false;
  bool all = false;
};

// What is counted, from one look to the next, in the words of what is in force by then.
class Counting {
 public:
  explicit Counting(const StatsOptions& options) : options_(options) { begin(); }
  Counting(const Counting&) = delete;
  Counting& operator=(const Counting&) = delete;

  Result<void> look() {
    if (is_begun_ && is_another_in_force()) begin();
    auto now = observe::look_at_table();
    if (!now) return std::unexpected(std::move(now).error());
    const bool goes_on = is_begun_ && shown_.now.has_table && now->has_table;
    if (goes_on) shown_.before = std::move(shown_.now);
    if (!goes_on) shown_.before.reset();
    shown_.now = std::move(*now);
    shown_.gains.clear();
    if (shown_.before) shown_.gains = gains(shown_.now, *shown_.before);
    // What is damaged is `status`' to say.
    shown_.names = apply::read_known_names(options_.state_directory).value_or(apply::KnownNames());
    shown_.sources = observe::read_source_counts(options_.sources);
    is_begun_ = true;
    if (!services_) return {};
    const auto read = services_->look();
    shown_.no_flows = read ? "" : read.error().message;
    shown_.services = read ? &*services_ : nullptr;
    return {};
  }

  const ShownStats& shown() const { return shown_; }

 private:
  bool is_another_in_force() const {
    const auto applied = apply::current_applied(options_.state_directory);
    if (!applied || !*applied) return false;
    return !shown_.applied || shown_.applied->generation != (*applied)->generation;
  }

  void begin() {
    auto generation = apply::current_generation(options_.state_directory);
    shown_.applied.reset();
    shown_.no_record.clear();
    shown_.has_totals = options_.watch;
    if (!generation) {
      shown_.no_record = generation.error().message;
    } else if (*generation) {
      shown_.applied = (*generation)->applied;
      policy_ = observe::WrittenPolicy((*generation)->snapshot, (*generation)->applied.site);
    } else {
      shown_.no_record = apply::why_none_is_in_force(options_.state_directory);
    }
    shown_.policy = &policy_;
    if (options_.no_connections) return;
    auto own = observe::delivered_addresses();
    if (!own) {
      shown_.no_flows = own.error().message;
      return;
    }
    const std::optional<observe::ServiceCounts> earlier = std::move(services_);
    services_.emplace(policy_, std::move(*own));
    if (earlier) services_->carry_over(*earlier);
  }

  const StatsOptions& options_;
  observe::WrittenPolicy policy_;
  std::optional<observe::ServiceCounts> services_;
  ShownStats shown_;
  bool is_begun_ = false;
};

// Until a signal asks to end.
void wait_for(std::chrono::seconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  constexpr std::chrono::nanoseconds kStep = std::chrono::milliseconds(50);
  while (!Interruption::requested() && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(
        std::min<std::chrono::nanoseconds>(kStep, end - std::chrono::steady_clock::now()));
  }
}

StatsOrder order_of(const std::string& word) {
  if (word == "count") return StatsOrder::Count;
  return word == "name" ? StatsOrder::Name : StatsOrder::Rate;
}

std::string_view word_of(StatsOrder order) {
  switch (order) {
    case StatsOrder::Rate:
      return "rate";
    case StatsOrder::Count:
      return "count";
    case StatsOrder::Name:
      return "name";
  }
  return "";
}

std::string in_format(const ShownStats& shown, const StatsOptions& options, StatsOrder order) {
  if (options.format == "json") return stats_json(shown);
  return options.format == "prometheus" ? stats_metrics(shown)
                                        : stats_text(shown, order, options.all);
}

// For programs: an object a line, or the same file again and again. What could be written once is
// written again when there is room for it again: the old file would be taken for a new one for
// ever.
int keep_writing(Counting& counting, const StatsOptions& options, std::chrono::seconds every) {
  for (bool was_written = false;; was_written = true) {
    const int status =
        write_output(options.output, in_format(counting.shown(), options, StatsOrder::Rate));
    if (status != kDone && (options.output.empty() || !was_written)) return status;
    out().flush();
    wait_for(every);
    if (Interruption::requested()) return kDone;
    if (const auto read = counting.look(); !read) return report(read.error());
  }
}

int watch(Counting& counting, const StatsOptions& options, std::chrono::seconds every) {
  const Interruption interruption;
  if (options.format != "text") return keep_writing(counting, options, every);
  StatsOrder order = order_of(options.sort);
  std::size_t first = 0;  // line on the screen
  std::optional<Error> error;
  {
    const LiveScreen screen;
    while (!Interruption::requested()) {
      first =
          screen.draw(stats_text(counting.shown(), order, options.all),
                      fmt::format("by {}; r rate, c count, n name, q quit", word_of(order)), first);
      const char key = screen.wait(every);
      if (key == 'q') break;
      if (key == 'r') order = StatsOrder::Rate;
      if (key == 'c') order = StatsOrder::Count;
      if (key == 'n') order = StatsOrder::Name;
      if (key == 'j') ++first;
      if (key == ' ') first += LiveScreen::page();
      if (key == 'k') first -= std::min<std::size_t>(first, 1);
      if (key == 'b') first -= std::min(first, LiveScreen::page());
      if (key != 0 || Interruption::requested()) continue;
      if (const auto read = counting.look(); !read) {
        error = read.error();
        break;
      }
    }
  }
  return error ? report(*error) : kDone;
}

int run(const StatsOptions& options) {
  const auto over = parse_time("--over", options.over, std::chrono::hours(1));
  if (!over) return report(over.error());
  if (options.watch && !options.output.empty() && options.format != "prometheus") {
    return report_usage("--watch with --output is for --format prometheus");
  }
  Counting counting(options);
  if (const auto read = counting.look(); !read) return report(read.error());
  if (options.watch) return watch(counting, options, *over);
  // Prometheus makes the rates itself.
  if (!options.once && options.format != "prometheus") {
    const Interruption interruption;
    wait_for(*over);
    if (const auto read = counting.look(); !read) return report(read.error());
  }
  return write_output(options.output, in_format(counting.shown(), options, order_of(options.sort)));
}

}  // namespace

void add_stats(Program& program) {
  Verb verb = program.add_verb(kServerVerbs, "stats",
                               "show what is let in and denied, and how full the tables are",
                               "  sudo rolewall stats\n"
                               "  sudo rolewall stats --watch\n"
                               "  sudo rolewall stats --over 2s --format json\n"
                               "  sudo rolewall stats --format prometheus -o rolewall.prom\n"
                               "\n"
                               "A rule's counter counts new connections, not traffic: what it has "
                               "let in is accepted before\n"
                               "the rules. Bytes are those that connection tracking counts, where\n"
                               "net.netfilter.nf_conntrack_acct is 1.");
  auto options = std::make_shared<StatsOptions>();
  add_state_option(verb, options->state_directory);
  add_format_option(verb, options->format, {"text", "json", "prometheus"});
  verb.add_option("-o,--output", options->output, "write to this file, all or nothing")
      .type_name("FILE");
  verb.add_option("--over", options->over, "how long to measure rates, and how often to draw")
      .type_name("TIME")
      .show_default();
  const Option watched = verb.add_flag("--watch", options->watch,
                                       "draw or write it again and again, until q is pressed");
  verb.add_flag("--once", options->once, "do not measure rates").excludes(watched);
  verb.add_option("--sort", options->sort, "what stands first: rate, count or name")
      .one_of({"rate", "count", "name"})
      .type_name("BY")
      .show_default();
  verb.add_option("--sources", options->sources,
                  "where `rolewall log --counts` keeps how often each source was logged")
      .type_name("FILE")
      .show_default();
  verb.add_flag("--no-connections", options->no_connections,
                "do not read the connections: no traffic of services");
  verb.add_flag("--all", options->all, "show what has counted nothing, too");
  program.on_choice(verb, options, run);
}

}  // namespace rolewall::cli
