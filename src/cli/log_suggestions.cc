#include "cli/log_suggestions.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/calendar.h"
#include "cli/render_diff.h"
#include "cli/terminal.h"
#include "net/built_in_steps.h"
#include "observe/advice.h"
#include "observe/held_back.h"

namespace rolewall::cli {
namespace {

using observe::Direction;

std::string host_or_address(const net::Address& address, const observe::WrittenPolicy& policy) {
  const std::string name = policy.host_name(address);
  if (policy.is_self(name)) return "self";
  return name.empty() ? net::format(address) : name;
}

// Below a rule, as comments: a class of `diff` each.
std::string opens_in_words(const Result<ask::Diff>& opens) {
  constexpr std::size_t kMostShown = 8;
  if (!opens) return fmt::format("# opens: not known: {}\n", printable(opens.error().message));
  const ask::Diff& diff = *opens;
  if (diff.classes.empty() && diff.is_proof()) {
    return "# opens: nothing that the policy does not admit already\n";
  }
  std::string text;
  for (std::size_t i = 0; i < diff.classes.size() && i < kMostShown; ++i) {
    text += fmt::format("# opens: {}\n", line_of(out(), diff.classes[i]));
  }
  if (diff.classes.size() > kMostShown) {
    text += fmt::format("# opens: and {} more classes\n", diff.classes.size() - kMostShown);
  }
  for (const auto* list : {&diff.not_proven, &diff.mistakes, &diff.not_compared}) {
    for (const std::string& why : *list) {
      text += fmt::format("# opens: perhaps more, not proven: {}\n", printable(why));
    }
  }
  return text;
}

// The same for each file that it could be written to, where there are several.
std::string opens_in_words(const std::vector<Result<ask::Diff>>& opens,
                           const std::vector<RuleOpenings::RoleFile>& files) {
  if (opens.empty()) return "# opens: not compared, there are too many rules\n";
  std::string text;
  for (std::size_t i = 0; i < opens.size(); ++i) {
    if (files.size() > 1) text += fmt::format("# in {}:\n", printable(files[i].path));
    text += opens_in_words(opens[i]);
  }
  return text;
}

// "site/web.toml, or site/db.toml".
std::string names_of(const std::vector<RuleOpenings::RoleFile>& files) {
  std::vector<std::string> paths;
  for (const RuleOpenings::RoleFile& file : files) paths.push_back(printable(file.path));
  return fmt::format("{}", fmt::join(paths, ", or "));
}

Json opens_json(const ask::Diff& diff) {
  Json opens;
  add_members(opens, diff);
  return opens;
}

}  // namespace

void LogSuggestions::take(const observe::LogEvent& event, const observe::WrittenPolicy& policy) {
  const bool by_default = event.name == net::step::kDefault;
  if (by_default) ++lines_of_defaults_;
  if (!by_default) {
    if (event.fate != "accept") ++by_others_[event.name];
    return;
  }
  if (!event.packet || event.packet->lacks_service) {
    ++without_service_;
    return;
  }
  if (is_of_the_middle(*event.packet)) {
    ++of_the_middle_;
    return;
  }
  const observe::PacketHead& packet = *event.packet;
  const observe::AskedFor asked = asked_for(event, policy);
  const bool outbound = event.direction == Direction::Outbound;
  Key key{.direction = event.direction,
          .service =
              policy.service_name(packet.protocol, packet.from_port, asked.port, packet.icmp_type),
          .target = event.direction == Direction::Forward ? host_or_address(asked.to, policy) : ""};
  auto at = seen_.find(key);
  if (at == seen_.end()) {
    if (seen_.size() >= kMostServices) {
      ++left_out_;
      return;
    }
    at = seen_.emplace(std::move(key), Seen{.first_ns = event.time_ns, .peers = {}}).first;
  }
  Seen& seen = at->second;
  ++seen.lines;
  seen.last_ns = event.time_ns;
  const net::Address& peer = outbound ? asked.to : packet.from;
  if (seen.peers.size() < kMostPeers) {
    seen.peers.insert(peer);
  } else if (!seen.peers.contains(peer)) {
    seen.has_more_peers = true;
  }
}

// A host by its name, others by their addresses: a network's name would open it to all of it. Only
// of a network that many have asked from the name is more use.
std::vector<std::string> LogSuggestions::selectors(const Seen& seen,
                                                   const observe::WrittenPolicy& policy) {
  constexpr std::size_t kMany = 8;
  std::map<std::string, std::size_t> by_network;
  for (const net::Address& peer : seen.peers) ++by_network[policy.name_of(peer)];
  std::vector<std::string> terms;
  for (const net::Address& peer : seen.peers) {
    if (net::is_unspecified(peer)) continue;  // who has no address yet: nobody whom a rule can name
    std::string term = policy.host_name(peer);
    const std::string network = policy.name_of(peer);
    if (term.empty() && !network.empty() && by_network[network] > kMany) term = network;
    if (term.empty()) term = net::format(peer);
    if (std::ranges::find(terms, term) == terms.end()) terms.push_back(std::move(term));
  }
  return terms;
}

std::string LogSuggestions::as_rule(const Key& key, const Seen& seen,
                                    const observe::WrittenPolicy& policy,
                                    std::set<std::string>& taken) {
  std::vector<std::string> terms = selectors(seen, policy);
  for (std::string& term : terms) term = '"' + printable(term) + '"';
  std::vector<std::string> addresses;
  for (const net::Address& peer : seen.peers) {
    if (addresses.size() < 8) addresses.push_back(net::format(peer));
  }
  std::string text = fmt::format(
      "# {} from {} to {}: {}{}\n", counted(seen.lines, "line"), format_moment(seen.first_ns),
      format_moment(seen.last_ns), fmt::join(addresses, ", "),
      seen.peers.size() > addresses.size()
          ? fmt::format(" and {} more", seen.peers.size() - addresses.size())
          : "");
  if (seen.has_more_peers) text += "# and others: too many to list; is it for any?\n";
  const std::string id = policy.free_id(key.direction, key.service, taken);
  taken.insert(fmt::format(".{}.{}", name_of(key.direction), id));
  text += fmt::format("[[{}]]\nid      = \"{}\"\nservice = \"{}\"\n", name_of(key.direction), id,
                      key.service);
  // Among them was one without an address: from any.
  const bool is_for_any = std::ranges::any_of(seen.peers, net::is_unspecified);
  if (!is_for_any) {
    text += fmt::format("{:<7} = [{}]\n", key.direction == Direction::Outbound ? "to" : "from",
                        fmt::join(terms, ", "));
  }
  if (!key.target.empty()) text += fmt::format("to      = \"{}\"\n", printable(key.target));
  return text;
}

std::vector<LogSuggestions::Suggestion> LogSuggestions::all(
    const observe::WrittenPolicy& policy, const Result<RuleOpenings>& openings) const {
  std::set<std::string> taken;
  std::vector<Suggestion> suggestions;
  for (const auto& [key, seen] : seen_) {
    Suggestion each{.rule = as_rule(key, seen, policy, taken)};
    if (openings && suggestions.size() < kMostCompared) {
      for (const auto& file : openings->files())
        each.opens.push_back(openings->of(each.rule, file));
    }
    suggestions.push_back(std::move(each));
  }
  return suggestions;
}

Json LogSuggestions::as_json(const observe::WrittenPolicy& policy,
                             const std::vector<Suggestion>& suggestions,
                             const Result<RuleOpenings>& openings) const {
  Json array = Json::array();
  auto suggestion = suggestions.begin();
  for (const auto& [key, seen] : seen_) {
    Json each{{"direction", name_of(key.direction)},
              {"service", printable(key.service)},
              {"lines", seen.lines},
              {"peers", selectors(seen, policy)},
              {"all_peers", !seen.has_more_peers},
              {"rule", suggestion->rule}};
    const auto& opens = suggestion->opens;
    if (!opens.empty() && opens.front()) each["opens"] = opens_json(*opens.front());
    for (std::size_t i = 1; i < opens.size(); ++i) {
      Json other{{"file", printable(openings->files()[i].path)}};
      if (opens[i]) other["opens"] = opens_json(*opens[i]);
      each["other_roles"].push_back(std::move(other));
    }
    array.push_back(std::move(each));
    ++suggestion;
  }
  return array;
}

std::string LogSuggestions::held_back_in_words(const observe::WrittenPolicy& policy) const {
  if (!packets_of_defaults_) {
    return fmt::format(
        "# Whether the log has a line of all that was denied by default is not known: {}\n",
        printable(packets_of_defaults_.error().message));
  }
  if (*packets_of_defaults_ <= lines_of_defaults_) return "";
  std::string text = fmt::format(
      "# WARNING: perhaps not all is suggested that should be: {} met the defaults,\n"
      "# and only {} logged.\n",
      counted(*packets_of_defaults_, "packet"),
      lines_of_defaults_ == 1 ? "1 was" : fmt::format("{} were", lines_of_defaults_));
  for (const std::string& sentence : observe::limits_of_log(policy)) {
    text += fmt::format("# {}\n", printable(sentence));
  }
  return text;
}

std::string LogSuggestions::write(const observe::WrittenPolicy& policy, std::string_view format,
                                  const Result<RuleOpenings>& openings) const {
  const std::vector<Suggestion> suggestions = all(policy, openings);
  if (format == "json") {
    Json json{{"version", kJsonVersion},
              {"verb", "log"},
              {"suggestions", as_json(policy, suggestions, openings)},
              {"left_out", left_out_},
              {"without_service", without_service_},
              {"of_the_middle", of_the_middle_},
              {"default_lines", lines_of_defaults_}};
    if (packets_of_defaults_) {
      json["default_packets"] = *packets_of_defaults_;
    } else {
      json["default_packets_unknown"] = printable(packets_of_defaults_.error().message);
    }
    if (openings) json["file"] = printable(openings->files().front().path);
    return json.dump() + "\n";
  }
  const std::string held_back = held_back_in_words(policy);
  if (seen_.empty() && by_others_.empty() && without_service_ == 0 && of_the_middle_ == 0) {
    return held_back + "nothing was logged that a rule would admit\n";
  }
  std::string text =
      held_back +
      "# Rules that would admit what was logged. Choose: what nobody needs, leave out.\n";
  if (openings) {
    text += fmt::format(
        "# They are for {}. What each would open, if the policy is enforced, is\n"
        "# below it, in the words of `rolewall diff`.\n",
        names_of(openings->files()));
  } else {
    text += fmt::format("# What they open is not known: {}\n", printable(openings.error().message));
  }
  if (lacks_what_clients_wrote_) {
    text +=
        "# WARNING: this kernel does not tell what clients wrote. Where another program "
        "translates,\n"
        "# as Docker does, a rule must name what the client wrote, and not what stands here.\n";
  }
  for (const Suggestion& each : suggestions) {
    text += "\n" + each.rule;
    if (openings) text += opens_in_words(each.opens, openings->files());
  }
  for (const auto& [name, lines] : by_others_) {
    text += fmt::format("\n# {} by {}: no further rule changes that\n", counted(lines, "line"),
                        printable(name));
  }
  if (without_service_ != 0) {
    text += fmt::format(
        "\n# {} of packets that do not say which service they are for (later fragments, or more\n"
        "# headers than are logged): no rule can be made of them\n",
        counted(without_service_, "line"));
  }
  if (of_the_middle_ != 0) {
    text += fmt::format(
        "\n# {} of the middle of TCP connections that are not known, or no longer: whoever opens\n"
        "# them anew is asked about\n",
        counted(of_the_middle_, "line"));
  }
  if (left_out_ != 0) {
    text += fmt::format("\n# {} of further services\n", counted(left_out_, "line"));
  }
  return text;
}

}  // namespace rolewall::cli
