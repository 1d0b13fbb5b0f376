// Which hosts a packet comes to, and by which of their interfaces.

#include <fmt/format.h>

#include <algorithm>

#include "ask/site.h"
#include "ask/translations.h"
#include "eval/route.h"

namespace rolewall::ask {
namespace {

using policy::Index;

// No site's packet is passed on by more hosts.
constexpr std::size_t kMostStops = 16;

eval::Packet packet_of(const Sample& sample, std::optional<std::uint64_t> now_ns) {
  eval::Packet packet = eval::build(sample.fields);
  packet.ct_state = sample.ct_state;
  packet.time_ns = sample.time_ns ? sample.time_ns : now_ns;
  return packet;
}

// What the next host gets of a packet: its bytes.
eval::Packet on_its_way(const eval::Packet& packet) {
  eval::Packet next;
  next.ether_type = packet.ether_type;
  next.bytes = packet.bytes;
  next.ct_state = packet.ct_state;
  next.time_ns = packet.time_ns;
  const net::Address destination = destination_of(packet);
  if (net::is_multicast(destination)) next.type = eval::PacketType::Multicast;
  if (net::is_limited_broadcast(destination)) next.type = eval::PacketType::Broadcast;
  return next;
}

// "in=public": the interface by its name, its devices (docker0, br-0) by their own.
std::string word(const char* option, const std::vector<ruleset::Interface>& choices,
                 const ruleset::Interface& choice) {
  const auto same_name =
      std::ranges::count_if(choices, [&](const auto& other) { return other.name == choice.name; });
  return fmt::format("{}={}", option, same_name > 1 ? choice.device : choice.name);
}

bool is_passed_on(const eval::Journey& journey) {
  return std::ranges::any_of(journey.hooks, [](const eval::HookResult& result) {
    return result.hook == ruleset::Hook::Forward;
  });
}

// Of several that bear an address, the one that is meant.
std::optional<Index> bearer_of(const Ends& ends, const net::Address& address,
                               std::optional<Index> meant) {
  const std::vector<Index> bearers = ends.bearers(address);
  if (meant && std::ranges::find(bearers, *meant) != bearers.end()) return meant;
  return bearers.empty() ? std::nullopt : std::optional(bearers.front());
}

}  // namespace

Stop Site::leaving(Index host, const eval::Packet& packet, const std::string& out) {
  const auto choices = interfaces_for(compiled(host).snapshot.host, destination_of(packet), out);
  Stop stop;
  stop.out = choices.front().name;
  for (const ruleset::Interface& choice : choices) {
    stop.ends.push_back({host, choice.device, false, packet});
    stop.ends.back().packet.out_device = choice.device;
    stop.words.push_back(word("out", choices, choice));
  }
  return stop;
}

Stop Site::arriving(Index host, const eval::Packet& packet, const std::string& in,
                    const std::string& out) {
  Compiled& machine = compiled(host);
  const auto ins = interfaces_for(machine.snapshot.host, source_of(packet), in);
  Stop stop;
  stop.in = ins.front().name;
  for (const ruleset::Interface& by : ins) {
    FlowEnd end{host, by.device, true, packet};
    end.packet.in_device = by.device;
    const auto outs = ways_out(machine, end.packet, out);
    if (outs.empty()) {
      stop.ends.push_back(end);
      stop.words.push_back(word("in", ins, by));
    }
    for (const ruleset::Interface& way : outs) {
      if (stop.out.empty()) stop.out = way.name;
      std::vector<std::string> words;
      if (ins.size() > 1 || outs.size() == 1) words.push_back(word("in", ins, by));
      if (outs.size() > 1) words.push_back(word("out", outs, way));
      end.packet.out_device = way.device;
      stop.ends.push_back(end);
      stop.words.push_back(fmt::format("{}", fmt::join(words, " ")));
    }
  }
  return stop;
}

// By which interfaces a host may pass on what has arrived; none where it is delivered there, or
// where the host's own routes say.
std::vector<ruleset::Interface> Site::ways_out(Compiled& host, const eval::Packet& arriving,
                                               const std::string& given) {
  net::Address to = destination_of(arriving);
  if (host.translates)
    to = destination_of(host.evaluator->arrive(arriving, {.steps = false}).after);
  if (host.addresses.contains(to) || net::is_group(to) || eval::is_link_local(to)) return {};
  const ruleset::Host& machine = host.snapshot.host;
  if ((machine.routes || machine.has_routing_rules) && given.empty()) return {};
  return interfaces_for(host.snapshot.host, to, given);
}

std::vector<Stop> Site::way_of(const Sample& sample) {
  std::vector<Stop> way;
  const eval::Packet packet = packet_of(sample, now_ns_);
  if (sample.sender) {
    eval::Packet sent = packet;
    sent.user = sample.user;
    way.push_back(leaving(*sample.sender, sent, sample.through ? "" : sample.out));
  }
  std::optional<Index> next = sample.through ? sample.through : sample.receiver;
  std::string in = sample.in;
  std::string out = sample.through || !sample.sender ? sample.out : "";
  eval::Packet travelling = on_its_way(packet);
  while (next && way.size() < kMostStops) {
    way.push_back(arriving(*next, travelling, in, out));
    if (sample.alone) break;
    const bool may_go_on = sample.through || compiled(*next).translates;
    if (!may_go_on) break;
    const eval::Journey journey =
        compiled(*next).evaluator->arrive(way.back().ends.front().packet, {.steps = false});
    if (!is_passed_on(journey)) break;
    travelling = on_its_way(journey.after);
    travelling.ct_state = packet.ct_state;
    const std::optional<Index> here = next;
    next = bearer_of(ends_, destination_of(travelling), sample.receiver);
    if (next == here) break;
    in.clear();
    out.clear();
  }
  return way;
}

}  // namespace rolewall::ask
