// Which packets words have the kernel mark: the table, asked by the evaluator.
#include "ask/trace_table.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "eval/build.h"
#include "eval/eval.h"
#include "ruleset/table_flags.h"
#include "site_text.h"

namespace rolewall::ask {
namespace {

struct Marks {
  policy::Policy policy = test::load_site(test::small_site());

  std::optional<ruleset::Table> table(const std::string& text) {
    Diagnostics diagnostics;
    const bool self = text.find("self") != std::string::npos;
    return trace_table(policy, test::host(policy, "web-01"), test::words(policy, text, self), "t",
                       {}, diagnostics);
  }
  bool has_chain(const std::string& text, std::string_view chain) {
    const auto made = table(text);
    return made && find_chain(*made, chain) != nullptr;
  }
  // Whether the packet comes to the marking rule.
  bool marks(const std::string& text, const eval::PacketFields& fields, bool arrives = true) {
    const auto made = table(text);
    if (!made) return false;
    const ruleset::Ruleset ruleset{{*made}};
    ruleset::Host host;
    host.name = "web-01";
    host.addresses = {*net::parse_prefix("10.0.2.10/32")};
    host.interfaces = {{.name = "eth0", .device = "eth0", .behind = {}}};
    eval::Evaluator evaluator(ruleset, host);
    eval::Packet packet = eval::build(fields);
    (arrives ? packet.in_device : packet.out_device) = "eth0";
    const eval::Journey way = arrives ? evaluator.arrive(packet) : evaluator.send(packet);
    return std::ranges::any_of(way.hooks, [&](const eval::HookResult& hook) {
      return std::ranges::any_of(hook.steps, [&](const eval::Step& step) {
        return made->chains[step.chain].name == trace_chain::kMark && step.matched;
      });
    });
  }
};

eval::PacketFields between(const char* from, const char* to, std::uint16_t port) {
  eval::PacketFields fields;
  fields.source = *net::parse_address(from);
  fields.destination = *net::parse_address(to);
  fields.destination_port = port;
  return fields;
}

TEST_CASE_FIXTURE(Marks, "its owner alone may change it, and it ends with a mark") {
  const auto made = table("https any > self");
  REQUIRE(made);
  CHECK(made->flags == ruleset::kTableOwner);
  REQUIRE(find_chain(*made, trace_chain::kMark) != nullptr);
  CHECK(find_chain(*made, trace_chain::kMark)->rules.size() == 1);
}

TEST_CASE_FIXTURE(Marks, "where they are marked follows from the ends") {
  CHECK(has_chain("https 192.0.2.7 > self", trace_chain::kArriving));
  CHECK_FALSE(has_chain("https 192.0.2.7 > self", trace_chain::kSent));
  CHECK(has_chain("https self > 192.0.2.7", trace_chain::kSent));
  CHECK_FALSE(has_chain("https self > 192.0.2.7", trace_chain::kArriving));
  // What passes through.
  CHECK(has_chain("https 192.0.2.7 > 198.51.100.7", trace_chain::kArriving));
}

TEST_CASE_FIXTURE(Marks, "every word is a condition") {
  const auto asked = between("192.0.2.7", "10.0.2.10", 443);
  CHECK(marks("https 192.0.2.7 > self", asked));
  CHECK(marks("https 192.0.2.0/24 > self flags=syn", asked));
  // Several addresses: a set.
  CHECK(marks("https web > 192.0.2.7", between("10.0.2.10", "192.0.2.7", 443), false));
  CHECK(marks("https !10.0.0.0/8 > self", asked));
  CHECK_FALSE(marks("https 192.0.2.8 > self", asked));
  CHECK_FALSE(marks("tcp/80 192.0.2.7 > self", asked));
  CHECK_FALSE(marks("https 192.0.2.7 > self flags=ack", asked));
  CHECK_FALSE(marks("https 192.0.2.7 > self ttl=9", asked));
  CHECK_FALSE(marks("https 192.0.2.7 > self family=6", asked));
  CHECK_FALSE(marks("udp/443 192.0.2.7 > self", asked));
  CHECK(marks("https self > 192.0.2.7", between("10.0.2.10", "192.0.2.7", 443), false));
  CHECK_FALSE(marks("https self > 192.0.2.7", between("10.0.2.11", "192.0.2.7", 443), false));
}

TEST_CASE_FIXTURE(Marks,
                  "another family's or protocol's packet is not marked by what lies in its place") {
  // The bytes of an IPv6 source where IPv4 has its own: 2001:db8:: at 8, so that 12 is 0.
  auto ipv6 = between("2001:db8:c000:207::7", "2001:db8::10", 443);
  CHECK_FALSE(marks("https 192.0.2.7 > self family=4", ipv6));
  auto udp = between("192.0.2.7", "10.0.2.10", 443);
  udp.protocol = 17;
  CHECK_FALSE(marks("https 192.0.2.7 > self", udp));
}

TEST_CASE_FIXTURE(Marks, "what a packet does not show there is refused") {
  CHECK_FALSE(table("https any > self state=new"));
  CHECK_FALSE(table("https any > self at=self"));
  CHECK_FALSE(table("https any > self frag=8"));
}

}  // namespace
}  // namespace rolewall::ask
