#include "observe/advice.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "net/built_in_steps.h"

namespace rolewall::observe {
namespace {

namespace step = net::step;

std::string line_of(const WrittenRule& rule) {
  if (rule.file.empty()) return rule.name;
  return rule.line == 0 ? fmt::format("{} ({})", rule.name, rule.file)
                        : fmt::format("{} ({}:{})", rule.name, rule.file, rule.line);
}

std::string joined(const std::vector<std::string>& words, std::string_view none) {
  return words.empty() ? std::string(none) : fmt::format("{}", fmt::join(words, ", "));
}

std::string quoted_name(const WrittenPolicy& policy, const net::Address& address) {
  const std::string name = policy.name_of(address);
  return name.empty() || name == "internet"
             ? fmt::format("\"{}\"", net::format(address))
             : fmt::format(R"("{}" ("{}" has it))", net::format(address), name);
}

// One of a rule's two ends, and the packet's address there.
struct End {
  std::string_view key;
  const std::vector<std::string>& words;
  const std::optional<net::AddressSet>& set;
  const net::Address& address;

  bool fits() const { return set && set->contains(address); }
};

// The `!` entries of a list are taken away from the others, wherever they stand.
std::vector<std::string> that_leave_out(const End& end, const WrittenPolicy& policy) {
  std::vector<std::string> words;
  for (const std::string& word : end.words) {
    if (!word.starts_with('!')) continue;
    const auto set = policy.term(std::string_view(word).substr(1));
    if (set && set->contains(end.address)) words.push_back('"' + word + '"');
  }
  return words;
}

// What has to be done at an end that does not fit.
std::string mended(const End& end, const WrittenPolicy& policy) {
  if (const auto out = that_leave_out(end, policy); !out.empty()) {
    return fmt::format("its `{}` leaves {} out by {}: change that", end.key,
                       net::format(end.address), fmt::join(out, ", "));
  }
  std::string text = fmt::format("add {} to its `{}`", quoted_name(policy, end.address), end.key);
  const auto network = std::ranges::find_if(
      end.words, [&](const std::string& word) { return policy.is_network(word); });
  if (network != end.words.end()) {
    text +=
        fmt::format(" (or to the network `{}` in site.toml, for all rules that name it)", *network);
  }
  return text;
}

class Advice {
 public:
  Advice(const LogEvent& event, const PacketHead& packet, const WrittenPolicy& policy)
      : event_(event), packet_(packet), policy_(policy), asked_(asked_for(event, policy)) {}

  std::vector<std::string> give() {
    const WrittenRule* by = policy_.rule(event_.name);
    if (event_.name == step::kBanned) {
      banned();
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
    } else if (packet_.lacks_service) {
      say("which service it is for is not among the bytes that were logged: a later fragment, or "
          "more headers than are logged");
    } else if (is_of_the_middle(packet_)) {
      say("it is of the middle of a connection that connection tracking does not know, or no "
          "longer: "
          "whoever opens it anew is asked about");
    } else if (by != nullptr && by->action != "accept" && !by->action.empty()) {
      denied(*by);
    } else {
      missing_rule("");
    }
    return std::move(lines_);
  }

 private:
  void say(std::string line) { lines_.push_back(std::move(line)); }
  bool is_outbound() const { return event_.direction == Direction::Outbound; }
  const net::Address& peer() const { return is_outbound() ? asked_.to : packet_.from; }
  std::string_view peer_key() const { return is_outbound() ? "to" : "from"; }
  std::array<End, 2> ends_of(const WrittenRule& rule) const {
    return {End{"from", rule.from_words, rule.from, packet_.from},
            End{"to", rule.to_words, rule.to, asked_.to}};
  }
  bool serves(const WrittenRule& rule) const {
    return rule.direction == event_.direction && serves_port(rule);
  }
  bool serves_port(const WrittenRule& rule) const {
    return rule.serves(packet_.protocol, packet_.from_port, asked_.port, packet_.icmp_type);
  }
  // What a [[nat]] rule sends elsewhere it admits, wherever that is.
  bool publishes(const WrittenRule& rule) const {
    return rule.translates_destination() && !is_outbound();
  }

  // A ban is of who sends to this host, of whom it sends to, and of both ends of what it forwards.
  void banned() {
    if (event_.direction == Direction::Forward) {
      say(
          fmt::format("{} or {} is banned, not denied by the policy: `rolewall bans` shows which; "
                      "then `rolewall unban ADDRESS`",
                      net::format(packet_.from), net::format(packet_.to)));
      return;
    }
    const net::Address& banned = is_outbound() ? packet_.to : packet_.from;
    say(fmt::format("it is banned, not denied by the policy: `rolewall unban {}`",
                    net::format(banned)));
  }

  void excess(const WrittenRule& rule) {
    for (const auto& [key, values] : rule.keys) {
      if (key != "limit" && key != "connections") continue;
      say(fmt::format("it is over `{}` = {} of {}: a higher one admits more", key,
                      joined(values, ""), line_of(rule)));
    }
    if (lines_.empty()) say(fmt::format("it is over a limit of {}", line_of(rule)));
  }

