// What `rolewall stats --format prometheus` writes: the text format of Prometheus, with the names
// and types that its conventions ask for, as `promtool check metrics` knows them.
//
// A counter is one of the kernel's, never a sum over rules: a rule that an apply takes out would
// lower the sum, which Prometheus takes for a restart and counts twice. What changes while a rule
// stays (its line, its service) is in rolewall_rule_info, so that the rule's own series goes on.

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/calendar.h"
#include "base/time.h"
#include "cli/shown_stats.h"

namespace rolewall::cli {
namespace {

using observe::RuleCount;
using Labels = std::vector<std::pair<std::string_view, std::string>>;

// Backslashes, quotes and ends of lines are escaped.
std::string label_value(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\\' || c == '"') escaped += '\\';
    if (c == '\n') {
      escaped += "\\n";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

class Metrics {
 public:
  // All samples of one name stand together, below what is said of it.
  void begin(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    head_ = fmt::format("# HELP rolewall_{} {}\n# TYPE rolewall_{} {}\n", name, help, name, type);
  }
  void add(const Labels& labels, std::uint64_t value) {
    text_ += std::exchange(head_, "");
    text_ += fmt::format("rolewall_{}", name_);
    if (!labels.empty()) {
      text_ += '{';
      for (const auto& [label, text] : labels) {
        if (text_.back() != '{') text_ += ',';
        text_ += fmt::format("{}=\"{}\"", label, label_value(text));
      }
      text_ += '}';
    }
    text_ += fmt::format(" {}\n", value);
  }
  void one(std::string_view name, std::string_view type, std::string_view help,
           std::uint64_t value) {
    begin(name, type, help);
    add({}, value);
  }
  std::string take() { return std::move(text_); }

 private:
  std::string_view name_;
  std::string head_;
  std::string text_;
};

std::string direction_word(const std::string& rule) {
  const auto direction = observe::direction_of(rule);
  return direction ? std::string(name_of(*direction)) : "";
}

bool is_rule(const RuleCount& count) {
  return !count.name.starts_with('(');
}

void add_state(const ShownStats& stats, Metrics& metrics) {
  metrics.begin("build_info", "gauge", "The version of rolewall that wrote this.");
  metrics.add({{"version", ROLEWALL_VERSION}}, 1);
  metrics.one("table_present", "gauge", "Whether rolewall's table is in the kernel.",
              stats.now.has_table ? 1 : 0);
  metrics.one("audit_mode", "gauge", "Whether the defaults deny nothing and only log.",
              stats.now.audits ? 1 : 0);
  if (!stats.applied) return;
  metrics.one("applied_generation", "gauge", "The number of what was applied last.",
              stats.applied->generation);
  if (const auto at = parse_moment(stats.applied->at)) {
    metrics.one("applied_timestamp_seconds", "gauge", "When it was applied.", *at / kNsPerSecond);
  }
}

// Of a policy with DNS names, on a host that refreshes them.
void add_names(const ShownStats& stats, Metrics& metrics) {
  const apply::KnownNames& known = stats.names;
  const auto at = parse_moment(known.refreshed_at);
  if (known.names.empty() || !at || !stats.applied) return;
  metrics.one("names_refreshed_timestamp_seconds", "gauge",
              "When the policy's DNS names were looked up last.", *at / kNsPerSecond);
  const auto is_silent = [](const auto& each) { return each.second.is_silent(); };
  metrics.one("names_unanswered", "gauge",
              "For how many of them the DNS had no answer then, for one family or both.",
              static_cast<std::uint64_t>(std::ranges::count_if(known.names, is_silent)));
  const bool is_refused =
      !known.refused.empty() && known.refused_in_place_of == stats.applied->generation;
  metrics.one("refresh_refused", "gauge",
              "Whether what was found is not in force, since somebody would be shut out.",
              is_refused ? 1 : 0);
}

void add_rules(const ShownStats& stats, Metrics& metrics) {
  const auto& rules = stats.now.rules;
  metrics.begin("rule_info", "gauge", "Where a rule stands in the policy, and what it is for.");
  for (const RuleCount& count : rules) {
    if (!is_rule(count) || count.is_excess || count.chain != count.name) continue;
    const observe::WrittenRule* rule = stats.policy->rule(count.name);
    const bool said = rule != nullptr && !rule->action.empty();
    metrics.add({{"rule", count.name},
                 {"direction", direction_word(count.name)},
                 {"action", said ? rule->action : std::string(name_of(count.fate))},
                 {"service", said ? rule->service() : ""},
                 {"file", rule == nullptr ? "" : rule->file},
                 {"line", rule == nullptr ? "" : fmt::format("{}", rule->line)}},
                1);
  }
  metrics.begin("rule_new_packets_total", "counter",
                "Packets that begin a connection and came to a rule: for one that accepts, new "
                "connections, with those over its limit. Not its traffic.");
  for (const RuleCount& count : rules) {
    // What a rule that translates admits is counted again where it is admitted.
    if (!is_rule(count) || count.is_excess || count.chain != count.name) continue;
    metrics.add({{"rule", count.name}, {"direction", direction_word(count.name)}}, count.packets);
  }
  metrics.begin("rule_excess_packets_total", "counter",
                "Packets that were over a rule's limit, or its number of connections.");
  for (const RuleCount& count : rules) {
    if (!is_rule(count) || !count.is_excess) continue;
    metrics.add({{"rule", count.name},
                 {"chain", count.chain},
                 {"direction", direction_word(count.name)},
                 {"action", std::string(name_of(count.fate))}},
                count.packets);
  }
}

void add_steps(const ShownStats& stats, Metrics& metrics) {
  const auto& rules = stats.now.rules;
  const auto labels_of = [](const RuleCount& count) {
    return Labels{
        {"by", count.name}, {"chain", count.chain}, {"action", std::string(name_of(count.fate))}};
  };
  metrics.begin("denied_packets_total", "counter",
                "Packets that were dropped or rejected, by the rule or built-in step that did it.");
  for (const RuleCount& count : rules) {
    if (is_denied(count.fate)) metrics.add(labels_of(count), count.packets);
  }
  metrics.begin("denied_bytes_total", "counter", "The bytes of these packets.");
  for (const RuleCount& count : rules) {
    if (is_denied(count.fate)) metrics.add(labels_of(count), count.bytes);
  }
  metrics.begin("audited_packets_total", "counter",
                "Packets that passed because of audit mode, and would have been denied.");
  for (const RuleCount& count : rules) {
    if (count.fate == observe::Fate::Audited) metrics.add(labels_of(count), count.packets);
  }
  metrics.begin("step_packets_total", "counter",
                "Packets that a built-in step accepted; (established) has the traffic of all "
                "connections.");
  for (const RuleCount& count : rules) {
    if (!is_rule(count) && count.fate == observe::Fate::Accepted) {
      metrics.add(labels_of(count), count.packets);
    }
  }
  metrics.begin("step_bytes_total", "counter", "The bytes of these packets.");
  for (const RuleCount& count : rules) {
    if (!is_rule(count) && count.fate == observe::Fate::Accepted) {
      metrics.add(labels_of(count), count.bytes);
    }
  }
}

void add_services(const ShownStats& stats, Metrics& metrics) {
  if (stats.services == nullptr) return;
  const auto labels_of = [](const observe::ServiceTraffic& service) {
    return Labels{{"direction", std::string(name_of(service.direction))},
                  {"service", service.service.empty() ? "(none)" : service.service}};
  };
  metrics.begin("service_open_connections", "gauge",
                "Connections of a service that are open now; (none): of no rule.");
  for (const auto& service : stats.services->services()) {
    metrics.add(labels_of(service), service.open);
  }
  if (!stats.services->has_counters()) return;
  metrics.begin("service_open_received_bytes", "gauge",
                "What the open connections of a service have received since each began.");
  for (const auto& service : stats.services->services()) {
    metrics.add(labels_of(service), service.of_open.in_bytes);
  }
  metrics.begin("service_open_sent_bytes", "gauge",
                "What the open connections of a service have sent since each began.");
  for (const auto& service : stats.services->services()) {
    metrics.add(labels_of(service), service.of_open.out_bytes);
  }
  if (!stats.has_totals) return;
  metrics.begin("service_received_bytes_total", "counter",
                "What a service has received since `stats --watch` began.");
  for (const auto& service : stats.services->services()) {
    metrics.add(labels_of(service), service.total.in_bytes);
  }
  metrics.begin("service_sent_bytes_total", "counter",
                "What a service has sent since `stats --watch` began.");
  for (const auto& service : stats.services->services()) {
    metrics.add(labels_of(service), service.total.out_bytes);
  }
}

void add_sets(const ShownStats& stats, Metrics& metrics) {
  const auto labels_of = [](const observe::SetFill& set) {
    return Labels{{"set", set.name}, {"rule", set.rule}, {"use", std::string(name_of(set.use))}};
  };
  metrics.begin("set_elements", "gauge",
                "How many elements a set has that packets, bans and "
                "openings fill.");
  for (const observe::SetFill& set : stats.now.sets) {
    if (set.elements) metrics.add(labels_of(set), *set.elements);
  }
  metrics.begin("set_max_elements", "gauge", "How many it can have.");
  for (const observe::SetFill& set : stats.now.sets) {
    if (set.size != 0) metrics.add(labels_of(set), set.size);
  }
}

void add_conntrack(const observe::ConntrackUse& use, Metrics& metrics) {
  const auto put = [&](std::string_view name, std::string_view type, std::string_view help,
                       const std::optional<std::uint64_t>& value) {
    if (value) metrics.one(name, type, help, *value);
  };
  put("conntrack_entries", "gauge", "Connections that are tracked.", use.entries);
  put("conntrack_max_entries", "gauge", "How many can be.", use.limit);
  put("conntrack_accounting", "gauge", "Whether bytes and packets are counted for each.",
      use.accounting ? std::optional<std::uint64_t>(*use.accounting ? 1 : 0) : std::nullopt);
  put("conntrack_dropped_packets_total", "counter", "Packets lost because the table was full.",
      use.dropped);
  put("conntrack_early_dropped_entries_total", "counter",
      "Entries that were removed to make room for others.", use.early_dropped);
  put("conntrack_insert_failed_packets_total", "counter",
      "Packets lost because their entry could not be inserted.", use.insert_failed);
}

}  // namespace

std::string stats_metrics(const ShownStats& stats) {
  Metrics metrics;
  add_state(stats, metrics);
  add_names(stats, metrics);
  if (stats.now.has_table) {
    add_rules(stats, metrics);
    add_steps(stats, metrics);
    add_services(stats, metrics);
    add_sets(stats, metrics);
  }
  add_conntrack(stats.now.conntrack, metrics);
  return metrics.take();
}

}  // namespace rolewall::cli
