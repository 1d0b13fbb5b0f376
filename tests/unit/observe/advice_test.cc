#include "observe/advice.h"

#include <doctest/doctest.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include <cstdint>
#include <string>
#include <vector>

#include "netlink/attributes.h"

namespace rolewall::observe {
namespace {

using AdvisedBytes = std::vector<std::uint8_t>;

// From 192.0.2.`source` port 40000 to 10.0.2.10.
AdvisedBytes advised_syn(std::uint8_t source, std::uint16_t port) {
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
          source,
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

ruleset::Snapshot advised_record() {
  ruleset::Snapshot made;
  made.host.name = "web-01";
  made.written = {
      {"rule", "web.inbound.app", "web.toml", 6, {{"service", {"https"}}, {"from", {"lb"}}}},
      {"rule", "web.inbound.docs", "web.toml", 7, {{"service", {"tcp/81"}}, {"from", {"doc"}}}},
      {"rule", "web.inbound.rest", "web.toml", 9, {{"service", {"tcp/8000-8010"}}}},
      {"rule", "web.inbound.in", "web.toml", 12, {{"service", {"ssh"}}, {"in", {"private"}}}},
      {"rule",
       "web.inbound.but",
       "web.toml",
       15,
       {{"service", {"tcp/82"}}, {"from", {"any", "!doc"}}}},
      {"rule",
       "web.inbound.both",
       "web.toml",
       18,
       {{"service", {"tcp/83"}}, {"from", {"lb"}}, {"to", {"10.0.2.11"}}, {"in", {"private"}}}},
      {"rule",
       "web.inbound.net",
       "web.toml",
       21,
       {{"service", {"tcp/84"}}, {"from", {"internet"}}}},
      {"rule", "web.inbound.narrow", "web.toml", 24, {{"service", {"tcp/85 from 5000"}}}},
      {"rule",
       "web.inbound.no",
       "web.toml",
       27,
       {{"service", {"tcp/86"}}, {"from", {"192.0.2.9"}}, {"action", {"drop"}}}},
      {"rule",
       "web.inbound.nor",
       "web.toml",
       30,
       {{"service", {"tcp/87"}}, {"from", {"doc"}}, {"action", {"reject"}}}},
      {"rule", "web.inbound.yes", "web.toml", 33, {{"service", {"tcp/87"}}}},
      {"defaults", "[defaults]", "site.toml", 3, {{"log to", {"5"}}}},
      {"role", "lb", "site.toml", 0, {{"addresses", {"192.0.2.0/30"}}}},
      {"network", "doc", "site.toml", 0, {{"addresses", {"192.0.2.0/24"}}}},
      {"derived", "internet", "site.toml", 0, {{"left out", {"192.0.2.0/24"}}}},
      {"service", "https", "services.toml", 1, {{"service", {"tcp/443"}}}},
      {"service", "ssh", "services.toml", 1, {{"service", {"tcp/22"}}}},
  };
  return made;
}

LogLine advised_line(const AdvisedBytes& packet, std::string_view prefix, std::uint8_t hook = 1) {
  return {.prefix = prefix, .hook = hook, .user = std::nullopt, .packet = packet};
}

std::string advice_on(const LogLine& line, const ruleset::Snapshot& record = advised_record()) {
  const WrittenPolicy policy(record, {{"db-01", {*net::parse_prefix("192.0.2.9")}},
                                      {"web-01", {*net::parse_prefix("10.0.2.10")}}});
  std::string all;
  for (const std::string& each : admission_advice(*log_event(line), policy)) all += each + "\n";
  return all;
}

std::string by_default(std::uint8_t source, std::uint16_t port) {
  const AdvisedBytes packet = advised_syn(source, port);
  return advice_on(advised_line(packet, "rolewall (default) inbound drop: "));
}

bool has(const std::string& text, std::string_view part) {
  if (text.find(part) != std::string::npos) return true;
  MESSAGE(text);
  return false;
}

TEST_CASE("a rule of its own comes first, then what a rule for the service lacks") {
  const std::string told = by_default(9, 443);
  CHECK(has(told,
            "a rule: [[inbound]] service = \"https\", from = \"192.0.2.9\" (\"db-01\" has it)\n"
            "or web.inbound.app (web.toml:6) admits https from lb to any: add \"192.0.2.9\" "
            "(\"db-01\" has it) to its `from`\n"));
  CHECK(has(by_default(9, 25), "a rule: [[inbound]] id = \"tcp-25\", service = \"tcp/25\""));
  CHECK(has(by_default(9, 8005),
            "web.inbound.rest (web.toml:9) admits tcp/8000-8010 from any to any, "
            "so it seems to admit it"));
  CHECK(has(by_default(9, 22),
            "web.inbound.in (web.toml:12) admits ssh from any to any; it asks for "
            "in, too"));
}

TEST_CASE("addresses can be added to a network of the site, and to no other name") {
  const AdvisedBytes packet = {0x45, 0,  0,   40, 0,  1, 0, 0,  64, 6, 0, 0,
                               198,  51, 100, 1,  10, 0, 2, 10, 0,  1, 0, 81};
  CHECK(
      has(advice_on(advised_line(packet, "rolewall (default) inbound drop: ")),
          "add \"198.51.100.1\" to its `from` (or to the network `doc` in site.toml, for all rules "
          "that name it)"));
  CHECK_FALSE(by_default(9, 443).find("network") != std::string::npos);
  const std::string told = by_default(9, 84);
  CHECK(has(told, "web.inbound.net (web.toml:21) admits tcp/84 from internet to any: add "));
  CHECK(told.find("site.toml") == std::string::npos);
}

TEST_CASE("what a list leaves out is not admitted by adding it") {
  CHECK(has(by_default(9, 82), "its `from` leaves 192.0.2.9 out by \"!doc\": change that"));
}

TEST_CASE("all that a rule lacks is said") {
  CHECK(has(by_default(9, 83),
            ": add \"192.0.2.9\" (\"db-01\" has it) to its `from`, and add "
            "\"10.0.2.10\" (\"web-01\" has it) to its `to`; it asks for in, too"));
  CHECK(by_default(9, 85).find("narrow") == std::string::npos);  // another source port
}

TEST_CASE("without a rule that denies, those below it decide") {
  const AdvisedBytes packet = advised_syn(9, 86);
  const std::string alone = advice_on(advised_line(packet, "rolewall web.inbound.no drop: "));
  CHECK(has(alone, "web.inbound.no (web.toml:27) denies it: take the rule out\nand then a rule: "));
  CHECK(alone.find("\"!") == std::string::npos);  // the list would stand for nobody
  const AdvisedBytes other = advised_syn(9, 87);
  CHECK(
      has(advice_on(advised_line(other, "rolewall web.inbound.nor reject: ")),
          "denies it: leave 192.0.2.9 out of it with \"!192.0.2.9\" in its `from`, or take it out\n"
          "then web.inbound.yes (web.toml:33) decides: accept\n"));
}

TEST_CASE("of what is passed on, either end may be banned") {
  const AdvisedBytes packet = advised_syn(9, 80);
  CHECK(has(advice_on(advised_line(packet, "rolewall (banned) drop: ")),
            "`rolewall unban 192.0.2.9`"));
  CHECK(has(advice_on(advised_line(packet, "rolewall (banned) drop: ", 3)),
            "`rolewall unban 10.0.2.10`"));
  CHECK(has(advice_on(advised_line(packet, "rolewall (banned) drop: ", 2)),
            "192.0.2.9 or 10.0.2.10 is banned"));
}

TEST_CASE("no rule is made of a packet whose service is not known") {
  AdvisedBytes later = advised_syn(9, 443);
  later[7] = 5;
  const std::string told = advice_on(advised_line(later, "rolewall (default) inbound drop: "));
  CHECK(has(told, "which service it is for is not among the bytes"));
  CHECK(told.find("[[") == std::string::npos);
}

TEST_CASE("the middle of a connection asks for nothing") {
  AdvisedBytes middle = advised_syn(9, 443);
  middle[33] = 0x10;  // ACK
  const std::string told = advice_on(advised_line(middle, "rolewall (default) inbound drop: "));
  CHECK(has(told, "of the middle of a connection"));
  CHECK(told.find("[[") == std::string::npos);
}

// As nfnetlink_log tells an entry: who opened it, and where to.
AdvisedBytes opened(std::uint8_t source, std::uint8_t last_of_destination, std::uint16_t port) {
  AdvisedBytes bytes;
  netlink::Writer writer(bytes);
  const std::size_t tuple = writer.begin_nest(CTA_TUPLE_ORIG);
  const std::size_t ip = writer.begin_nest(CTA_TUPLE_IP);
  writer.put(CTA_IP_V4_SRC, AdvisedBytes{192, 0, 2, source});
  writer.put(CTA_IP_V4_DST, AdvisedBytes{10, 0, 9, last_of_destination});
  writer.end_nest(ip);
  const std::size_t transport = writer.begin_nest(CTA_TUPLE_PROTO);
  writer.u8(CTA_PROTO_NUM, 6);
  writer.be16(CTA_PROTO_SRC_PORT, 40000);
  writer.be16(CTA_PROTO_DST_PORT, port);
  writer.end_nest(transport);
  writer.end_nest(tuple);
  return bytes;
}

TEST_CASE("where another program has translated, a rule names what the client wrote") {
  const AdvisedBytes packet = advised_syn(9, 80);
  const AdvisedBytes entry = opened(9, 1, 8080);
  LogLine line = advised_line(packet, "rolewall (default) forward drop: ", 2);
  line.connection = entry;
  line.connection_info = IP_CT_NEW;
  CHECK(has(
      advice_on(line),
      "[[forward]] id = \"tcp-8080\", service = \"tcp/8080\", from = \"192.0.2.9\" (\"db-01\" has "
      "it), to = \"10.0.9.1\"\n(its client sent it to 10.0.9.1 port 8080"));
  // An answer's destination is translated back: that says nothing.
  line.connection_info = IP_CT_IS_REPLY;
  CHECK(has(advice_on(line), "[[forward]] id = \"tcp-80\", service = \"tcp/80\""));
  // A host that passes nothing on matches the packet as it is.
  line.connection_info = IP_CT_NEW;
  line.hook = 1;
  const std::string inbound = advice_on(line);
  CHECK(has(inbound, "[[inbound]] id = \"tcp-80\", service = \"tcp/80\""));
  CHECK(has(inbound,
            "(its client sent it to 10.0.9.1 port 8080, and another program has translated that)"));
}

}  // namespace
}  // namespace rolewall::observe
