#include "cli/render_cuts.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "apply/apply.h"
#include "cli/render.h"
#include "cli/terminal.h"
#include "net/protocol.h"

namespace rolewall::cli {
namespace {

std::string end_in_words(const netlink::Endpoint& end, bool has_port) {
  const std::string address = net::format(end.address);
  if (!has_port) return address;
  return net::is_ipv4(end.address) ? fmt::format("{}:{}", address, end.port)
                                   : fmt::format("[{}]:{}", address, end.port);
}

std::string protocol_of(std::uint8_t protocol) {
  const std::string_view name = net::protocol_name(protocol);
  return name.empty() ? fmt::format("protocol/{}", protocol) : std::string(name);
}

// Today's rule may be gone from the new policy.
const ruleset::SourceLine* source_of_rule(const std::string& rule, const BothSources& sources) {
  for (const ruleset::SourceMap* map : {&sources.wanted, &sources.applied}) {
    if (const auto at = map->find(rule); at != map->end()) return &at->second;
  }
  return nullptr;
}

std::string place_of_rule(const std::string& rule, const BothSources& sources) {
  const ruleset::SourceLine* source = source_of_rule(rule, sources);
  if (source == nullptr || source->file.empty()) return "";
  return fmt::format(" ({}:{})", printable(source->file), source->line);
}

std::string what_denies(const apply::CutGroup& group, const BothSources& sources) {
  if (group.denied_by.empty()) return "would be sent to " + group.sent_to;
  return fmt::format("would be denied by {}{}", group.denied_by,
                     place_of_rule(group.denied_by, sources));
}

Json connection_json(const apply::OpenConnection& connection) {
  const bool has_ports = net::has_ports(connection.protocol);
  Json json{{"protocol", protocol_of(connection.protocol)},
            {"from", end_in_words(connection.from, has_ports)},
            {"to", end_in_words(connection.to, has_ports)}};
  if (connection.answered_by.address != connection.to.address) {
    json["answered_by"] = end_in_words(connection.answered_by, has_ports);
  }
  return json;
}

void add_source(Json& json, const std::string& rule, const BothSources& sources) {
  const ruleset::SourceLine* source = source_of_rule(rule, sources);
  if (source == nullptr || source->file.empty()) return;
  json["file"] = source->file;
  json["line"] = source->line;
}

constexpr std::size_t kShownAsJson = 5;

std::string turned_in_words(const apply::OpenConnection& turned) {
  return fmt::format(
      "{}: what {} sends next is new to the rules, and they admit it, as if it had opened the "
      "connection (nf_conntrack_tcp_loose is 1; with 0 it ends)",
      in_words(turned), net::format(turned.answered_by.address));
}

std::vector<std::string> lines_of_end(const apply::CutOff& cut) {
  std::vector<std::string> lines;
  lines.push_back(cut.connections == 0
                      ? std::string("nothing is open that the policy does not admit")
                      : fmt::format("cut: {} that the policy no longer admits, {} of this host "
                                    "reset",
                                    counted(cut.connections, "open connection"),
                                    counted(cut.ended.sockets, "socket")));
  if (cut.ended.cannot_end_sockets) {
    lines.emplace_back(
        "this kernel cannot end a socket (CONFIG_INET_DIAG_DESTROY): programs here wait until "
        "theirs time out");
  }
  for (const apply::OpenConnection& spared : cut.spared) {
    lines.push_back(fmt::format("not cut, an administrator's: {}", in_words(spared)));
  }
  for (const apply::OpenConnection& turned : cut.turned) {
    lines.push_back("may go on: " + turned_in_words(turned));
    if (lines.size() > 20) break;
  }
  if (cut.unclear != 0) {
    lines.push_back(fmt::format("not cut, since it is not known whether the policy admits {}: {}",
                                cut.unclear == 1 ? "it" : "them",
                                counted(cut.unclear, "open connection")));
  }
  if (!cut.complete) {
    lines.emplace_back("more came while these were ended: the same again, with --cut, ends them");
  }
  return lines;
}
}  // namespace

ruleset::SourceMap sources_in_force(const std::string& state_directory) {
  auto applied = apply::last_applied(state_directory);
  return applied && *applied ? std::move((*applied)->sources) : ruleset::SourceMap{};
}

std::string in_words(const apply::OpenConnection& connection) {
  const bool has_ports = net::has_ports(connection.protocol);
  std::string words =
      fmt::format("{} {} > {}", protocol_of(connection.protocol),
                  end_in_words(connection.from, has_ports), end_in_words(connection.to, has_ports));
  if (connection.answered_by.address != connection.to.address) {
    words += fmt::format(", answered by {}", end_in_words(connection.answered_by, has_ports));
  }
  return words;
}

std::string summary(const apply::NotAdmitted& found, const Cutting& cutting) {
  std::string words;
  if (!found.all.empty()) {
    const bool one = found.all.size() == 1;
    const std::string then =
        cutting.cuts
            ? (found.turned.empty() ? "--cut will end" : "as far as it can, --cut will end")
            : fmt::format("{} on unless `{}` ends", one ? "goes" : "go", cutting.command);
    words = fmt::format("{} of {} {} no longer admitted; {} {}", grouped(found.all.size()),
                        counted(found.open, "open connection"), one ? "is" : "are", then,
                        one ? "it" : "them");
  }
  if (found.unclear != 0) {
    if (!words.empty()) words += "; ";
    words += fmt::format("of {} it is not known", counted(found.unclear, "open connection"));
  }
  return words;
}

std::vector<std::string> lines_of(const apply::NotAdmitted& found, const BothSources& sources,
                                  std::size_t each) {
  std::vector<std::string> lines;
  for (const apply::CutGroup& group : found.groups) {
    const std::string of =
        group.admitted_by.empty()
            ? "open from before, which no rule in force admits either"
            : fmt::format("of {}{}", group.admitted_by, place_of_rule(group.admitted_by, sources));
    lines.push_back(fmt::format("{} {}, {}", grouped(group.connections.size()), of,
                                what_denies(group, sources)));
    const std::size_t shown = std::min(each, group.connections.size());
    for (std::size_t i = 0; i < shown; ++i) {
      lines.push_back("  " + in_words(found.all[group.connections[i]]));
    }
    if (shown < group.connections.size()) {
      lines.push_back(fmt::format("  and {} more", grouped(group.connections.size() - shown)));
    }
  }
  for (const apply::OpenConnection& spared : found.spared) {
    lines.push_back(
        fmt::format("{} is an administrator's: it goes on, whatever is cut", in_words(spared)));
    if (lines.size() > 100) break;
  }
  for (const apply::OpenConnection& turned : found.turned) {
    lines.push_back("--cut cannot end " + turned_in_words(turned));
    if (lines.size() > 100) break;
  }
  for (const apply::Unclear& unclear : found.first_unclear) {
    lines.push_back(fmt::format("not known, and not cut: {}: {}", in_words(unclear.connection),
                                printable(unclear.why)));
  }
  return lines;
}

Json to_json(const apply::NotAdmitted& found, const BothSources& sources) {
  Json json{{"open", found.open},
            {"not_admitted", found.all.size()},
            {"spared", found.spared.size()},
            {"cannot_end", found.turned.size()},
            {"unclear", found.unclear},
            {"rules", Json::array()}};
  for (const apply::CutGroup& group : found.groups) {
    Json rule;
    if (!group.admitted_by.empty()) {
      rule["admitted_by"] = group.admitted_by;
      add_source(rule, group.admitted_by, sources);
    }
    if (!group.denied_by.empty()) rule["denied_by"] = group.denied_by;
    if (!group.sent_to.empty()) rule["sent_to"] = group.sent_to;
    rule["count"] = group.connections.size();
    rule["first"] = Json::array();
    for (std::size_t i = 0; i < std::min(kShownAsJson, group.connections.size()); ++i) {
      rule["first"].push_back(connection_json(found.all[group.connections[i]]));
    }
    json["rules"].push_back(std::move(rule));
  }
  for (const apply::Unclear& unclear : found.first_unclear) {
    Json one = connection_json(unclear.connection);
    one["why"] = unclear.why;
    json["first_unclear"].push_back(std::move(one));
  }
  return json;
}

void say_cuts(const ruleset::Snapshot& snapshot, const apply::GuardFacts& facts,
              const std::string& state_directory, const Cutting& cutting) {
  constexpr std::size_t kMostLines = 10;
  constexpr std::size_t kOfEachRule = 3;
  const auto cuts = apply::what_is_cut(snapshot, facts);
  if (!cuts) {
    render_notes({"what is open cannot be read: " + cuts.error().message});
    return;
  }
  if (const std::string words = summary(*cuts, cutting); !words.empty()) {
    out().line("open: " + words);
  }
  const ruleset::SourceMap applied = sources_in_force(state_directory);
  const auto lines = lines_of(*cuts, {snapshot.sources, applied}, kOfEachRule);
  for (std::size_t i = 0; i < std::min(kMostLines, lines.size()); ++i) out().line("  " + lines[i]);
  if (lines.size() > kMostLines) out().line("  (more: rolewall plan --all)");
}

void say_cut(const apply::CutOff& cut) {
  for (const std::string& line : lines_of_end(cut)) out().line(line);
}

}  // namespace rolewall::cli
