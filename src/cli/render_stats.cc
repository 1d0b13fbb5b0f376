// `rolewall stats` as people read it: 80 columns, what is most first.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "base/calendar.h"
#include "cli/shown_stats.h"
#include "cli/terminal.h"
#include "net/built_in_steps.h"

namespace rolewall::cli {
namespace {

constexpr std::size_t kNameWidth = 38;

std::string rate_words(double rate) {
  if (rate == 0) return "0";
  return rate < 1000 ? fmt::format("{:.1f}", rate)
                     : grouped(static_cast<std::uint64_t>(std::llround(rate)));
}

std::string byte_words(double bytes) {
  constexpr std::string_view kUnits[] = {"B", "kB", "MB", "GB", "TB", "PB"};
  std::size_t unit = 0;
  while (bytes >= 999.5 && unit + 1 < std::size(kUnits)) {
    bytes /= 1000;
    ++unit;
  }
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, kUnits[unit]);
}

std::string fitted(std::string text, std::size_t width) {
  text = printable(text);
  if (text.size() > width) text = text.substr(0, width - 2) + "..";
  return text;
}

// "hardening.toml:22", whose number is what leads to the policy: on a screen the name gives way.
std::string fitted_place(const std::string& place) {
  constexpr std::size_t kWidth = 16;
  const std::size_t colon = place.rfind(':');
  if (place.size() <= kWidth || !out().interactive() || colon == std::string::npos) {
    return printable(place);
  }
  const std::string number = place.substr(colon);
  return fitted(place.substr(0, colon), kWidth - number.size()) + number;
}

// What a rule does with the packets that it counts.
std::string_view instead_of_accepting(observe::Fate fate) {
  switch (fate) {
    case observe::Fate::Translated:
      return " (translates)";
    case observe::Fate::Passed:
      return " (goes on)";
    case observe::Fate::Accepted:
    case observe::Fate::Dropped:
    case observe::Fate::Rejected:
    case observe::Fate::Audited:
      break;
  }
  return "";
}

struct Row {
  std::string name;
  double rate = 0;
  std::uint64_t count = 0;
  std::string line;  // as it is shown
};

void put_in_order(std::vector<Row>& rows, StatsOrder order) {
  std::ranges::stable_sort(rows, [&](const Row& a, const Row& b) {
    switch (order) {
      case StatsOrder::Rate:
        if (a.rate != b.rate) return a.rate > b.rate;
        return a.count > b.count;
      case StatsOrder::Count:
        return a.count > b.count;
      case StatsOrder::Name:
        return a.name < b.name;
    }
    return false;
  });
}

// What the elements of a set are.
std::string_view words_of(observe::SetUse use) {
  switch (use) {
    case observe::SetUse::Bans:
      return "bans";
    case observe::SetUse::Openings:
      return "allow's openings";
    case observe::SetUse::RateSources:
      return "sources, limit";
    case observe::SetUse::ConnectionSources:
      return "open connections";
    case observe::SetUse::LogSources:
      return "sources, log";
  }
  return "";
}

class StatsText {
 public:
  StatsText(const ShownStats& stats, StatsOrder order, bool all)
      : stats_(stats), order_(order), all_(all) {}

  std::string write() {
    head();
    if (stats_.now.has_table) {
      services();
      rules();
      denied();
      sources();
    }
    sets();
    conntrack();
    return std::move(text_);
  }

 private:
  void line(std::string_view text) {
    text_ += text;
    text_ += '\n';
  }
  void title(std::string_view words) { line("\n" + out().paint(Tone::Strong, words)); }
  std::string rate(double number) const { return stats_.before ? rate_words(number) : "-"; }

  void head() {
    if (!stats_.now.has_table) {
      line("nothing is in force: no table inet rolewall here");
      return;
    }
    const std::string over =
        stats_.before ? fmt::format("; rates over {:.1f} s", stats_.interval().count()) : "";
    if (stats_.applied) {
      line(fmt::format("{}, generation {} of {}{}", printable(stats_.applied->host),
                       stats_.applied->generation, stats_.applied->at, over));
    } else {
      line("no record of what was applied: no services, no policy lines" + over);
      if (!stats_.no_record.empty()) line("  " + printable(stats_.no_record));
    }
    if (stats_.now.audits) {
      line(out().paint(Tone::Warning, "audit mode") + ": the defaults deny nothing");
    }
  }

