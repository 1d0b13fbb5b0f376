#include "cli/shown_stats.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/calendar.h"
#include "cli/json.h"
#include "cli/terminal.h"

namespace rolewall::cli {
namespace {

using observe::RuleCount;

std::string last_part(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

std::uint64_t thousandths(double number) {
  return static_cast<std::uint64_t>(std::llround(number * 1000));
}

}  // namespace

std::string policy_line_of(const observe::WrittenPolicy& policy, const std::string& name) {
  if (const observe::WrittenRule* rule = policy.rule(name)) {
    return rule->line == 0 ? last_part(rule->file)
                           : fmt::format("{}:{}", last_part(rule->file), rule->line);
  }
  const ruleset::Written* defaults = policy.defaults();
  if (!name.starts_with('(') || defaults == nullptr) return "";
  return defaults->line == 0 ? last_part(defaults->file)
                             : fmt::format("{}:{}", last_part(defaults->file), defaults->line);
}

NewConnections new_connections(const ShownStats& stats, const observe::ServiceTraffic& service) {
  NewConnections sum;
  for (const RuleCount& count : stats.now.rules) {
    if (count.is_excess || count.chain != count.name ||
        std::ranges::find(service.rules, count.name) == service.rules.end()) {
      continue;
    }
    const NewConnections of_rule = within_limit(stats, count);
    sum.all += of_rule.all;
    sum.gained += of_rule.gained;
  }
  return sum;
}

// Both are counted one after the other: the excess may have a packet more.
NewConnections within_limit(const ShownStats& stats, const observe::RuleCount& rule) {
  NewConnections left{rule.packets, stats.gained(rule)};
  for (const RuleCount& count : stats.now.rules) {
    const bool passed = count.fate == observe::Fate::Audited;
    if (!count.is_excess || passed || count.name != rule.name) continue;
    left.all -= std::min(left.all, count.packets);
    left.gained -= std::min(left.gained, stats.gained(count));
  }
  return left;
}

namespace {

Json rule_json(const ShownStats& stats, const RuleCount& count) {
  Json json{{"name", printable(count.name)}, {"chain", printable(count.chain)},
            {"fate", name_of(count.fate)},   {"excess", count.is_excess},
            {"packets", count.packets},      {"bytes", count.bytes}};
  if (stats.before) {
    json["gained"] = stats.gained(count);
    json["per_1000_seconds"] = thousandths(stats.per_second(stats.gained(count)));
  }
  if (const observe::WrittenRule* rule = stats.policy->rule(count.name)) {
    json["direction"] = name_of(rule->direction);
    if (!rule->action.empty()) json["service"] = printable(rule->service());
    json["file"] = printable(rule->file);
    if (rule->line != 0) json["line"] = rule->line;
  }
  return json;
}

Json traffic_json(const observe::Traffic& traffic) {
  return {{"in_packets", traffic.in_packets},
          {"in_bytes", traffic.in_bytes},
          {"out_packets", traffic.out_packets},
          {"out_bytes", traffic.out_bytes}};
}

Json service_json(const ShownStats& stats, const observe::ServiceTraffic& service) {
  Json json{{"direction", name_of(service.direction)}, {"open", service.open}};
  if (service.service.empty()) {
    json["unattributed"] = true;
  } else {
    const NewConnections fresh = new_connections(stats, service);
    json["service"] = printable(service.service);
    json["rules"] = service.rules;
    json["new"] = fresh.all;
    if (stats.before) {
      json["gained"] = fresh.gained;
      json["per_1000_seconds"] = thousandths(stats.per_second(fresh.gained));
    }
  }
  if (stats.services->has_counters()) {
    json["traffic_of_open"] = traffic_json(service.of_open);
    if (stats.before) json["traffic_passed"] = traffic_json(service.passed);
  }
  return json;
}

Json conntrack_json(const observe::ConntrackUse& use) {
  Json json;
  const auto put = [&](const char* name, const std::optional<std::uint64_t>& number) {
    if (number) json[name] = *number;
  };
  put("entries", use.entries);
  put("limit", use.limit);
  if (use.accounting) json["accounting"] = *use.accounting;
  put("dropped", use.dropped);
  put("early_dropped", use.early_dropped);
  put("insert_failed", use.insert_failed);
  return json;
}

}  // namespace

std::string stats_json(const ShownStats& stats) {
  Json json{{"version", kJsonVersion}, {"verb", "stats"}, {"in_force", stats.now.has_table}};
  if (stats.now.has_table) json["audit"] = stats.now.audits;
  if (stats.applied) {
    json["host"] = printable(stats.applied->host);
    json["generation"] = stats.applied->generation;
    json["applied_at"] = stats.applied->at;
  }
  if (!stats.no_record.empty()) json["no_record"] = printable(stats.no_record);
  if (!stats.no_flows.empty()) json["no_connections"] = printable(stats.no_flows);
  if (stats.before) json["interval_ms"] = thousandths(stats.interval().count());
  json["rules"] = Json::array();
  for (const RuleCount& count : stats.now.rules) json["rules"].push_back(rule_json(stats, count));
  json["services"] = Json::array();
  if (stats.services != nullptr) {
    for (const auto& service : stats.services->services()) {
      if (service.service.empty() && service.open == 0) continue;
      json["services"].push_back(service_json(stats, service));
    }
    json["unseen_ends"] = stats.services->unseen_ends();
  }
  if (stats.sources) {
    json["sources_since"] = format_moment(stats.sources->since_ns);
    json["sources_others"] = stats.sources->others;
    json["sources"] = Json::array();
    for (const observe::SourceCount& count : stats.sources->counts) {
      Json each{{"rule", printable(count.rule)},
                {"fate", printable(count.fate)},
                {"source", net::format(count.source)},
                {"lines", count.lines}};
      const std::string name = stats.policy->name_of(count.source);
      if (!name.empty()) each["name"] = printable(name);
      json["sources"].push_back(std::move(each));
    }
  }
  json["sets"] = Json::array();
  for (const observe::SetFill& set : stats.now.sets) {
    Json each{{"name", printable(set.name)}, {"use", name_of(set.use)}};
    if (!set.rule.empty()) each["rule"] = printable(set.rule);
    if (set.elements) each["elements"] = *set.elements;
    if (set.size != 0) each["size"] = set.size;
    json["sets"].push_back(std::move(each));
  }
  json["conntrack"] = conntrack_json(stats.now.conntrack);
  return json.dump();
}

}  // namespace rolewall::cli
