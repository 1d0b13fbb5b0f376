#include "apply/not_admitted.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "apply/turns.h"
#include "apply/ways.h"
#include "eval/build.h"
#include "eval/eval.h"
#include "net/address_set.h"
#include "net/built_in_steps.h"
#include "net/protocol.h"
#include "ruleset/loads.h"

namespace rolewall::apply {
namespace {

using eval::Direction;
using eval::Journey;
using eval::Others;

constexpr std::uint32_t kOurTable = 0;
constexpr const char* kLoopbackDevice = "lo";

std::string in_words(const Endpoint& end) {
  return net::is_ipv4(end.address) ? fmt::format("{}:{}", net::format(end.address), end.port)
                                   : fmt::format("[{}]:{}", net::format(end.address), end.port);
}

// What the new ruleset makes of one way that a first packet may go.
enum class Word : std::uint8_t { Admits, Denies, Sends, Open };
struct Said {
  Word word = Word::Admits;
  std::string rule;  // Denies: the rule's id; Sends: where to; Open: why it is not known
};

// A rule by its id; a chain of a rule's own has its name where the rule bears none.
std::string id_of(const ruleset::Table& table, const eval::Decision& decision) {
  const ruleset::Chain& chain = table.chains[decision.chain];
  if (decision.rule == eval::Decision::kPolicy) return fmt::format("({})", chain.name);
  const ruleset::Rule& rule = chain.rules[decision.rule];
  return rule.comment.empty() ? chain.name : rule.comment.text();
}

// As if the other end had opened it.
OpenConnection turned_round(const OpenConnection& connection) {
  OpenConnection turned = connection;
  turned.from = connection.answered_by;
  turned.to = connection.answered_to;
  turned.answered_by = connection.from;
  turned.answered_to = connection.to;
  turned.owner.reset();
  return turned;
}

class OpenJudge {
 public:
  OpenJudge(InPart& before, InPart& after, const GuardFacts& facts, std::uint64_t now_ns)
      : before_(before.ruleset),
        after_(after.ruleset),
        facts_(facts),
        ways_(facts),
        now_ns_(now_ns),
        before_evaluator_(before.ruleset, facts.machine, &before.partial),
        evaluator_(after.ruleset, facts.machine, &after.partial) {
    for (const std::uint32_t table : evaluator_.interfering_tables()) {
      if (table != kOurTable) others_ = Others::LetPass;
    }
  }

  NotAdmitted judge(std::span<const OpenConnection> open) {
    // What another has announced (FTP's data) is judged after that one.
    for (const bool announced : {false, true}) {
      for (const OpenConnection& each : open) {
        // Of what nobody has answered each packet is new to the rules.
        if (each.is_over || !(each.is_answered || each.is_expected)) continue;
        if (each.is_expected != announced) continue;
        ++found_.open;
        add(each);
      }
    }
    std::ranges::stable_sort(found_.groups, std::ranges::greater{},
                             [](const CutGroup& group) { return group.connections.size(); });
    return std::move(found_);
  }

 private:
  struct Asked {
    eval::Packet packet;
    Direction direction = Direction::Arrive;
    bool off_route = false;
  };

  void add(const OpenConnection& connection) {
    // It serves the one that has announced it, and ends with it.
    if (const auto by = cut_.find(key_of(connection.announced_by)); by != cut_.end()) {
      const auto [denied, sent_to] = by->second;
      return put_into(group_of(std::string(net::step::kEstablished), denied, sent_to), connection);
    }
    const std::vector<Asked> asked = first_packets(connection);
    Said said = word_on(connection, asked);
    if (said.word == Word::Admits) return;
    if (!connection.opener_is_known && said.word != Word::Open) {
      const OpenConnection turned = turned_round(connection);
      if (word_on(turned, first_packets(turned)).word == Word::Admits) {
        said = {Word::Open, "who opened it is not known, and the other way it would be admitted"};
      }
    }
    if (said.word == Word::Open) {
      ++found_.unclear;
      if (found_.first_unclear.size() < kMostUnclear) {
        found_.first_unclear.push_back({connection, said.rule});
      }
      return;
    }
    if (is_administrators(connection, facts_)) {
      found_.spared.push_back(connection);
      return;
    }
    if (goes_on_turned(connection)) found_.turned.push_back(connection);
    const bool sends = said.word == Word::Sends;
    // What is announced passes as related, while its helper is asked for.
    std::string today(connection.is_expected ? net::step::kEstablished : "");
    if (today.empty() && !asked.empty()) today = admitting_rule(asked.front());
    CutGroup& group = group_of(today, sends ? "" : said.rule, sends ? said.rule : "");
    cut_[key_of(netlink::ConntrackTuple{connection.protocol, connection.from, connection.to})] = {
        group.denied_by, group.sent_to};
    put_into(group, connection);
  }

