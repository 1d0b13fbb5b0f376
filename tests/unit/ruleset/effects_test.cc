// What every expression does, by the kernel's own init functions (net/netfilter/nft_*.c of 6.12).
#include "ruleset/effects.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <vector>

#include "ruleset/expr.h"
#include "ruleset/expr_name.h"
#include "unit/print/every_kind.h"

namespace rolewall::ruleset {
namespace {

std::string words(Ending ending) {
  switch (ending) {
    case Ending::None:
      return "";
    case Ending::Verdict:
      return " verdict";
    case Ending::SetVerdict:
      return " set-verdict";
    case Ending::Drop:
      return " drop";
    case Ending::Accept:
      return " accept";
    case Ending::OtherDevice:
      return " other-device";
    case Ending::Unknown:
      return " unknown-end";
  }
  return "";
}

std::string words(Memory memory) {
  switch (memory) {
    case Memory::Nothing:
      return "";
    case Memory::Count:
      return " counts";
    case Memory::Tokens:
      return " tokens";
    case Memory::Bytes:
      return " bytes";
    case Memory::Connections:
      return " connections";
    case Memory::Number:
      return " number";
    case Memory::Elements:
      return " elements";
    case Memory::Flow:
      return " flow";
    case Memory::Unknown:
      return " remembers?";
  }
  return "";
}

// "tracks 4 6", "reassembles 4", "tracks? 4".
std::string words(const TrackingUse& use) {
  const auto one = [](ConntrackUse ipv4, ConntrackUse ipv6, const std::string& what) {
    std::string text;
    for (const ConntrackUse how : {ConntrackUse::On, ConntrackUse::Unknown}) {
      if (ipv4 != how && ipv6 != how) continue;
      text += " " + what + (how == ConntrackUse::Unknown ? "?" : "");
      if (ipv4 == how) text += " 4";
      if (ipv6 == how) text += " 6";
    }
    return text;
  };
  if (use.ipv4 == use.reassembly_ipv4 && use.ipv6 == use.reassembly_ipv6) {
    return one(use.ipv4, use.ipv6, "tracks");
  }
  return one(use.ipv4, use.ipv6, "tracks") +
         one(use.reassembly_ipv4, use.reassembly_ipv6, "reassembles");
}

std::string words(const Effects& effects) {
  std::string text;
  for (const auto& [first, bytes] : effects.reads) text += fmt::format(" r{}:{}", first, bytes);
  if (effects.writes) {
    text += fmt::format(" w{}:{}", effects.writes->first, effects.writes->bytes);
  }
  if (effects.may_break) text += " breaks";
  text += words(effects.ending);
  if (effects.ending != Ending::None && effects.may_go_on) text += "-or-on";
  text += words(effects.memory);
  if (effects.writes_packet) text += " packet";
  if (effects.translates) text += *effects.translates == NatKind::Source ? " snat" : " dnat";
  if (effects.untracks) text += " untracks";
  text += words(effects.tracking);
  if (effects.set != nullptr) text += " set=" + *effects.set;
  if (effects.chain != nullptr) text += " chain=" + *effects.chain;
  if (effects.object != nullptr) text += fmt::format(" object={}", effects.object->type);
  return text.empty() ? text : text.substr(1);
}

Table in_family(Family family) {
  Table table;
  table.family = family;
  return table;
}
std::string words(const Expr& expr, Family family = Family::Inet) {
  const Table table = in_family(family);
  return words(effects_of(expr, TableIndex(table)));
}

TEST_CASE("every expression") {
  const std::vector<std::string> expected = {
      "payload: w8:4 breaks",
      "meta: w0:16",
      "ct: w1:4 tracks 4 6",
      "ct: w2:8 breaks tracks 4 6",
      "immediate: w1:4",
      "bitwise: r1:4 w1:4",
      "bitwise: r1:4 w2:4",
      "byteorder: r1:4 w1:4",
      "cmp: r1:2 breaks",
      "range: r1:2 breaks",
      "lookup: r8:4 breaks set=abusers",
      "lookup: r1:2 w3:4 breaks set=marks",
      "lookup: r1:8 breaks set-verdict-or-on set=inbound/tcp",
      "counter: counts",
      "limit: breaks tokens",
      "connlimit: breaks connections tracks 4 6",
      "quota: breaks bytes",
      "last: counts",
      "dynset: r8:16 breaks elements tracks 4 6 set=meter",
      "dynset: r8:2 r1:4 breaks elements set=marks",
      "meta: r1:4",
      "ct: r1:4 flow tracks 4 6",
      "log: ",
      "notrack: untracks",
      "exthdr: w4:1",
      "fib: w4:16 breaks",
      "rt: w8:16 breaks",
      "socket: w8:8 breaks",
      "osf: w4:16 breaks",
      "numgen: w1:4",
      "hash: r4:8 w1:4",
      "hash: r4:8 w1:4",
      "hash: w1:4",
      "tunnel: w1:4 breaks",
      "xfrm: w8:16 breaks",
      "bitwise: r1:4 r2:4 w3:4",
      "payload: r1:2 breaks packet",
      "exthdr: r1:2 breaks packet",
      "exthdr: breaks packet",
      "nat: r4:16 r8:16 r1:2 r2:2 accept flow packet dnat tracks 6",
      "masq: r1:2 r2:2 accept flow packet snat tracks 4 6",
      "redir: r1:2 accept flow packet dnat tracks 4 6",
      "tproxy: r4:16 r1:2 breaks reassembles 6",
      "synproxy: breaks drop-or-on flow tracks 4 6",
      "dup: r4:4 r1:4",
      "fwd: r1:4 r4:16 breaks other-device",
      "objref: counts object=1",
      "objref: r4:6 breaks counts set=named",
      "match: breaks",
      "target: accept flow packet snat tracks 4 6",
      "inner: breaks unknown-end-or-on remembers? packet",
      "reject: drop",
      "immediate: verdict",
  };
  const Snapshot snapshot = print::every_kind();
  const Table& table = snapshot.ruleset.tables[0];
  const TableIndex names(table);
  std::vector<std::string> found;
  std::vector<bool> seen(std::variant_size_v<ExprVariant>);
  for (const Rule& rule : find_chain(table, "input")->rules) {
    for (const Expr& expr : rule.exprs) {
      found.push_back(fmt::format("{}: {}", expr_name(expr), words(effects_of(expr, names))));
      seen[expr.index()] = true;
    }
  }
  REQUIRE_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) CHECK_EQ(found[i], expected[i]);
  for (std::size_t i = 0; i < seen.size(); ++i) CHECK_MESSAGE(seen[i], "alternative ", i);
  // The unread set, and the objects of connections, helpers and SYN proxies.
  CHECK_EQ(words(tracking_of(names)), " tracks 4 6");
}

TEST_CASE("how wide a load is, where its key says") {
  CHECK_EQ(words(Fib{FibResult::Oif, fib_flag::kSource, 2}), "w2:4 breaks");
  CHECK_EQ(words(Fib{FibResult::Oif, fib_flag::kSource | fib_flag::kPresent, 2}), "w2:1 breaks");
  CHECK_EQ(words(Fib{FibResult::OifName, fib_flag::kSource, 2}), "w2:16 breaks");
  CHECK_EQ(words(Fib{FibResult::AddressType, fib_flag::kSource, 2}), "w2:4 breaks");
  CHECK_EQ(words(Rt{RtKey::ClassId, 2}), "w2:4 breaks");
  CHECK_EQ(words(Rt{RtKey::NextHop4, 2}), "w2:4 breaks");
  CHECK_EQ(words(Rt{RtKey::TcpMss, 2}), "w2:2 breaks");
  CHECK_EQ(words(Rt{RtKey::Xfrm, 2}), "w2:1 breaks");
  CHECK_EQ(words(Socket{SocketKey::Transparent, 0, 2}), "w2:1 breaks");
  CHECK_EQ(words(Socket{SocketKey::Mark, 0, 2}), "w2:4 breaks");
  CHECK_EQ(words(Tunnel{TunnelKey::Path, TunnelMode::Any, 2}), "w2:1");
  CHECK_EQ(words(Xfrm{XfrmKey::Spi, XfrmDirection::In, 0, 2}), "w2:4 breaks");
  CHECK_EQ(words(Exthdr{ExthdrKind::TcpOption, 2, 2, 2, false, 2}), "w2:2 breaks");
  CHECK_EQ(words(Ct{CtKey::Source, CtDirection::Original, 2}, Family::Ip), "w2:4 breaks tracks 4");
  CHECK_EQ(words(Ct{CtKey::Source, CtDirection::Original, 2}, Family::Ip6),
           "w2:16 breaks tracks 6");
  CHECK_EQ(words(CtSet{CtKey::Zone, {}, 2}), "r2:2 flow tracks 4 6");
  CHECK_EQ(words(CtSet{CtKey::Labels, {}, 2}), "r2:16 flow tracks 4 6");
  CHECK_EQ(words(MetaSet{MetaKey::NfTrace, 2}), "r2:1");
}

TEST_CASE("an address is as wide as its family says") {
  const auto nat = [](std::uint8_t family, Family table) {
    return words(Nat{NatKind::Source, family, Register{0}, {}, Register{8}, {}, 0}, table);
  };
  CHECK_EQ(nat(2, Family::Inet), "r0:4 r8:2 accept flow packet snat tracks 4");
  CHECK_EQ(nat(10, Family::Inet), "r0:16 r8:2 accept flow packet snat tracks 6");
  CHECK_EQ(nat(2, Family::Ip), "r0:4 r8:2 accept flow packet snat tracks 4");
  CHECK_EQ(words(Nat{NatKind::Source, 1, {}, {}, Register{8}, {}, 0}),
           "r8:2 accept flow packet snat tracks 4 6");
  CHECK_EQ(words(Tproxy{2, Register{0}, Register{8}}), "r0:4 r8:2 breaks reassembles 4");
  CHECK_EQ(words(Tproxy{10, Register{0}, {}}), "r0:16 breaks reassembles 6");
  CHECK_EQ(words(Tproxy{0, {}, Register{8}}), "r8:2 breaks reassembles 4 6");
  CHECK_EQ(words(Dup{Register{0}, {}}, Family::Ip), "r0:4");
  CHECK_EQ(words(Dup{Register{0}, Register{8}}, Family::Ip6), "r0:16 r8:4");
  CHECK_EQ(words(Dup{{}, Register{8}}, Family::Netdev), "r8:4");
  CHECK_EQ(words(Fwd{8, {}, 0}, Family::Netdev), "r8:4 other-device");
  CHECK_EQ(words(Fwd{8, Register{0}, 2}, Family::Netdev), "r8:4 r0:4 breaks other-device");
}

TEST_CASE("verdicts, numbers, and named objects") {
  CHECK_EQ(words(ImmediateVerdict{{VerdictCode::Jump, "c", 0}}), "verdict chain=c");
  CHECK_EQ(words(ImmediateVerdict{{VerdictCode::Continue, "", 0}}), "");
  CHECK_EQ(words(ImmediateVerdict{{VerdictCode::Break, "", 0}}), "breaks");
  CHECK_EQ(words(Numgen{NumgenKind::Incremental, 4, 0, 2}), "w2:4 number");
  CHECK_EQ(words(ObjectRef{object_type::kLimit, "x"}), "breaks tokens object=4");
  CHECK_EQ(words(ObjectRef{object_type::kSynproxy, "x"}), "breaks drop-or-on flow object=10");
  CHECK_EQ(words(ObjectRef{object_type::kSecmark, "x"}), "object=8");
  CHECK_EQ(words(ObjectRef{99, "x"}), "breaks unknown-end-or-on remembers? object=99");
  // Of a set that is not there nothing is known.
  CHECK_EQ(words(Lookup{"none", 0, LookupResult::Data, 0, false}), "breaks set=none");
}

// Silently stateless would be wrong: what is not known may switch tracking on.
TEST_CASE("tracking by what is not modelled") {
  const auto tracking = [](std::string name, Family family = Family::Inet) {
    const Table table = in_family(family);
    return words(
        effects_of(Unsupported{std::move(name), "attribute 9 is unknown"}, TableIndex(table))
            .tracking);
  };
  for (const char* on : {"ct", "connlimit", "nat", "masq", "redir", "synproxy", "flow_offload"}) {
    CHECK_EQ(tracking(on), " tracks 4 6");
  }
  for (const char* off : {"meta", "payload", "exthdr", "queue", "inner", "log", "notrack", "dup"}) {
    CHECK_EQ(tracking(off), "");
  }
  for (const char* unknown :
       {"match", "target", "rule", "objref", "dynset", "tproxy", "of-a-later-kernel", ""}) {
    CHECK_EQ(tracking(unknown), " tracks? 4 6");
  }
  CHECK_EQ(tracking("match", Family::Ip), " tracks? 4");
  CHECK_EQ(tracking("ct", Family::Bridge), " tracks 4 6");
  CHECK_EQ(tracking("match", Family::Netdev), "");  // conntrack has no hooks there
}

TEST_CASE("tracking by objects and sets, whether a packet comes to them or not") {
  const auto by_object = [](std::uint32_t type) {
    Table table = in_family(Family::Ip);
    table.objects = {{"x", 0, type, Unsupported{"object", "attribute 9 is unknown"}, ""}};
    return words(tracking_of(TableIndex(table)));
  };
  CHECK_EQ(by_object(object_type::kCounter), "");
  CHECK_EQ(by_object(6), "");  // a tunnel
  CHECK_EQ(by_object(object_type::kCtHelper), " tracks 4");
  CHECK_EQ(by_object(object_type::kConnlimit), " tracks 4");
  CHECK_EQ(by_object(99), " tracks? 4");

  Table table = in_family(Family::Ip6);
  Set& set = table.sets.emplace_back();
  const auto now = [&] { return words(tracking_of(TableIndex(table))); };
  set.name = "s";
  set.exprs = {Limit{}, Counter{}};
  CHECK_EQ(now(), "");
  set.unsupported = "attribute 20 is unknown";
  CHECK_EQ(now(), " tracks? 6");
  set.elements.exprs = {{Connlimit{}}};
  CHECK_EQ(now(), " tracks 6");
}

TEST_CASE("of two uses the greater holds") {
  TrackingUse use = tracking_in(Family::Ip, ConntrackUse::Unknown);
  use |= tracking_in(Family::Inet, ConntrackUse::Off);
  CHECK_EQ(words(use), " tracks? 4");
  use |= tracking_in(Family::Ip, ConntrackUse::On);
  use |= tracking_in(Family::Inet, ConntrackUse::Unknown);
  CHECK_EQ(words(use), " tracks 4 tracks? 6");
}

}  // namespace
}  // namespace rolewall::ruleset
