#include "observe/log_event.h"

#include <doctest/doctest.h>

#include <chrono>
#include <vector>

#include "observe/log_fold.h"
#include "observe/rule_counts.h"
#include "observe/source_counts.h"
#include "ruleset/expr.h"
#include "ruleset/own_table.h"

namespace rolewall::observe {
namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes tcp_syn(std::uint8_t last_of_source, std::uint16_t port) {
  return {0x45,
          0,
          0,
          40,
          0,
          1,
          0,
          0,
          64,
          6,
          0,
          0,
          192,
          0,
          2,
          last_of_source,
          10,
          0,
          2,
          10,
          0x9c,
          0x40,
          static_cast<std::uint8_t>(port >> 8),
          static_cast<std::uint8_t>(port),
          0,
          0,
          0,
          1,
          0,
          0,
          0,
          0,
          0x50,
          2,
          0,
          0,
          0,
          0,
          0,
          0};
}

LogLine line_of(const Bytes& packet,
                std::string_view prefix = "rolewall (default) inbound drop: ") {
  return {.prefix = prefix, .hook = 1, .user = std::nullopt, .packet = packet};
}

ruleset::Snapshot snapshot() {
  ruleset::Snapshot made;
  made.written = {
      {"rule", "web.inbound.app", "web.toml", 6, {{"service", {"https"}}, {"from", {"lb"}}}},
      {"rule", "web.inbound.rest", "web.toml", 9, {{"service", {"tcp/8000-8010"}}}},
      {"rule", "web.inbound.in", "web.toml", 12, {{"service", {"ssh"}}, {"in", {"private"}}}},
      {"defaults", "[defaults]", "site.toml", 3, {{"log to", {"5"}}}},
      {"role", "lb", "site.toml", 0, {{"addresses", {"192.0.2.0/30"}}}},
      {"network", "doc", "site.toml", 0, {{"addresses", {"192.0.2.0/24"}}}},
      {"service", "https", "services.toml", 1, {{"service", {"tcp/443"}}}},
      {"service", "ssh", "services.toml", 1, {{"service", {"tcp/22"}}}},
  };
  return made;
}

TEST_CASE("a prefix of ours says the rule and the fate, any other nothing") {
  const auto prefix = parse_prefix("rolewall web.inbound.app excess: ");
  REQUIRE(prefix);
  CHECK(prefix->name == "web.inbound.app");
  CHECK(prefix->fate == "excess");
  CHECK(parse_prefix("rolewall (default) inbound drop: ")->fate == "drop");
  for (const char* other :
       {"", "rolewall", "rolewall ", "rolewall x", "[UFW BLOCK] ", "rolewalls a b: "})
    CHECK_FALSE(parse_prefix(other));
}

TEST_CASE("a packet's head is read, and what is cut short says less") {
  const Bytes whole = tcp_syn(7, 443);
  CHECK(packet_words(*packet_head(whole)) == "tcp 192.0.2.7:40000 > 10.0.2.10:443 flags=syn");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto head = packet_head(netlink::View(whole).first(size));
    CHECK(head.has_value() == (size >= 20));
    if (head && size < 24) CHECK(head->to_port == 0);
  }
  Bytes fragment = whole;
  fragment[7] = 5;
  CHECK(packet_head(fragment)->to_port == 0);
  CHECK(packet_head(fragment)->lacks_service);
  CHECK(packet_words(*packet_head(fragment)) == "tcp 192.0.2.7 > 10.0.2.10");
}

// IPv6 from :: to ::, with these bytes behind its header.
Bytes ipv6(std::uint8_t next, const Bytes& rest) {
  Bytes packet(40, 0);
  packet[0] = 0x60;
  packet[5] = static_cast<std::uint8_t>(rest.size());
  packet[6] = next;
  packet.insert(packet.end(), rest.begin(), rest.end());
  return packet;
}