  bool goes_on_turned(const OpenConnection& connection) {
    const bool is_passed_on = !is_own(facts_.machine, connection.from.address) &&
                              !is_own(facts_.machine, connection.answered_by.address);
    // What was translated goes on from another place than its other end knows.
    const bool is_translated =
        connection.answered_by != connection.to || connection.answered_to != connection.from;
    if (connection.protocol != net::protocol::kTcp || !is_passed_on || is_translated ||
        !facts_.machine.conntrack.tcp_loose) {
      return false;
    }
    const OpenConnection turned = turned_round(connection);
    return word_on(turned, first_packets(turned)).word == Word::Admits;
  }

  void put_into(CutGroup& group, const OpenConnection& connection) {
    group.connections.push_back(found_.all.size());
    found_.all.push_back(connection);
  }

  using Key = std::tuple<std::uint8_t, net::Address, std::uint16_t, net::Address, std::uint16_t>;
  static Key key_of(const std::optional<netlink::ConntrackTuple>& tuple) {
    if (!tuple) return {};
    return {tuple->protocol, tuple->from.address, tuple->from.port, tuple->to.address,
            tuple->to.port};
  }

  CutGroup& group_of(const std::string& today, const std::string& denied, const std::string& to) {
    const auto [at, is_new] = numbers_.try_emplace({today, denied, to}, found_.groups.size());
    if (is_new) found_.groups.push_back({today, denied, to, {}});
    return found_.groups[at->second];
  }

  // By each device that it may have come by, the one that the route leads back by first.
  const std::vector<Way>& ways_with(const net::Address& address) {
    const auto [at, is_new] = known_ways_.try_emplace(address);
    if (is_new) at->second = ways_.with(address);
    return at->second;
  }

  eval::Packet first_packet(const OpenConnection& connection) const {
    eval::PacketFields fields;
    fields.source = connection.from.address;
    fields.destination = connection.to.address;
    fields.protocol = connection.protocol;
    fields.source_port = connection.from.port;
    fields.destination_port = connection.to.port;
    fields.icmp_type = connection.icmp_type;
    fields.icmp_code = connection.icmp_code;
    eval::Packet packet = eval::build(fields);
    packet.time_ns = now_ns_;
    if (connection.is_expected) packet.ct_state = ruleset::ct_state::kRelated;
    return packet;
  }

  std::vector<Asked> first_packets(const OpenConnection& connection) {
    const auto is_here = [&](const net::Address& address) {
      const std::vector<Way>& ways = ways_with(address);
      return ways.size() == 1 && ways.front().in == kLoopbackDevice;
    };
    const bool sent = is_here(connection.from.address);
    std::vector<Asked> asked;
    for (const Way& way : ways_with(sent ? connection.to.address : connection.from.address)) {
      if (sent && way.off_route) continue;
      eval::Packet packet = first_packet(connection);
      (sent ? packet.out_device : packet.in_device) = sent ? way.out : way.in;
      packet.user = connection.owner;
      packet.sender_is_open = sent && !connection.owner;
      asked.push_back(
          {std::move(packet), sent ? Direction::Send : Direction::Arrive, way.off_route});
    }
    return asked;
  }

  Said word_on(const OpenConnection& connection, const std::vector<Asked>& asked) {
    if (asked.empty()) return {Word::Open, "no route leads to its other end"};
    std::optional<Said> denied;
    std::optional<Said> open;
    std::optional<Said> admitted;
    for (const Asked& each : asked) {
      // It has come as the route leads back, and that is admitted.
      if (each.off_route && !denied && !open) break;
      Said said = word_on_one(connection, each);
      if (said.word == Word::Open) {
        if (!open) open = std::move(said);
      } else if (said.word == Word::Admits) {
        if (!admitted) {
          admitted = Said{Word::Open, fmt::format("it would be admitted by {}", device_of(each))};
        }
      } else if (!denied) {
        denied = std::move(said);
      }
    }
    if (open) return *open;
    if (denied && admitted) return *admitted;
    return denied ? *denied : Said{};
  }

