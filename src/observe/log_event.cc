#include "observe/log_event.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "net/built_in_steps.h"
#include "ruleset/own_table.h"

namespace rolewall::observe {
namespace {

namespace step = net::step;

// NF_INET_*.
constexpr std::uint8_t kForwardHook = 2;
constexpr std::uint8_t kLocalOutHook = 3;

// By the hook: a rule's own word agrees with it, and a step has none.
Direction direction_at(std::uint8_t hook) {
  if (hook == kForwardHook) return Direction::Forward;
  return hook == kLocalOutHook ? Direction::Outbound : Direction::Inbound;
}

std::string line_of(const WrittenRule& rule) {
  if (rule.file.empty()) return rule.name;
  return rule.line == 0 ? fmt::format("{} ({})", rule.name, rule.file)
                        : fmt::format("{} ({}:{})", rule.name, rule.file, rule.line);
}

std::string joined(const std::vector<std::string>& words, std::string_view none) {
  if (words.empty()) return std::string(none);
  std::string text = words.front();
  for (std::size_t i = 1; i < words.size(); ++i) text += ", " + words[i];
  return text;
}

std::string quoted_name(const WrittenPolicy& policy, const net::Address& address) {
  const std::string name = policy.name_of(address);
  return name.empty() ? fmt::format("\"{}\"", net::format(address))
                      : fmt::format(R"("{}" ("{}" has it))", net::format(address), name);
}

// A name is a parameter of a shipped block, or the site's own: either way it is site.toml that says
// what it stands for, and a block of rules/ is not to be changed.
std::string where_to_add(const std::vector<std::string>& words, std::string_view key) {
  const auto is_name = [](const std::string& word) {
    return word != "any" && !word.starts_with('!') && !net::parse_prefix(word);
  };
  const auto name = std::ranges::find_if(words, is_name);
  if (name == words.end()) return fmt::format("its `{}`", key);
  return fmt::format("`{}` in site.toml, or to its `{}`", *name, key);
}

class Advice {
 public:
  Advice(const LogEvent& event, const PacketHead& packet, const WrittenPolicy& policy)
      : event_(event), packet_(packet), policy_(policy) {}

  std::vector<std::string> give() {
    const WrittenRule* by = policy_.rule(event_.name);
    if (event_.name == step::kBanned) {
      const net::Address& banned =
          event_.direction == Direction::Outbound ? packet_.to : packet_.from;
      say(fmt::format("it is banned, not by the policy: sudo rolewall unban {}",
                      net::format(banned)));
    } else if (event_.name == step::kInvalid) {
      say("no rule admits it: connection tracking knows no connection that it belongs to, or its "
          "checksum or sequence is wrong");
    } else if (event_.name == step::kSpoofed) {
      say(fmt::format(
          "{} is `behind` another interface than {}: correct the routes, or `behind` of "
          "the interface in site.toml",
          net::format(packet_.from), event_.in_device));
    } else if (by != nullptr && event_.fate == "excess") {
      excess(*by);
    } else if (by != nullptr && by->action != "accept" && !by->action.empty()) {
      say(fmt::format("{} denies it: take the rule out, or leave {} out of it with \"!{}\" in `{}`",
                      line_of(*by), net::format(peer()), net::format(peer()), peer_key()));
    } else {
      missing_rule();
    }
    return std::move(lines_);
  }

 private:
  void say(std::string line) { lines_.push_back(std::move(line)); }
  bool is_outbound() const { return event_.direction == Direction::Outbound; }
  const net::Address& peer() const { return is_outbound() ? packet_.to : packet_.from; }
  std::string_view peer_key() const { return is_outbound() ? "to" : "from"; }

  void excess(const WrittenRule& rule) {
    for (const auto& [key, values] : rule.keys) {
      if (key != "limit" && key != "connections") continue;
      say(fmt::format("it is over `{}` = {} of {}: a higher one admits more", key,
                      joined(values, ""), line_of(rule)));
    }
    if (lines_.empty()) say(fmt::format("it is over a limit of {}", line_of(rule)));
  }