  void show(std::vector<Row> rows, std::string_view heading) {
    std::erase_if(rows, [&](const Row& row) { return !all_ && row.count == 0 && row.rate == 0; });
    if (rows.empty()) return;
    put_in_order(rows, order_);
    title(heading);
    for (const Row& row : rows) line(row.line);
  }

  void services() {
    if (stats_.services == nullptr) {
      if (!stats_.no_flows.empty()) line("\nno connections: " + printable(stats_.no_flows));
      return;
    }
    std::vector<Row> rows;
    const bool counts = stats_.services->has_counters();
    const bool rates = counts && stats_.before.has_value();
    for (const observe::ServiceTraffic& service : stats_.services->services()) {
      const bool named = !service.service.empty();
      const NewConnections fresh = new_connections(stats_, service);
      const observe::Traffic& shown = rates ? service.passed : service.of_open;
      const auto bytes = [&](std::uint64_t number) {
        if (!counts) return std::string("-");
        return byte_words(rates ? stats_.per_second(number) : static_cast<double>(number));
      };
      Row row{.name = fmt::format("{} {}", name_of(service.direction), service.service),
              .rate = stats_.per_second(fresh.gained),
              .count = named ? fresh.all : 0,
              .line = ""};
      if (!named && service.open == 0) continue;
      if (row.count == 0) row.count = service.open;
      row.line =
          fmt::format("{:<9}{:<22} {:>8} {:>10} {:>7} {:>9} {:>9}", name_of(service.direction),
                      fitted(named ? service.service : "(no rule's)", 22),
                      named ? rate(row.rate) : "-", named ? grouped(fresh.all) : "-",
                      grouped(service.open), bytes(shown.in_bytes), bytes(shown.out_bytes));
      rows.push_back(std::move(row));
    }
    show(std::move(rows),
         fmt::format("{:<31} {:>8} {:>10} {:>7} {:>9} {:>9}", "services", "new/s", "new", "open",
                     rates ? "in/s" : "in", rates ? "out/s" : "out"));
    if (stats_.now.conntrack.accounting == false) {
      line("bytes: not counted. To switch it on: sysctl net.netfilter.nf_conntrack_acct=1");
      line("  (for connections that begin afterwards)");
    }
    const std::uint64_t unseen = stats_.services->unseen_ends();
    if (counts && (unseen != 0 || stats_.services->has_missed_ends())) {
      line(fmt::format("at least: the last bytes of {} that ended were not seen",
                       unseen == 0 ? "connections" : counted(unseen, "connection")));
    }
  }

  Row row_of(const observe::RuleCount& count, std::string name) const {
    return row_of(count, std::move(name), {count.packets, stats_.gained(count)});
  }

  Row row_of(const observe::RuleCount& count, std::string name, const NewConnections& shown) const {
    Row row{.name = std::move(name),
            .rate = stats_.per_second(shown.gained),
            .count = shown.all,
            .line = ""};
    row.line = fmt::format("{:<{}} {:>9} {:>13}  {}", fitted(row.name, kNameWidth), kNameWidth,
                           rate(row.rate), grouped(row.count),
                           fitted_place(policy_line_of(*stats_.policy, count.name)));
    return row;
  }

  void rules() {
    std::vector<Row> rows;
    for (const observe::RuleCount& count : stats_.now.rules) {
      const bool is_rule = !count.name.starts_with('(');
      if (is_rule && !count.is_excess && !is_denied(count.fate)) {
        rows.push_back(row_of(count, count.name + std::string(instead_of_accepting(count.fate)),
                              within_limit(stats_, count)));
      }
      if (count.name == net::step::kAllowed) rows.push_back(row_of(count, count.name));
    }
    show(std::move(rows), fmt::format("{:<{}} {:>9} {:>13}  {}", "rules: new connections",
                                      kNameWidth, "new/s", "new", "line"));
  }