  static const std::string& device_of(const Asked& asked) {
    return asked.direction == Direction::Send ? asked.packet.out_device : asked.packet.in_device;
  }

  // All that may become of it must be the same.
  Said word_on_one(const OpenConnection& connection, const Asked& asked) {
    const eval::Outcomes outcomes =
        evaluator_.outcomes(asked.packet, asked.direction, options(others_));
    std::optional<Said> first;
    for (const Journey& way : outcomes.ways) {
      Said said = word_of(connection, way);
      if (said.word == Word::Open) return said;
      if (!first) {
        first = std::move(said);
      } else if (first->word != said.word) {
        return {Word::Open, condition_of(way)};
      }
    }
    if (!first || !outcomes.complete) return {Word::Open, "it may go too many ways"};
    return *first;
  }

  static std::string condition_of(const Journey& way) {
    if (way.conditions.empty()) return "it may go several ways";
    return fmt::format("it depends on this: {}", way.conditions.front().about);
  }

  Said word_of(const OpenConnection& connection, const Journey& way) const {
    switch (way.fate()) {
      case eval::Fate::Accept:
        return elsewhere(connection, way);
      case eval::Fate::Drop:
      case eval::Fate::Reject: {
        const eval::HookResult& last = way.hooks.back();
        if (last.decided && last.decision.table == kOurTable) {
          return {Word::Denies, id_of(after_.tables[kOurTable], last.decision)};
        }
        return {Word::Admits, ""};  // another program denies it
      }
      case eval::Fate::Stack:
      case eval::Fate::Held:
      case eval::Fate::Undecided: {
        const std::string& why = way.hooks.empty() ? std::string() : way.hooks.back().reason;
        return {Word::Open, why.empty() ? "the IP stack would discard its first packet" : why};
      }
    }
    return {};
  }

  // Whether its first packet would be translated to another place than the one that answers it.
  Said elsewhere(const OpenConnection& connection, const Journey& way) const {
    const bool was_translated = connection.answered_by != connection.to;
    if (!way.knows_after || way.hooks.empty() || connection.is_expected) return {};
    const Endpoint to = destination_of(way.after, connection.protocol);
    const bool is_translated = to != connection.to;
    if ((!was_translated && !is_translated) || to == connection.answered_by) return {};
    const bool stays_here = is_own(facts_.machine, connection.answered_by.address) &&
                            is_own(facts_.machine, to.address);
    if (stays_here) return {};
    return {Word::Sends, in_words(to)};
  }

  // Of today's table; "" where none admits it.
  std::string admitting_rule(const Asked& asked) {
    if (before_.tables[kOurTable].chains.empty()) return "";
    const eval::Outcomes outcomes =
        before_evaluator_.outcomes(asked.packet, asked.direction, options(others_));
    const Journey& way = outcomes.ways.front();
    if (way.fate() != eval::Fate::Accept) return "";
    for (const eval::HookResult& hook : way.hooks) {
      const bool filters = hook.hook == ruleset::Hook::Input ||
                           hook.hook == ruleset::Hook::Forward ||
                           hook.hook == ruleset::Hook::Output;
      if (filters && hook.decided && hook.decision.table == kOurTable) {
        return id_of(before_.tables[kOurTable], hook.decision);
      }
    }
    return "";
  }

  static eval::Options options(Others others) {
    return {.steps = false, .others = others, .unmodelled = eval::Unmodelled::Chosen};
  }

