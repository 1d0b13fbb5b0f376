// What `stats` shows of figures that no test host has: large ones, long names, labels with quotes.
#include "cli/shown_stats.h"

#include <doctest/doctest.h>

#include <sstream>
#include <string>

#include "cli/live_screen.h"

namespace rolewall::cli {
namespace {

using observe::Fate;
using observe::RuleCount;

ShownStats large(const observe::WrittenPolicy& policy) {
  const std::string rule = "a-very-long-name-of-a-role.inbound.and-an-even-longer-name-of-a-rule";
  ShownStats stats;
  stats.policy = &policy;
  stats.now.has_table = true;
  for (const std::uint64_t packets : {std::uint64_t{0}, UINT64_MAX / 2, UINT64_MAX}) {
    stats.now.rules.push_back({.name = rule,
                               .chain = rule,
                               .fate = Fate::Accepted,
                               .packets = packets,
                               .bytes = packets});
    stats.now.rules.push_back({.name = "(default)",
                               .chain = "input",
                               .fate = Fate::Dropped,
                               .packets = packets,
                               .bytes = packets});
  }
  stats.now.sets = {{.name = rule + "/rate4",
                     .rule = rule,
                     .use = observe::SetUse::RateSources,
                     .elements = 65536,
                     .size = 65536},
                    {.name = "banned/4",
                     .rule = "",
                     .use = observe::SetUse::Bans,
                     .elements = std::nullopt,
                     .size = 0}};
  stats.now.conntrack = {.entries = 262143,
                         .limit = 262144,
                         .accounting = true,
                         .dropped = UINT64_MAX / 4,
                         .early_dropped = 0,
                         .insert_failed = 0};
  return stats;
}

ruleset::Snapshot recorded() {
  ruleset::Snapshot snapshot;
  snapshot.written = {{"rule", "web.inbound.app", "/s/a \"quoted\\\" site/web.toml", 6, {}}};
  return snapshot;
}

TEST_CASE("no line is wider than 80 columns, but for the largest numbers") {
  const observe::WrittenPolicy policy(recorded(), {});
  std::istringstream lines(stats_text(large(policy), StatsOrder::Rate, true));
  std::size_t count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const bool is_huge = line.find("9,223,372") != std::string::npos ||
                         line.find("18,446,744") != std::string::npos ||
                         line.find("4,611,686") != std::string::npos;
    CHECK_MESSAGE((is_huge || line.size() <= 80), line);
  }
  CHECK(count > 10);
}

TEST_CASE("rates are those between two looks, and a table that is made anew counts from nothing") {
  const observe::WrittenPolicy policy(recorded(), {});
  ShownStats stats = large(policy);
  stats.now.rules = {{.name = "web.inbound.app", .chain = "web.inbound.app", .packets = 30}};
  stats.now.at = std::chrono::steady_clock::time_point(std::chrono::seconds(12));
  stats.before = stats.now;
  stats.before->at = std::chrono::steady_clock::time_point(std::chrono::seconds(10));
  stats.before->rules.front().packets = 10;
  stats.gains = gains(stats.now, *stats.before);
  CHECK(stats.gained(stats.now.rules.front()) == 20);
  CHECK(stats.per_second(20) == doctest::Approx(10));
  stats.now.table_handle = 7;
  CHECK(gains(stats.now, *stats.before).front() == 30);
}

TEST_CASE("a label's value is escaped") {
  const observe::WrittenPolicy policy(recorded(), {});
  ShownStats stats = large(policy);
  stats.now.rules = {{.name = "web.inbound.app", .chain = "web.inbound.app", .packets = 30}};
  const std::string text = stats_metrics(stats);
  CHECK(text.find(R"(file="/s/a \"quoted\\\" site/web.toml",line="6")") != std::string::npos);
  CHECK(text.find(
            "rolewall_rule_new_packets_total{rule=\"web.inbound.app\",direction=\"inbound\"} 30") !=
        std::string::npos);
}

TEST_CASE("a line is cut at the window's edge, and colour takes no column") {
  CHECK(cut_to("abcdef", 3) == "abc");
  CHECK(cut_to("abc", 3) == "abc");
  CHECK(cut_to("\x1b[1mab\x1b[0mcd", 3) == "\x1b[1mab\x1b[0mc");
  CHECK(cut_to("äöü", 2) == "äö");
  CHECK(cut_to("", 3).empty());
}

}  // namespace
}  // namespace rolewall::cli