TEST_CASE("IPv6's extension headers are gone past, as the kernel goes") {
  const Bytes mld = {58, 0, 5, 2, 0, 0, 1, 0, 143, 0, 0, 0, 0, 0, 0, 0};  // hop-by-hop first
  CHECK(packet_words(*packet_head(ipv6(0, mld))) == "icmpv6/143 :: > ::");
  // Mobility is what the kernel takes for the transport header.
  CHECK(packet_words(*packet_head(ipv6(135, {59, 0, 0, 0, 0, 0, 0, 0}))) == "protocol/135 :: > ::");
  // Options that reach past what is logged hide the ports: they are not 0 for that.
  Bytes options(88, 0);
  options[0] = 6;
  options[1] = 15;
  const auto hidden = packet_head(ipv6(60, options));
  CHECK(hidden->lacks_service);
  CHECK(packet_words(*hidden) == "tcp :: > ::");
  CHECK(packet_head(ipv6(60, {6, 0, 0, 0}))->lacks_service);  // not even its own length
  CHECK(packet_head(ipv6(58, {}))->lacks_service);
}

TEST_CASE("what addresses are called") {
  const WrittenPolicy policy(snapshot(), {{"db-01", {*net::parse_prefix("192.0.2.9")}}});
  CHECK(policy.name_of(*net::parse_address("192.0.2.2")) == "lb");  // the smaller of the two
  CHECK(policy.name_of(*net::parse_address("192.0.2.200")) == "doc");
  CHECK(policy.name_of(*net::parse_address("10.0.0.1")).empty());
  CHECK(log_group(snapshot()) == 5);
}

TEST_CASE("of a service, source ports and types count") {
  ruleset::Snapshot made = snapshot();
  made.written.push_back(
      {"rule", "web.inbound.narrow", "web.toml", 30, {{"service", {"tcp/3000 from 1000-1010"}}}});
  const WrittenPolicy policy(made, {});
  const WrittenRule* narrow = policy.rule("web.inbound.narrow");
  CHECK(narrow->serves(6, 1000, 3000));
  CHECK_FALSE(narrow->serves(6, 999, 3000));
  CHECK_FALSE(narrow->serves(6, 1000, 3001));
}

TEST_CASE("services of ICMP are told by their types") {
  ruleset::Snapshot made = snapshot();
  made.written.push_back(
      {"service", "ping", "s", 1, {{"service", {"icmp/echo-request", "icmpv6/128"}}}});
  made.written.push_back({"rule", "web.inbound.ping", "web.toml", 20, {{"service", {"ping"}}}});
  const WrittenPolicy policy(made, {});
  CHECK(policy.service_name(58, 0, 0, 128) == "ping");
  CHECK(policy.service_name(1, 0, 0, 8) == "ping");
  CHECK(policy.service_name(58, 0, 0, 143) == "icmpv6/mld2-report");
  CHECK(policy.service_name(1, 0, 0, 200) == "icmp/200");
  CHECK(policy.rule("web.inbound.ping")->serves(1, 0, 0, 8));
  CHECK_FALSE(policy.rule("web.inbound.ping")->serves(1, 0, 0, 13));
  CHECK(policy.rule("web.inbound.ping")->serves(1, 0, 0));
}

TEST_CASE("how full a set is, by the kernel's count or by its elements") {
  ruleset::Table table;
  ruleset::Set rate;
  rate.name = ruleset::own::rate_set("web.inbound.app", true);
  rate.size = 10;
  rate.elements.key_size = 4;
  rate.elements.keys = {1, 2, 3, 4, 5, 6, 7, 8};
  ruleset::Set named;
  named.name = ruleset::own::family(ruleset::own::named_addresses("lb"), true);
  table.sets = {rate, named};
  auto fills = set_fills(table, {}, {});
  REQUIRE(fills.size() == 1);  // what only the policy fills is of no interest
  CHECK((fills[0].elements == 2 && fills[0].size == 10 && fills[0].rule == "web.inbound.app"));
  CHECK(set_fills(table, {{rate.name, 1, 7}}, {})[0].elements == 7);
  CHECK_FALSE(set_fills(table, {}, {{rate.name, std::nullopt}})[0].elements.has_value());
}

