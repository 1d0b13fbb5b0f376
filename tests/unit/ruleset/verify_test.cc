#include "ruleset/verify.h"
#include "ruleset/expr.h"

#include <doctest/doctest.h>

#include <algorithm>

namespace rolewall::ruleset {
namespace {

Rule verdict(VerdictCode code, std::string chain) {
  return {0, "", {ImmediateVerdict{{code, std::move(chain), 0}}}};
}

// c0 jumps to c1 jumps to ... `count` chains.
Ruleset line_of_chains(unsigned count) {
  Ruleset ruleset;
  Table& table = ruleset.tables.emplace_back();
  table.name = "t";
  for (unsigned i = 0; i < count; ++i) {
    Chain& chain = table.chains.emplace_back();
    chain.name = "c" + std::to_string(i);
    if (i + 1 < count) {
      chain.rules.push_back(
          verdict(i % 2 == 0 ? VerdictCode::Jump : VerdictCode::Goto, "c" + std::to_string(i + 1)));
    }
  }
  return ruleset;
}

std::string flaw_of(const Ruleset& ruleset) {
  const auto flaw = verify(ruleset);
  return flaw ? flaw->path + ": " + flaw->what : "";
}

// The kernel counts the chain that it starts from as level 0 and refuses level 16
// (nf_tables_api.c, nft_chain_validate); gotos count as jumps do.
TEST_CASE("jumps as deep as the kernel allows, and no deeper") {
  CHECK_EQ(flaw_of(line_of_chains(16)), "");
  CHECK_EQ(flaw_of(line_of_chains(17)),
           "tables[0].chains[0]: jumps from c0 make a loop or are nested 16 deep or more");
}

TEST_CASE("depth is known from whichever chain is asked first") {
  Ruleset ruleset = line_of_chains(17);
  std::reverse(ruleset.tables[0].chains.begin(), ruleset.tables[0].chains.end());
  CHECK_EQ(flaw_of(ruleset),
           "tables[0].chains[16]: jumps from c0 make a loop or are nested 16 deep or more");
}

TEST_CASE("a circle, through a rule or through a map") {
  Ruleset ruleset = line_of_chains(3);
  Table& table = ruleset.tables[0];
  table.chains[2].rules.push_back(verdict(VerdictCode::Goto, "c0"));
  CHECK(flaw_of(ruleset).starts_with("tables[0].chains[0]: jumps from c0 make a loop"));

  table.chains[2].rules[0] = {0, "", {Payload{}, Lookup{"m", 0, LookupResult::Verdict, 0, false}}};
  std::get<Payload>(table.chains[2].rules[0].exprs[0]).length = 2;
  Set& map = table.sets.emplace_back();
  map.name = "m";
  map.kind = SetKind::VerdictMap;
  map.key = {{DataType::InetService, 2}};
  CHECK_EQ(flaw_of(ruleset), "");
  map.elements.has_catch_all = true;
  map.elements.catch_all_verdict = {VerdictCode::Jump, "c1", 0};
  CHECK(flaw_of(ruleset).starts_with("tables[0].chains[0]: jumps from c0 make a loop"));
}

TEST_CASE("many paths over the same chains are walked once") {
  Ruleset ruleset = line_of_chains(15);
  for (Chain& chain : ruleset.tables[0].chains) {
    if (!chain.rules.empty()) chain.rules.resize(50, chain.rules[0]);
  }
  CHECK_EQ(flaw_of(ruleset), "");  // 50^14 paths
}

TEST_CASE("names are there, once, and not too long") {
  Ruleset ruleset = line_of_chains(2);
  Table& table = ruleset.tables[0];
  table.chains[0].rules.clear();
  table.chains[1].name = "c0";
  CHECK_EQ(flaw_of(ruleset), "tables[0]: two sets, chains or objects have the same name");
  table.chains[1].name = "";
  CHECK_EQ(flaw_of(ruleset), "tables[0].chains[1]: a chain without a name");
  table.chains[1].name = std::string(256, 'c');
  CHECK_EQ(flaw_of(ruleset), "tables[0].chains[1]: the chain's name is longer than 255 bytes");
  table.name = std::string("a\0b", 3);
  CHECK_EQ(flaw_of(ruleset), "tables[0]: the table's name contains a zero byte");
}

TEST_CASE("objects are there, of the type that is asked for") {
  Ruleset ruleset = line_of_chains(1);
  Table& table = ruleset.tables[0];
  table.objects = {{"hits", 0, object_type::kCounter, Counter{}, ""},
                   {"hits", 0, object_type::kQuota, Quota{}, ""}};
  table.chains[0].rules = {{0, "", {ObjectRef{object_type::kQuota, "hits"}}}};
  CHECK_EQ(flaw_of(ruleset), "");
  table.chains[0].rules[0].exprs = {ObjectRef{object_type::kLimit, "hits"}};
  CHECK_EQ(flaw_of(ruleset),
           "tables[0].chains[0].rules[0].exprs[0]: objref: there is no object hits of type 4");

  Set& map = table.sets.emplace_back();
  map.name = "m";
  map.kind = SetKind::ObjectMap;
  map.object_type = object_type::kCounter;
  map.key = {{DataType::InetService, 2}};
  map.elements.key_size = 2;
  map.elements.keys = {0, 80};
  map.elements.objects = {"hits"};
  table.chains[0].rules[0].exprs = {ObjectLookup{0, "m"}};
  CHECK_EQ(flaw_of(ruleset), "");
  map.elements.objects = {"misses"};
  CHECK_EQ(flaw_of(ruleset), "tables[0].sets[0]: there is no object misses of type 1");
  map.elements.objects = {"hits"};
  map.elements.has_catch_all = true;
  CHECK_EQ(flaw_of(ruleset), "tables[0].sets[0]: there is no object  of type 1");
  map = {};
  map.name = "m";
  map.key = {{DataType::InetService, 2}};
  CHECK_EQ(flaw_of(ruleset),
           "tables[0].chains[0].rules[0].exprs[0]: objref: m does not map to objects");

  table.objects[1].type = object_type::kLimit;
  CHECK_EQ(flaw_of(ruleset), "tables[0].objects[1]: type 4, but its body is of type 2");
  table.objects[1] = table.objects[0];
  CHECK_EQ(flaw_of(ruleset), "tables[0]: two sets, chains or objects have the same name");
}

std::string flaw_with(Expr expr) {
  Ruleset ruleset = line_of_chains(1);
  ruleset.tables[0].chains[0].rules = {{0, "", {std::move(expr)}}};
  return flaw_of(ruleset);
}

TEST_CASE("registers hold 64 bytes") {
  CHECK_EQ(flaw_with(Payload{PayloadBase::Network, 0, 64, 0}), "");
  CHECK_EQ(flaw_with(Payload{PayloadBase::Network, 0, 1, 15}), "");
  CHECK(flaw_with(Payload{PayloadBase::Network, 0, 65, 0}).ends_with("the registers from 0 on"));
  CHECK(flaw_with(Payload{PayloadBase::Network, 0, 5, 15}).ends_with("the registers from 15 on"));
  CHECK(flaw_with(Payload{PayloadBase::Network, 0, 0, 0}).ends_with("a length of 0"));
  CHECK(flaw_with(Payload{PayloadBase::Network, 256, 1, 0}).ends_with("an offset of 256 bytes"));
  CHECK_EQ(flaw_with(Meta{MetaKey::IifName, 12}), "");
  CHECK(flaw_with(Meta{MetaKey::IifName, 13})
            .ends_with("16 bytes do not fit in the registers "
                       "from 13 on"));
  CHECK(flaw_with(Cmp{CmpOp::Eq, 0, {}}).ends_with("a length of 0"));
  CHECK(flaw_with(Range{false, 0, Value::be16(1), Value::u8(1)}).ends_with("differ in length"));
  CHECK(flaw_with(Limit{}).ends_with("a limit whose rate is 0"));
  CHECK_EQ(flaw_with(Nat{NatKind::Source, 2, Register{15}, {}, Register{14}, {}, 0}), "");
  CHECK(flaw_with(Nat{NatKind::Source, 10, Register{13}, {}, {}, {}, 0})
            .ends_with("16 bytes do not fit in the registers from 13 on"));
  CHECK(flaw_with(Redirect{{}, Register{16}, 0}).ends_with("there is no register 16"));
  CHECK(flaw_with(Fib{FibResult::OifName, 1, 13}).ends_with("the registers from 13 on"));
  CHECK(flaw_with(Xfrm{XfrmKey::Saddr6, XfrmDirection::In, 0, 14}).ends_with("from 14 on"));
}

TEST_CASE("as wide as the kernel has it, and named") {
  const std::string path = "tables[0].chains[0].rules[0].exprs[0]: ";
  CHECK_EQ(flaw_with(Fib{FibResult::OifName, fib_flag::kSource, 13}),
           path + "fib: 16 bytes do not fit in the registers from 13 on");
  CHECK_EQ(flaw_with(Fib{FibResult::OifName, fib_flag::kSource, 12}), "");
  CHECK_EQ(flaw_with(Fib{FibResult::Oif, fib_flag::kSource | fib_flag::kPresent, 15}), "");
  CHECK_EQ(flaw_with(Tproxy{2, Register{15}, Register{14}}), "");
  CHECK_EQ(flaw_with(Tproxy{10, Register{13}, {}}),
           path + "tproxy: 16 bytes do not fit in the registers from 13 on");
  CHECK_EQ(flaw_with(Fwd{1, Register{13}, 10}),
           path + "fwd: 16 bytes do not fit in the registers from 13 on");
  CHECK_EQ(flaw_with(Dup{Register{15}, Register{16}}), path + "dup: there is no register 16");
  CHECK_EQ(flaw_with(Cmp{CmpOp::Eq, 15, Value(Bytes(16))}),
           path + "cmp: 16 bytes do not fit in the registers from 15 on");
  CHECK_EQ(flaw_with(Byteorder{ByteorderOp::NetworkToHost, 15, 15, 8, 8}),
           path + "byteorder: 8 bytes do not fit in the registers from 15 on");
}

TEST_CASE("values that the kernel refuses, and the evaluator could not run") {
  CHECK(flaw_with(Lookup{.set = "none"}).ends_with("lookup: there is no set none"));
  CHECK(flaw_with(Numgen{}).ends_with("numgen: a modulus of 0"));
  CHECK(flaw_with(JenkinsHash{4, 8, 0, {}, 0, 1}).ends_with("hash: a modulus of 0"));
  CHECK(flaw_with(SymmetricHash{}).ends_with("hash: a modulus of 0"));
  CHECK(flaw_with(ExthdrWrite{ExthdrKind::Sctp, 2, 2, 2, 0}).ends_with("can be written"));
  CHECK(flaw_with(ExthdrWrite{ExthdrKind::TcpOption, 2, 2, 3, 0}).ends_with("can be written"));
  CHECK_EQ(flaw_with(ExthdrWrite{ExthdrKind::TcpOption, 2, 2, 4, 0}), "");
  CHECK(flaw_with(ExthdrReset{ExthdrKind::Ipv6, 2}).ends_with("only TCP options can be reset"));
  CHECK(flaw_with(Nat{NatKind::Source, 1, Register{0}, {}, {}, {}, 0})
            .ends_with("nat: an address that is neither IPv4 nor IPv6"));
  CHECK_EQ(flaw_with(Nat{NatKind::Source, 1, {}, {}, Register{0}, {}, 0}), "");
  CHECK(flaw_with(Tproxy{0, Register{0}, {}}).ends_with("neither IPv4 nor IPv6"));

  Ruleset ruleset = line_of_chains(1);
  Table& table = ruleset.tables[0];
  Set& set = table.sets.emplace_back();
  set.name = "s";
  set.key = {{DataType::InetService, 2}};
  table.chains[0].rules = {{0, "", {Dynset{DynsetOp::Add, "s", 0, {}, 0, false, {}}}}};
  CHECK_EQ(flaw_of(ruleset), "");
  set.interval = true;
  CHECK(flaw_of(ruleset).ends_with("dynset: s has intervals: packets cannot add to it"));
  set.interval = false;
  set.kind = SetKind::VerdictMap;
  CHECK(flaw_of(ruleset).ends_with("dynset: packets cannot add to the map s"));
}

TEST_CASE("what a route is asked for is as nft_fib_init() has it") {
  namespace flag = fib_flag;
  const std::uint32_t source = flag::kSource;
  CHECK_EQ(flaw_with(Fib{FibResult::AddressType, source | flag::kOif, 0}), "");
  CHECK_EQ(flaw_with(Fib{FibResult::Oif, source | flag::kIif | flag::kMark | flag::kPresent, 0}),
           "");
  CHECK(flaw_with(Fib{FibResult::Oif, 0, 0}).ends_with("must be asked about"));
  CHECK(flaw_with(Fib{FibResult::Oif, 3, 0}).ends_with("must be asked about"));
  CHECK(flaw_with(Fib{FibResult::Oif, 0xffffffff, 0}).ends_with("fib: flags 0xffffffff"));
  CHECK(flaw_with(Fib{FibResult::Oif, source | 64, 0}).ends_with("fib: flags 0x41"));
  CHECK(flaw_with(Fib{FibResult::AddressType, source | flag::kIif | flag::kOif, 0})
            .ends_with("both devices to go by"));
  CHECK(flaw_with(Fib{FibResult::OifName, source | flag::kOif, 0}).ends_with("by the device"));
  for (const FibResult result : {FibResult::OifName, FibResult::AddressType}) {
    CHECK(flaw_with(Fib{result, source | flag::kPresent, 0}).ends_with("asked of oif alone"));
  }
}

TEST_CASE("numbers that are drawn fit in 32 bits") {
  const std::uint32_t most = 0xffffffff;
  CHECK_EQ(flaw_with(Numgen{.modulus = 2, .offset = most - 1}), "");
  CHECK(flaw_with(Numgen{.modulus = 2, .offset = most}).ends_with("beyond 32 bits"));
  CHECK(flaw_with(JenkinsHash{4, 8, most, {}, 2, 1}).ends_with("beyond 32 bits"));
  CHECK(flaw_with(SymmetricHash{.modulus = most, .offset = 2}).ends_with("beyond 32 bits"));
}

TEST_CASE("ranges of one field do not overlap, those of a concatenation may") {
  Ruleset ruleset = line_of_chains(1);
  Set& set = ruleset.tables[0].sets.emplace_back();
  set.name = "s";
  set.interval = true;
  set.key = {{DataType::InetService, 2}};
  set.elements.key_size = 2;
  set.elements.keys = {0, 10, 0, 20};
  set.elements.key_ends = {0, 19, 0, 30};
  CHECK_EQ(flaw_of(ruleset), "");
  set.elements.key_ends = {0, 20, 0, 30};
  CHECK_EQ(flaw_of(ruleset), "tables[0].sets[0]: element 1 overlaps the one before it");
  set.elements.keys = {0, 10, 0, 10};
  CHECK_EQ(flaw_of(ruleset), "tables[0].sets[0]: element 1 overlaps the one before it");
  set.key = {{DataType::InetProtocol, 1}, {DataType::InetService, 2}};
  set.elements.key_size = 8;
  set.elements.keys = {6, 0, 0, 0, 0, 10, 0, 0, 6, 0, 0, 0, 0, 20, 0, 0};
  set.elements.key_ends = {6, 0, 0, 0, 0, 25, 0, 0, 6, 0, 0, 0, 0, 30, 0, 0};
  CHECK_EQ(flaw_of(ruleset), "");
}

// nft_lookup_init()
TEST_CASE("an anonymous map is not asked only whether it has the key") {
  Ruleset ruleset = line_of_chains(1);
  Table& table = ruleset.tables[0];
  Set& map = table.sets.emplace_back();
  map.name = "m";
  map.kind = SetKind::VerdictMap;
  map.key = {{DataType::InetService, 2}};
  table.chains[0].rules = {{0, "", {Lookup{.set = "m"}}}};
  CHECK_EQ(flaw_of(ruleset), "");
  map.anonymous = true;
  CHECK(flaw_of(ruleset).ends_with("lookup: what an anonymous map gives is not asked for"));
  map.kind = SetKind::Set;
  CHECK_EQ(flaw_of(ruleset), "");
}

TEST_CASE("tables are known by family and name") {
  Ruleset ruleset = line_of_chains(1);
  ruleset.tables.push_back(ruleset.tables[0]);
  CHECK_EQ(flaw_of(ruleset), "tables[1]: another table has the same family and name");
  CHECK(set_flaws_aside(ruleset));
  ruleset.tables[1].family = Family::Ip;
  CHECK_EQ(flaw_of(ruleset), "");
}

// Its elements could name what is not there, and who follows them relies on verify().
TEST_CASE("a set that was not read as far as its key holds nothing, and is looked up soundly") {
  Ruleset ruleset = line_of_chains(1);
  Table& table = ruleset.tables[0];
  Set& set = table.sets.emplace_back();
  const auto with = [&](auto change) {
    set = {};
    set.name = "m";
    set.kind = SetKind::VerdictMap;
    set.unsupported = "a key that is not known";
    change(set);
    return flaw_of(ruleset);
  };
  const std::string path = "tables[0].sets[0]: ";
  CHECK_EQ(with([](Set&) {}), "");
  const std::string elements = path + "elements in a set without a key";
  const Verdict nowhere{VerdictCode::Jump, "nosuch", 0};
  CHECK_EQ(with([&](Set& s) { s.elements.verdicts = {nowhere}; }), elements);
  CHECK_EQ(with([&](Set& s) { s.elements.catch_all_verdict = nowhere; }), elements);
  CHECK_EQ(with([](Set& s) { s.elements.has_catch_all = true; }), elements);
  CHECK_EQ(with([](Set& s) { s.elements.objects = {"nosuch"}; }), elements);
  CHECK_EQ(with([](Set& s) { s.elements.data_size = 4; }), elements);
  CHECK_EQ(with([](Set& s) { s.elements.timeouts_ms = {1}; }), elements);
  CHECK_EQ(with([](Set& s) { s.elements.exprs = {{Limit{}}}; }), elements);
  CHECK_EQ(with([](Set& s) { s.exprs = {Limit{}}; }),
           path + "expressions of elements in a set without a key");
  CHECK_EQ(with([](Set& s) { s.data = KeyField{DataType::Mark, 4}; }),
           path + "a value's type in a set without a key");

  const auto looked_up = [&](Expr expr) {
    table.chains[0].rules = {{0, "", {std::move(expr)}}};
    return with([](Set&) {});
  };
  CHECK_EQ(looked_up(Lookup{"m", 15, LookupResult::Verdict, 0, false}), "");
  CHECK(looked_up(Lookup{"m", 200, LookupResult::Verdict, 0, false})
            .ends_with("lookup: there is no register 200"));
  CHECK_EQ(looked_up(Lookup{"m", 0, LookupResult::Data, 15, false}), "");
  CHECK(looked_up(Lookup{"m", 0, LookupResult::Data, 16, false})
            .ends_with("lookup: there is no register 16"));
  CHECK(looked_up(ObjectLookup{16, "m"}).ends_with("objref: there is no register 16"));
  CHECK(looked_up(Dynset{DynsetOp::Add, "m", 16, {}, 0, false, {}})
            .ends_with("dynset: there is no register 16"));
}

// A kernel may know more than we do: what has a flaw is undecided by name, and all else stays.
TEST_CASE("flaws are set aside, each by its name") {
  Ruleset ruleset = line_of_chains(3);
  Table& table = ruleset.tables[0];
  table.chains[2].rules.push_back(verdict(VerdictCode::Goto, "c0"));  // a circle
  Chain& chain = table.chains.emplace_back();
  chain.name = "input";
  const Rule sound{0, "sound", {Counter{}, ImmediateVerdict{{VerdictCode::Drop, "", 0}}}};
  chain.rules = {sound,
                 {0, "", {Counter{}, Fib{FibResult::OifName, fib_flag::kSource, 13}, Log{}}},
                 {0, "", {Lookup{.set = "ports"}}},
                 {0, std::string(300, 'x'), {Counter{}}}};
  Set& ports = table.sets.emplace_back();
  ports.name = "ports";
  ports.key = {{DataType::InetService, 2}};
  ports.elements.key_size = 2;
  ports.elements.keys = {0, 80, 0, 22};
  table.sets.push_back(ports);
  table.sets[1].name = "keyless";
  table.sets[1].key.clear();
  table.objects = {{"hits", 0, object_type::kQuota, Counter{}, ""}};

  REQUIRE(verify(ruleset));
  CHECK_FALSE(set_flaws_aside(ruleset));
  CHECK_EQ(flaw_of(ruleset), "");
  CHECK(table.chains[3].rules[0] == sound);
  CHECK(table.chains[3].rules[1].exprs ==
        ExprList{Counter{}, Unsupported{"fib", "16 bytes do not fit in the registers from 13 on"},
                 Log{}});
  CHECK(table.chains[3].rules[2].exprs == ExprList{Lookup{.set = "ports"}});
  CHECK(table.chains[3].rules[3].exprs ==
        ExprList{Unsupported{"rule", "the comment is longer than 255 bytes"}, Counter{}});
  CHECK_EQ(table.sets[0].unsupported, "element 1 is out of order or a duplicate");
  CHECK(table.sets[0].key.size() == 1);
  CHECK(table.sets[0].elements.empty());
  CHECK_EQ(table.sets[1].unsupported, "a set without a key");
  CHECK(table.objects[0].body ==
        ObjectBody{Unsupported{"object", "type 2, but its body is of type 1"}});
  CHECK(table.chains[0].rules[0].exprs ==
        ExprList{
            Unsupported{"immediate", "jumps from c0 make a loop or are nested 16 deep or more"}});
  CHECK(table.chains[1].rules[0].exprs == ExprList{ImmediateVerdict{{VerdictCode::Goto, "c2", 0}}});

  table.chains[1].name = "c0";
  const auto flaw = set_flaws_aside(ruleset);
  REQUIRE(flaw);
  CHECK_EQ(flaw->path, "tables[0]");
}

}  // namespace
}  // namespace rolewall::ruleset
