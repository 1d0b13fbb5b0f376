#include <doctest/doctest.h>

#include "memory_site.h"

namespace rolewall::policy {
namespace {

const MemorySite& site() {
  static const MemorySite the_site = make_site({});
  return the_site;
}

PacketWords parse(std::string_view text, bool in_role = false) {
  Diagnostics diagnostics;
  auto words = parse_packet(site().policy, text, {}, in_role, diagnostics);
  for (const Diagnostic& each : diagnostics.all()) MESSAGE(each.message);
  REQUIRE_MESSAGE(words, text);
  CHECK(diagnostics.all().empty());
  return std::move(*words);
}

// "code@column" of the first finding.
std::string refuse(std::string_view text, bool in_role = false) {
  Diagnostics diagnostics;
  CHECK(!parse_packet(site().policy, text, {kNoFile, 1, 1}, in_role, diagnostics));
  REQUIRE(!diagnostics.all().empty());
  diagnostics.sort();
  return fmt::format("{}@{}", diagnostics.all()[0].code, diagnostics.all()[0].span.column);
}

const Term& only_term(const End& end) {
  REQUIRE(end.selectors.items.size() == 1);
  return end.selectors.items[0].term;
}

}  // namespace

TEST_CASE("a service, two ends") {
  const PacketWords words = parse("https internet > web-01");
  CHECK(words.service.names == std::vector<std::string>{"https"});
  REQUIRE(words.service.literals.size() == 1);
  CHECK(words.service.literals[0].destination.first == 443);
  CHECK(only_term(words.from).kind == TermKind::Internet);
  CHECK(only_term(words.to).kind == TermKind::Host);
  CHECK(!words.from.port);
  CHECK(!words.in);
  CHECK(!words.state);
}

TEST_CASE("ports after addresses, of both families and after names") {
  const PacketWords v4 = parse("tcp 192.0.2.7:40000 > web-01:443 flags=syn in=eth0");
  CHECK(v4.from.port == 40000);
  CHECK(v4.to.port == 443);
  CHECK(v4.tcp_flags == 2);
  CHECK(v4.in->text == "eth0");
  const PacketWords v6 = parse("udp [2001:db8::7]:40000 > [fd00::1]:53");
  CHECK(v6.from.port == 40000);
  CHECK(only_term(v6.to).text == "fd00::1");
  CHECK(v6.to.port == 53);
  const PacketWords named = parse("tcp host:web-01:1 > role:web:2");
  CHECK(only_term(named.from).kind == TermKind::Host);
  CHECK(named.from.port == 1);
  CHECK(only_term(named.to).kind == TermKind::Role);
  CHECK(named.to.port == 2);
  const PacketWords bare = parse("ping fe80::1 > ff02::12");
  CHECK(only_term(bare.from).text == "fe80::1");
  CHECK(!bare.from.port);
  CHECK(parse("ping !office > 10.0.0.0/8").from.selectors.items[0].negated);
  CHECK(only_term(parse("ping fd00::/16 > web").from).prefix.length == 16);
}

TEST_CASE("services with a source port, and other literals") {
  const PacketWords words = parse("udp/68 from 67 any > web-01");
  CHECK(words.service.literals[0].source.first == 67);
  CHECK(parse("protocol/112 any > web").service.literals[0].protocol == 112);
  CHECK(parse("tcp/8443 any > web").service.literals[0].ports_given);
  CHECK(parse("ping any > web").service.literals.size() == 2);
}

TEST_CASE("options") {
  const PacketWords words = parse(
      "tcp web:443 > self:40000 in=private out=public at=web-02 state=established "
      "flags=syn,ack family=6 user=33 length=1500 ttl=1",
      true);
  CHECK(words.in->text == "private");
  CHECK(words.out->text == "public");
  CHECK(words.at == 1);
  CHECK(words.state == FlowState::Established);
  CHECK(words.tcp_flags == 18);
  CHECK(words.family == 6);
  CHECK(words.user == 33);
  CHECK(words.length == 1500);
  CHECK(words.ttl == 1);
  CHECK(parse("https any > web flags=none").tcp_flags == 0);
  CHECK(parse("https any > web dscp=ef").dscp == 46);
  CHECK(parse("https any > web dscp=63").dscp == 63);
  CHECK(parse("https any > web df=1").dont_fragment == true);
  CHECK(parse("https any > web df=0 family=4").dont_fragment == false);
  CHECK(parse("https any > web frag=first").fragment->more_follow);
  CHECK(parse("https any > web frag=later").fragment->offset == 1480);
  CHECK(parse("https any > web frag=8").fragment->offset == 8);
  CHECK(parse("https any > web time=2026-12-24T08:30").time_ns == 1'798'101'000'000'000'000U);
  CHECK(parse("https any > web user=root").user == 0);
  CHECK(parse("https any > 224.0.0.1 at=self", true).at_self);
}

TEST_CASE("what is wrong is at the word that is wrong") {
  CHECK(refuse("htps internet > web") == "unknown-service@1");
  CHECK(refuse("https interet > web") == "unknown-name@7");
  CHECK(refuse("https internet > !web-03") == "unknown-name@19");
  CHECK(refuse("tcp/80 from x any > web") == "bad-service@13");
  CHECK(refuse("tcp any:a > web:80") == "bad-packet@9");
  CHECK(refuse("https any > web ttl=300") == "bad-packet@21");
  CHECK(refuse("https any > web dscp=64") == "bad-packet@22");
  CHECK(refuse("https any > web dscp=af99") == "bad-packet@22");
  CHECK(refuse("https any > web df=yes") == "bad-packet@20");
  CHECK(refuse("https any > web df=1 family=6") == "bad-packet@20");
  CHECK(refuse("https any > web frag=9") == "bad-packet@22");
  CHECK(refuse("https any > web frag=0") == "bad-packet@22");
  CHECK(refuse("https any > web frag=65536") == "bad-packet@22");
  CHECK(refuse("https any > web time=08:30") == "bad-packet@22");
  CHECK(refuse("https any > web time=2026-02-30T08:30") == "bad-packet@22");
  CHECK(refuse("  https any > self") == "self-not-here@15");
  CHECK(refuse("https any > web at=self") == "self-not-here@20");
  CHECK(refuse("https any > web", true) == "no-self@1");
  CHECK(refuse("tcp any > web") == "port-needed@1");
  CHECK(refuse("") == "bad-packet@1");
  CHECK(refuse(">") == "bad-packet@1");
  CHECK(refuse("> > >") == "bad-packet@1");
  CHECK(refuse("https any > web > web") == "bad-packet@17");
  CHECK(refuse("tcp [::1]:80 > []:80") == "bad-packet@16");
  CHECK(refuse("https any > 10.0.0.1/8") == "host-bits-set@13");
  CHECK(refuse(std::string(5000, 'a')) == "bad-packet@1");
}

}  // namespace rolewall::policy