TEST_CASE("what is not known of addresses is not taken for nobody's") {
  ruleset::Snapshot made = snapshot();
  made.written[4].keys = {{"addresses", {"300 prefixes (1234)"}}};
  const WrittenPolicy policy(made, {});
  CHECK_FALSE(policy.rule("web.inbound.app")->from.has_value());
  CHECK(policy.rule("web.inbound.rest")->from->is_all());
}

TEST_CASE("repeats are counted, each kind by itself, and given once") {
  LogFold fold(std::chrono::seconds(5));
  const auto begin = LogFold::Clock::now();
  const Bytes one = tcp_syn(1, 443);
  const Bytes other = tcp_syn(2, 443);
  CHECK(fold.is_new(line_of(one), begin));
  CHECK_FALSE(fold.is_new(line_of(one), begin));
  CHECK(fold.is_new(line_of(other), begin));
  CHECK_FALSE(fold.is_new(line_of(one), begin));
  CHECK(fold.is_new(line_of(one, "rolewall web.inbound.app excess: "), begin));
  std::uint64_t times = 0;
  const auto count = [&](const LogFold::Repeated& each) { times += each.times; };
  fold.finish(begin + std::chrono::seconds(4), false, count);
  CHECK(times == 0);
  fold.finish(begin + std::chrono::seconds(5), false, count);
  CHECK(times == 2);
  CHECK(fold.is_new(line_of(one), begin));
  LogFold none(std::chrono::seconds(0));
  CHECK(none.is_new(line_of(one), begin));
  CHECK(none.is_new(line_of(one), begin));
}

TEST_CASE("a rule's count, its excess and a step's are told apart") {
  using ruleset::Chain;
  using ruleset::Counter;
  using ruleset::ImmediateVerdict;
  using ruleset::VerdictCode;
  const auto rule = [](const char* comment, std::vector<ruleset::Expr> exprs) {
    ruleset::Rule made;
    made.comment = comment;
    for (ruleset::Expr& expr : exprs) made.exprs.push_back(std::move(expr));
    return made;
  };
  ruleset::Table table;
  Chain input{.name = "input",
              .base = ruleset::BaseChain{.policy = VerdictCode::Drop, .devices = {}},
              .rules = {}};
  input.rules = {rule("(default)", {Counter{3, 30}}),
                 rule("(default)", {ImmediateVerdict{{VerdictCode::Drop, "", 0}}})};
  Chain own{.name = "web.inbound.app", .base = std::nullopt, .rules = {}};
  own.rules = {rule("web.inbound.app", {Counter{9, 90}}),
               rule("web.inbound.app", {ImmediateVerdict{{VerdictCode::Accept, "", 0}}})};
  Chain excess{
      .name = ruleset::own::excess_chain("web.inbound.app"), .base = std::nullopt, .rules = {}};
  excess.rules = {rule("web.inbound.app", {Counter{2, 20}}),
                  rule("web.inbound.app", {ImmediateVerdict{{VerdictCode::Drop, "", 0}}})};
  table.chains = {input, own, excess};
  const auto counts = count_rules(table);
  REQUIRE(counts.size() == 3);
  CHECK((counts[0].fate == Fate::Dropped && counts[0].packets == 3));
  CHECK((counts[1].fate == Fate::Accepted && !counts[1].is_excess && counts[1].packets == 9));
  CHECK((counts[2].fate == Fate::Dropped && counts[2].is_excess && counts[2].packets == 2));
  table.chains[0].base->policy = VerdictCode::Accept;
  table.chains[0].rules[1] = rule("(default)", {ImmediateVerdict{{VerdictCode::Accept, "", 0}}});
  CHECK(count_rules(table)[0].fate == Fate::Audited);
}

}  // namespace
}  // namespace rolewall::observe