  void denied() {
    std::vector<Row> rows;
    for (const observe::RuleCount& count : stats_.now.rules) {
      const bool audited = count.fate == observe::Fate::Audited;
      if (!is_denied(count.fate) && !audited) continue;
      std::string name = count.name;
      if (count.is_excess) name += " excess";
      if (name.starts_with('(')) name += " " + count.chain;
      rows.push_back(row_of(count, fmt::format("{}{}", name, audited ? " (passed)" : "")));
    }
    show(std::move(rows), fmt::format("{:<{}} {:>9} {:>13}  {}", "denied: packets", kNameWidth,
                                      "packets/s", "packets", "line"));
  }

  // The kernel counts no drop by its source: what there is comes from the log.
  void sources() {
    if (stats_.sources && !stats_.sources->counts.empty()) {
      constexpr std::size_t kMostShown = 10;
      title(fmt::format("{:<{}} {:>9} {:>13}  {}", "logged as denied, by source", kNameWidth,
                        "lines", "", "by"));
      std::size_t shown = 0;
      for (const observe::SourceCount& count : stats_.sources->counts) {
        if (shown++ == kMostShown && !all_) break;
        const std::string name = stats_.policy->name_of(count.source);
        line(fmt::format(
            "{:<{}} {:>9}  {}",
            fitted(net::format(count.source) + (name.empty() ? "" : fmt::format(" ({})", name)),
                   kNameWidth),
            kNameWidth, grouped(count.lines),
            fitted(fmt::format("{} {}", count.rule, count.fate), 28)));
      }
      line(fmt::format("of lines since {}, which the log's limits leave fewer than packets",
                       format_moment(stats_.sources->since_ns)));
      return;
    }
    const ruleset::Written* defaults = stats_.policy->defaults();
    if (defaults == nullptr) return;
    const auto to = std::ranges::find(defaults->keys, "log to", &WrittenKey::key);
    if (to == defaults->keys.end() || to->values.empty()) return;
    if (to->values.front() == "kernel") {
      line("by source: not counted; the log names some: journalctl -k --grep '^rolewall '");
    } else {
      line("by source: not counted; rolewall-log.service would, and `rolewall log` shows it");
    }
  }

  void sets() {
    std::vector<Row> rows;
    for (const observe::SetFill& set : stats_.now.sets) {
      const bool full = set.size != 0 && set.elements && *set.elements >= set.size;
      const std::string fill = set.size == 0 || !set.elements
                                   ? ""
                                   : fmt::format("{:.0f}%{}",
                                                 100.0 * static_cast<double>(*set.elements) /
                                                     static_cast<double>(set.size),
                                                 full ? " full" : "");
      Row row{.name = set.name, .rate = 0, .count = set.elements.value_or(1), .line = ""};
      row.line =
          fmt::format("{:<{}} {:>9} {:>13}  {}", fitted(set.name, kNameWidth), kNameWidth, fill,
                      set.elements ? grouped(*set.elements) : "more", words_of(set.use));
      rows.push_back(std::move(row));
    }
    show(std::move(rows),
         fmt::format("{:<{}} {:>9} {:>13}  {}", "sets", kNameWidth, "full", "elements", "of what"));
  }

  void conntrack() {
    const observe::ConntrackUse& use = stats_.now.conntrack;
    if (!use.entries) {
      line("\nconnection tracking: the kernel does not say (no nf_conntrack here)");
      return;
    }
    std::string text = fmt::format("\nconnection tracking: {} entries", grouped(*use.entries));
    if (use.limit && *use.limit != 0) {
      text +=
          fmt::format(" of {} ({:.1f}%)", grouped(*use.limit),
                      100.0 * static_cast<double>(*use.entries) / static_cast<double>(*use.limit));
    }
    line(text);
    if (use.dropped.value_or(0) + use.early_dropped.value_or(0) + use.insert_failed.value_or(0) !=
        0) {
      line(fmt::format("  dropped since it was full: {}, made room: {}, not inserted: {}",
                       grouped(use.dropped.value_or(0)), grouped(use.early_dropped.value_or(0)),
                       grouped(use.insert_failed.value_or(0))));
    }
  }

  const ShownStats& stats_;
  StatsOrder order_;
  bool all_;
  std::string text_;
};

}  // namespace

std::string stats_text(const ShownStats& stats, StatsOrder order, bool all) {
  return StatsText(stats, order, all).write();
}

}  // namespace rolewall::cli