  // Nearest first: a rule for the service that lacks the address, then a rule of its own.
  void missing_rule() {
    for (const WrittenRule& rule : policy_.rules()) {
      if (rule.direction != event_.direction || rule.action != "accept") continue;
      if (rule.services.empty() ||
          !rule.serves(packet_.protocol, packet_.to_port, packet_.icmp_type))
        continue;
      near(rule);
    }
    const std::string service =
        policy_.service_name(packet_.protocol, packet_.to_port, packet_.icmp_type);
    std::string ends = fmt::format("{} = {}", peer_key(), quoted_name(policy_, peer()));
    if (event_.direction == Direction::Forward) {
      ends += fmt::format(", to = {}", quoted_name(policy_, packet_.to));
    }
    say(fmt::format("{}a rule: [[{}]] service = \"{}\", {}", lines_.empty() ? "" : "or ",
                    name_of(event_.direction), service, ends));
  }

  void near(const WrittenRule& rule) {
    const auto lacks = [](const std::optional<net::AddressSet>& set, const net::Address& address) {
      return set && !set->contains(address);
    };
    if (lacks(rule.from, packet_.from)) {
      say(fmt::format("{} admits {} from {}: add {} to {}", line_of(rule), rule.service(),
                      joined(rule.from_words, "any"), quoted_name(policy_, packet_.from),
                      where_to_add(rule.from_words, "from")));
    } else if (lacks(rule.to, packet_.to)) {
      say(fmt::format("{} admits {} to {}: add {} to {}", line_of(rule), rule.service(),
                      joined(rule.to_words, "any"), quoted_name(policy_, packet_.to),
                      where_to_add(rule.to_words, "to")));
    } else if (!rule.conditions.empty()) {
      say(fmt::format("{} asks for {}, too: see whether this packet has that", line_of(rule),
                      joined(rule.conditions, "")));
    } else if (!rule.from || !rule.to) {
      say(fmt::format("{} admits {}; the record does not say all addresses of its `from` and `to`",
                      line_of(rule), rule.service()));
    } else {
      say(fmt::format("{} seems to admit it: is what was recorded in force? (rolewall status)",
                      line_of(rule)));
    }
  }

  const LogEvent& event_;
  const PacketHead& packet_;
  const WrittenPolicy& policy_;
  std::vector<std::string> lines_;
};

}  // namespace

std::optional<LogPrefix> parse_prefix(std::string_view prefix) {
  const std::string_view begin = ruleset::kOwnTable;
  while (prefix.ends_with(' ') || prefix.ends_with(':')) prefix.remove_suffix(1);
  if (!prefix.starts_with(begin) || prefix.size() < begin.size() + 2 ||
      prefix[begin.size()] != ' ') {
    return std::nullopt;
  }
  prefix.remove_prefix(begin.size() + 1);
  const std::size_t space = prefix.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  return LogPrefix{.name = prefix.substr(0, space), .fate = prefix.substr(prefix.rfind(' ') + 1)};
}

std::optional<LogEvent> log_event(const LogLine& line) {
  const auto prefix = parse_prefix(line.prefix);
  if (!prefix) return std::nullopt;
  return LogEvent{.name = std::string(prefix->name),
                  .fate = std::string(prefix->fate),
                  .direction = direction_at(line.hook),
                  .in_device = std::string(line.in_device),
                  .out_device = std::string(line.out_device),
                  .user = line.user,
                  .time_ns = line.time_ns,
                  .packet = packet_head(line.packet)};
}

bool was_admitted(const LogEvent& event) {
  return event.fate == "accept" || event.fate == "audit";
}

std::vector<std::string> admission_advice(const LogEvent& event, const WrittenPolicy& policy) {
  if (event.fate == "accept") return {};
  if (!event.packet) return {"its header is not among the bytes that were logged"};
  return Advice(event, *event.packet, policy).give();
}

}  // namespace rolewall::observe