  const ruleset::Ruleset& before_;
  const ruleset::Ruleset& after_;
  const GuardFacts& facts_;
  const Ways ways_;
  const std::uint64_t now_ns_;
  eval::Evaluator before_evaluator_;
  eval::Evaluator evaluator_;
  Others others_ = Others::Absent;
  std::map<net::Address, std::vector<Way>> known_ways_;
  std::map<std::tuple<std::string, std::string, std::string>, std::size_t> numbers_;
  std::map<Key, std::pair<std::string, std::string>> cut_;  // denied by which rule, or sent where
  NotAdmitted found_;
};

bool is_at(const Endpoint& end, const net::Address& address, std::uint16_t port) {
  return end.address == address && (port == 0 || end.port == port);
}

bool carries(const OpenConnection& connection, const observe::OuterFlow& flow) {
  if (flow.protocol != connection.protocol) return false;
  const bool is_anywhere =
      flow.local == net::Address{net::Ipv4{}} || flow.local == net::Address{net::Ipv6{}};
  const auto is_between = [&](const Endpoint& local, const Endpoint& remote) {
    const bool here = is_anywhere
                          ? flow.local_port == 0 || flow.local_port == local.port
                          : is_at(local, flow.local, flow.draws_ports ? 0 : flow.local_port);
    const bool there = flow.anybody || is_at(remote, flow.remote, flow.remote_port);
    return here && there;
  };
  return is_between(connection.from, connection.to) ||
         is_between(connection.answered_by, connection.answered_to);
}

bool is_session(const OpenConnection& connection, const Session& session) {
  const auto is_pair = [&](const Endpoint& client, const Endpoint& server) {
    return is_at(client, session.client, session.client_port) &&
           is_at(server, session.server, session.server_port);
  };
  return is_pair(connection.from, connection.to) ||
         is_pair(connection.answered_to, connection.answered_by);
}

// Of what connection tracking has met midway a listening socket tells who was asked.
Result<void> find_openers(Kernel& kernel, std::vector<OpenConnection>& open) {
  const auto is_doubtful = [](const OpenConnection& each) {
    return each.protocol == net::protocol::kTcp && !each.opener_is_known;
  };
  if (std::ranges::none_of(open, is_doubtful)) return {};
  const Result<netlink::TcpSockets> sockets = kernel.tcp_sockets();
  if (!sockets) return std::unexpected(sockets.error());
  const auto listens = [&](const Endpoint& end) {
    return std::ranges::any_of(sockets->listening, [&](const netlink::TcpSocket& socket) {
      const bool anywhere =
          socket.local == net::Address{net::Ipv4{}} || socket.local == net::Address{net::Ipv6{}};
      return socket.local_port == end.port && (anywhere || socket.local == end.address);
    });
  };
  const auto is_established = [&](const Endpoint& end, const Endpoint& other) {
    return std::ranges::any_of(sockets->established, [&](const netlink::TcpSocket& socket) {
      return socket.local == end.address && socket.local_port == end.port &&
             socket.remote == other.address && socket.remote_port == other.port;
    });
  };
  for (OpenConnection& each : open) {
    if (!is_doubtful(each)) continue;
    const bool from_here = is_established(each.from, each.to);
    const bool to_here = is_established(each.answered_by, each.answered_to);
    if (from_here == to_here) continue;  // passed on, or both ends are here
    const bool is_turned = from_here ? listens(each.from) : !listens(each.answered_by);
    if (is_turned) each = turned_round(each);
    each.opener_is_known = true;
  }
  return {};
}

// Without a table of ours connection tracking need not know what is open: the first apply gives
// these sessions their entries (open_sessions.h).
Result<void> add_untracked(Kernel& kernel, std::vector<OpenConnection>& open) {
  const Result<netlink::TcpSockets> sockets = kernel.tcp_sockets();
  if (!sockets) return std::unexpected(sockets.error());
  using Pair = std::tuple<net::Address, std::uint16_t, net::Address, std::uint16_t>;
  std::set<Pair> tracked;
  for (const OpenConnection& each : open) {
    if (each.protocol != net::protocol::kTcp) continue;
    tracked.emplace(each.from.address, each.from.port, each.to.address, each.to.port);
    tracked.emplace(each.answered_by.address, each.answered_by.port, each.answered_to.address,
                    each.answered_to.port);
  }
  for (const netlink::TcpSocket& each : sockets->established) {
    if (tracked.contains({each.local, each.local_port, each.remote, each.remote_port})) continue;
    const bool is_served =
        std::ranges::find(sockets->listening, each.local_port, &netlink::TcpSocket::local_port) !=
        sockets->listening.end();
    const Endpoint local{each.local, each.local_port};
    const Endpoint remote{each.remote, each.remote_port};
    OpenConnection& found = open.emplace_back();
    found.protocol = net::protocol::kTcp;
    found.from = found.answered_to = is_served ? remote : local;
    found.to = found.answered_by = is_served ? local : remote;
    if (!is_served) found.owner = each.user;
  }
  return {};
}

}  // namespace

bool is_administrators(const OpenConnection& connection, const GuardFacts& facts) {
  if (connection.protocol == net::protocol::kTcp) {
    for (const Session& session : facts.sessions) {
      if (is_session(connection, session)) return true;
    }
    const net::Address& client = connection.from.address;
    const bool is_managers =
        std::ranges::find(facts.other_clients, client) != facts.other_clients.end() ||
        net::AddressSet::from(facts.management).contains(client);
    const bool to_ssh = std::ranges::any_of(facts.ssh_doors, [&](const Endpoint& door) {
      const bool anywhere =
          door.address == net::Address{net::Ipv4{}} || door.address == net::Address{net::Ipv6{}};
      return door.port == connection.answered_by.port &&
             (anywhere ? is_own(facts.machine, connection.answered_by.address)
                       : door.address == connection.answered_by.address);
    });
    if (is_managers && to_ssh) return true;
  }
  const auto carried_by = [&](const std::vector<observe::OuterFlow>& flows) {
    return std::ranges::any_of(
        flows, [&](const observe::OuterFlow& flow) { return carries(connection, flow); });
  };
  const auto is_passed_on = [&](const observe::ForwardedFlow& flow) {
    return flow.protocol == connection.protocol &&
           is_at(connection.from, flow.from.address, flow.from.port) &&
           is_at(connection.to, flow.to.address, flow.to.port);
  };
  return std::ranges::any_of(facts.tunnels,
                             [&](const observe::Tunnel& each) { return carried_by(each.flows); }) ||
         std::ranges::any_of(facts.relays, [&](const observe::Relay& each) {
           return carried_by(each.flows) || std::ranges::any_of(each.forwarded, is_passed_on);
         });
}

NotAdmitted judge_open(InPart& before, InPart& after, std::span<const OpenConnection> open,
                       const GuardFacts& facts, std::uint64_t now_ns) {
  return OpenJudge(before, after, facts, now_ns).judge(open);
}

Result<NotAdmitted> not_admitted(Kernel& kernel, const ruleset::Table& wanted,
                                 const GuardFacts& facts, std::uint64_t now_ns) {
  Result<std::vector<OpenConnection>> open = kernel.open_connections();
  if (!open) return std::unexpected(std::move(open).error());
  InPart before;
  InPart after;
  TRY(read_rulesets(kernel, wanted, {}, before, after));
  TRY(find_openers(kernel, *open));
  if (before.ruleset.tables.front().chains.empty()) TRY(add_untracked(kernel, *open));
  while (true) {
    NotAdmitted found = judge_open(before, after, *open, facts, now_ns);
    bool again = false;
    for (InPart* each : {&before, &after}) {
      const Result<bool> more = read_what_was_asked(kernel, *each);
      if (!more) return std::unexpected(more.error());
      again |= *more;
    }
    if (!again) return found;
  }
}

Result<CutOff> cut_not_admitted(Kernel& kernel, const ruleset::Table& wanted,
                                const GuardFacts& facts, std::uint64_t now_ns) {
  constexpr int kRounds = 4;
  CutOff cut;
  for (int round = 0; round < kRounds; ++round) {
    const Result<NotAdmitted> found = not_admitted(kernel, wanted, facts, now_ns);
    if (!found) return std::unexpected(found.error());
    cut.spared = found->spared;
    if (round == 0) cut.turned = found->turned;
    cut.unclear = found->unclear;
    cut.complete = found->all.empty();
    if (found->all.empty()) break;
    const Result<netlink::Ended> ended = kernel.end_connections(found->all);
    if (!ended) return std::unexpected(ended.error());
    cut.connections += ended->entries;
    cut.ended.sockets += ended->sockets;
    cut.ended.entries += ended->entries;
    cut.ended.cannot_end_sockets |= ended->cannot_end_sockets;
  }
  return cut;
}

}  // namespace rolewall::apply