  // Without the rule, those below it decide.
  void denied(const WrittenRule& by) {
    const std::string peer_text = net::format(peer());
    const auto& words = is_outbound() ? by.to_words : by.from_words;
    const bool is_named = std::ranges::find(words, peer_text) != words.end();
    std::string how = "take the rule out";
    if (is_named && words.size() > 1) {
      how = fmt::format("take \"{}\" out of its `{}`", peer_text, peer_key());
    } else if (!is_named) {
      how = fmt::format("leave {} out of it with \"!{}\" in its `{}`, or take it out", peer_text,
                        peer_text, peer_key());
    }
    say(fmt::format("{} denies it: {}", line_of(by), how));
    const auto& rules = policy_.rules();
    const auto begin = rules.begin() + (&by - rules.data()) + 1;
    const auto next = std::find_if(begin, rules.end(), [&](const WrittenRule& rule) {
      const auto ends = ends_of(rule);
      return serves(rule) && rule.conditions.empty() && std::ranges::all_of(ends, &End::fits);
    });
    if (next == rules.end()) {
      missing_rule("and then ");
    } else {
      say(fmt::format("then {} decides: {}", line_of(*next), next->action));
    }
  }

  void missing_rule(std::string_view before) {
    const std::string service =
        policy_.service_name(packet_.protocol, packet_.from_port, asked_.port, packet_.icmp_type);
    // Who has no address yet, as before DHCP, is nobody whom a rule can name.
    std::string ends;
    if (!net::is_unspecified(peer())) {
      ends = fmt::format(", {} = {}", peer_key(), quoted_name(policy_, peer()));
    }
    if (event_.direction == Direction::Forward) {
      ends += fmt::format(", to = {}", quoted_name(policy_, asked_.to));
    }
    say(fmt::format("{}a rule: [[{}]] {}service = \"{}\"{}", before, name_of(event_.direction),
                    id_for(service), service, ends));
    if (event_.written_to) {
      translated();
    } else if (!event_.has_connection && policy_.means_what_client_wrote(event_.direction)) {
      say("(the kernel does not tell here what its client wrote: if another program has translated "
          "it, `service` and `to` must name that)");
    }
    for (const WrittenRule& rule : policy_.rules()) {
      if (rule.services.empty() || rule.action != "accept") continue;
      if (serves(rule) || (publishes(rule) && serves_port(rule))) near(rule);
    }
  }

  // A service's name names the rule, too; a literal does not.
  std::string id_for(const std::string& service) const {
    if (service.find('/') == std::string::npos) return "";
    return fmt::format("id = \"{}\", ", policy_.free_id(event_.direction, service));
  }

  void translated() {
    const net::Address& to = event_.written_to->address;
    const std::uint16_t port = event_.written_to->port;
    const std::string where =
        port == 0 ? net::format(to) : fmt::format("{} port {}", net::format(to), port);
    if (policy_.means_what_client_wrote(event_.direction)) {
      say(
          fmt::format("(its client sent it to {}, and another program has translated that: "
                      "`service` and `to` mean what the client wrote)",
                      where));
    } else {
      say(fmt::format("(its client sent it to {}, and another program has translated that)",
                      where));
    }
  }

  // A rule for the service that leaves the packet out.
  void near(const WrittenRule& rule) {
    std::vector<std::string> to_do;
    bool all_known = true;
    for (const End& end : ends_of(rule)) {
      if (!end.set) {
        all_known = false;
      } else if (!end.fits()) {
        to_do.push_back(mended(end, policy_));
      }
    }
    const std::string line = line_of(rule);
    const std::string ends =
        fmt::format("from {} to {}", joined(rule.from_words, "any"), joined(rule.to_words, "any"));
    std::string text = fmt::format("or {} admits {} {}", line, rule.service(), ends);
    if (!to_do.empty()) text += fmt::format(": {}", fmt::join(to_do, ", and "));
    if (!all_known) text += "; the record does not say all addresses of its `from` and `to`";
    if (!rule.conditions.empty()) {
      text += fmt::format("; it asks for {}, too: see whether this packet has that",
                          joined(rule.conditions, ""));
    }
    if (to_do.empty() && all_known && rule.conditions.empty()) {
      text += !event_.has_connection && policy_.means_what_client_wrote(event_.direction)
                  ? ": it would admit it, if its client wrote the same"
                  : ", so it seems to admit it: is what was recorded in force? (`rolewall status`)";
    }
    say(std::move(text));
  }

  const LogEvent& event_;
  const PacketHead& packet_;
  const WrittenPolicy& policy_;
  AskedFor asked_;
  std::vector<std::string> lines_;
};

}  // namespace

AskedFor asked_for(const LogEvent& event, const WrittenPolicy& policy) {
  if (event.written_to && policy.means_what_client_wrote(event.direction)) {
    return {.to = event.written_to->address, .port = event.written_to->port};
  }
  return {.to = event.packet->to, .port = event.packet->to_port};
}

std::vector<std::string> admission_advice(const LogEvent& event, const WrittenPolicy& policy) {
  if (event.fate == "accept") return {};
  if (!event.packet) return {"its header is not among the bytes that were logged"};
  return Advice(event, *event.packet, policy).give();
}

}  // namespace rolewall::observe
