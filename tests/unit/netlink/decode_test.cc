// The decoder without a kernel: attributes that nobody expects, and bytes that are no messages.
#include <doctest/doctest.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include "netlink/attributes.h"
#include "netlink/data_types.h"
#include "netlink/decode_expr.h"
#include "netlink/decode_ruleset.h"
#include "netlink/encode.h"
#include "ruleset/expr.h"
#include "ruleset/verify.h"
#include "unit/netlink/ruleset_builder.h"

namespace rolewall::netlink {
namespace {

using namespace test;

using Buffer = std::vector<std::uint8_t>;

// An expression of this name with the attributes that `fill` writes.
template <class Fill>
Expr decoded(const char* name, Fill fill) {
  Buffer buffer;
  Writer writer(buffer);
  writer.text(NFTA_EXPR_NAME, name);
  const std::size_t nest = writer.begin_nest(NFTA_EXPR_DATA);
  fill(writer);
  writer.end_nest(nest);
  return decode_expr(buffer);
}

std::string reason(const Expr& expr) {
  const auto* unsupported = std::get_if<Unsupported>(&expr);
  return unsupported == nullptr ? "supported" : unsupported->reason;
}

void put_meta(Writer& writer) {
  writer.be32(NFTA_META_KEY, NFT_META_L4PROTO);
  writer.be32(NFTA_META_DREG, NFT_REG_1);
}

TEST_CASE("an attribute that is not known makes the expression unsupported") {
  CHECK(decoded("meta", put_meta) == Expr(Meta{MetaKey::L4Proto, 0}));
  CHECK(reason(decoded("meta", [](Writer& writer) {
          put_meta(writer);
          writer.be32(9, 1);
        })) == "attribute 9 is unknown");
  CHECK(reason(decoded("meta", [](Writer& writer) {
          put_meta(writer);
          writer.be32(NFTA_META_KEY, 1);
        })) == "attribute 2 occurs twice");
  CHECK(reason(decoded("meta", [](Writer& writer) {
          put_meta(writer);
          writer.be32(77, 1);
        })) == "attribute 77 is unknown");
}

TEST_CASE("what is missing, of another size or beyond the known values") {
  CHECK(reason(decoded("meta", [](Writer& writer) { writer.be32(NFTA_META_DREG, NFT_REG_1); })) ==
        "attribute 2 is missing");
  CHECK(reason(decoded("meta", [](Writer& writer) {
          writer.be64(NFTA_META_KEY, 1);
          writer.be32(NFTA_META_DREG, NFT_REG_1);
        })) == "attribute 2 has 8 bytes instead of 4");
  CHECK(reason(decoded("meta", [](Writer& writer) {
          writer.be32(NFTA_META_KEY, 36);
          writer.be32(NFTA_META_DREG, NFT_REG_1);
        })) == "value 36 of attribute 2 is unknown");
  CHECK(reason(decoded("meta", [](Writer& writer) {
          writer.be32(NFTA_META_KEY, 1);
          writer.be32(NFTA_META_DREG, NFT_REG32_15 + 1);
        })) == "register 24 is unknown");
  CHECK(reason(decoded("limit", [](Writer& writer) {
          writer.be64(NFTA_LIMIT_RATE, 1);
          writer.be64(NFTA_LIMIT_UNIT, 1);
          writer.be32(NFTA_LIMIT_BURST, 5);
          writer.be32(NFTA_LIMIT_TYPE, 0);
          writer.be32(NFTA_LIMIT_FLAGS, 3);
        })) == "flags 0x2 are unknown");
  // A bitwise operation between two registers, of kernels from 6.13 on.
  CHECK(reason(decoded("bitwise", [](Writer& writer) {
          writer.be32(NFTA_BITWISE_SREG, NFT_REG_1);
          writer.be32(NFTA_BITWISE_DREG, NFT_REG_1);
          writer.be32(NFTA_BITWISE_LEN, 4);
          writer.be32(NFTA_BITWISE_OP, 3);
        })) == "attribute 8 is missing");
  CHECK(reason(decoded("bitwise", [](Writer& writer) {
          writer.be32(NFTA_BITWISE_SREG, NFT_REG_1);
          writer.be32(NFTA_BITWISE_DREG, NFT_REG_1);
          writer.be32(NFTA_BITWISE_LEN, 4);
          writer.be32(NFTA_BITWISE_OP, 6);
        })) == "operation 6 is unknown");
  CHECK(reason(decoded("fib", [](Writer& writer) {
          writer.be32(NFTA_FIB_DREG, NFT_REG_1);
          writer.be32(NFTA_FIB_RESULT, NFT_FIB_RESULT_OIF);
          writer.be32(NFTA_FIB_FLAGS, 65);
        })) == "flags 0x40 are unknown");
}

TEST_CASE("expressions within elements are not followed without end") {
  Buffer inner;
  for (int depth = 0; depth < 3000; ++depth) {
    Buffer outer;
    Writer writer(outer);
    writer.text(NFTA_EXPR_NAME, "dynset");
    const std::size_t data = writer.begin_nest(NFTA_EXPR_DATA);
    writer.put(NFTA_DYNSET_EXPR, inner);
    writer.end_nest(data);
    if (outer.size() > 65'000) break;
    inner = outer;
  }
  CHECK(std::holds_alternative<Unsupported>(decode_expr(inner)));
}

TEST_CASE("keys of a concatenation, however the kernel describes them") {
  const auto pair = key_type({kIpv4, kPort});
  REQUIRE(pair);
  CHECK(*pair == 0x1cd);
  CHECK(key_fields(*pair, 8, {}) == std::vector<KeyField>{kIpv4, kPort});
  CHECK(key_fields(*pair, 8, {4, 2}) == std::vector<KeyField>{kIpv4, kPort});
  // Another program's idea of a key: one opaque field.
  CHECK(key_fields(*pair, 12, {}) == std::vector<KeyField>{{static_cast<DataType>(0x1cd), 12}});
  CHECK(key_fields(0, 8, {4, 4}) ==
        std::vector<KeyField>{{DataType::Invalid, 4}, {DataType::Invalid, 4}});
  // typeof's integers have no size of their own.
  const auto integers = key_type({{DataType::Integer, 4}, kIpv4});
  CHECK(key_fields(*integers, 8, {}) == std::vector<KeyField>{{DataType::Integer, 4}, kIpv4});
  CHECK_FALSE(key_type({kIpv4, {static_cast<DataType>(64), 4}}));
}

// The messages of a small dump, by what they hold.
struct Part {
  Result<void> (RulesetReader::*read)(std::uint8_t, View);
  Buffer attributes;
};

std::vector<Part> small_dump() {
  std::vector<Part> parts;
  const auto add = [&](auto read, Message message) {
    constexpr std::size_t kHeaders = sizeof(nlmsghdr) + sizeof(nfgenmsg);
    parts.push_back({read, Buffer(message.begin() + kHeaders, message.end())});
  };
  Set tree = make_set("tree", {kIpv4}, SetKind::VerdictMap);
  tree.interval = true;
  add_interval(tree, {10, 0, 0, 0}, {10, 0, 0, 9});
  add_interval(tree, {10, 0, 1, 0}, {255, 255, 255, 255});
  tree.elements.verdicts = {{VerdictCode::Jump, "d", 0}, {VerdictCode::Drop, "", 0}};
  tree.elements.comments = {"one", ""};
  Set pairs = make_set("pairs", {kIpv4, kPort});
  pairs.interval = true;
  pairs.exprs = {Counter{}};
  add_interval(pairs, {1, 2, 3, 4, 0, 22, 0, 0}, {1, 2, 3, 9, 0, 22, 0, 0});
  const Table table = table_of(
      {base_chain("c", Hook::Input,
                  {rule("r", {Payload{PayloadBase::Network, 12, 4, 0},
                              Lookup{"tree", 0, LookupResult::Verdict, 0, false},
                              Dynset{DynsetOp::Add, "pairs", 0, {}, 0, false, {Counter{}}},
                              Log{"x", {}, 4, 0, 0, 0}, verdict(VerdictCode::Goto, "d")})}),
       plain_chain("d", {})},
      {tree, pairs});
  add(&RulesetReader::table, *encode_new_table(table));
  for (const Set& set : table.sets) add(&RulesetReader::set, *encode_set(table, set, 1));
  for (const Chain& chain : table.chains) add(&RulesetReader::chain, *encode_chain(table, chain));
  add(&RulesetReader::rule, *encode_rule(table, table.chains[0], table.chains[0].rules[0]));
  for (const Set& set : table.sets) {
    REQUIRE(encode_elements(table, set, set.elements, ElementVerb::Fill, [&](View message) {
      add(&RulesetReader::elements, Message(message.begin(), message.end()));
    }));
  }
  return parts;
}

std::optional<Ruleset> read(const std::vector<Part>& parts) {
  RulesetReader reader;
  for (const Part& part : parts) {
    if (!(reader.*part.read)(NFPROTO_INET, part.attributes)) return std::nullopt;
  }
  auto ruleset = reader.finish();
  return ruleset ? std::move(*ruleset) : std::nullopt;
}

// What every reader of a ruleset relies on.
void check_columns(const Ruleset& ruleset) {
  const auto flaw = verify(ruleset);
  CHECK_MESSAGE(!flaw, flaw->path, ": ", flaw->what);
  for (const Table& table : ruleset.tables) {
    for (const Set& set : table.sets) {
      const Elements& elements = set.elements;
      const std::size_t rows = elements.count();
      CHECK(elements.keys.size() == rows * elements.key_size);
      if (set.interval) CHECK(elements.key_ends.size() == elements.keys.size());
      if (set.kind == SetKind::Map) CHECK(elements.data.size() == rows * set.data.size);
      if (set.kind == SetKind::VerdictMap) CHECK(elements.verdicts.size() == rows);
      if (set.kind == SetKind::ObjectMap) CHECK(elements.objects.size() == rows);
      for (const std::size_t size : {elements.timeouts_ms.size(), elements.exprs.size(),
                                     elements.comments.size(), elements.expirations_ms.size()}) {
        CHECK((size == 0 || size == rows));
      }
    }
  }
}

TEST_CASE("what we encode, decoded without a kernel") {
  const auto ruleset = read(small_dump());
  REQUIRE(ruleset);
  const Table& table = ruleset->tables.at(0);
  REQUIRE(table.sets.size() == 2);
  CHECK(table.sets[0].elements.key_end(1)[0] == 255);
  CHECK(table.sets[0].elements.key_end(0)[3] == 9);
  CHECK(table.sets[0].elements.comments == std::vector<ruleset::Comment>{"one", ""});
  CHECK(table.sets[1].elements.key_end(0)[3] == 9);
  CHECK(table.chains.at(0).rules.at(0).exprs.size() == 5);
  check_columns(*ruleset);
}

// The rule that names a set which the kernel does not list, and it alone, is undecided.
TEST_CASE("what a dump lacks is set aside by name") {
  std::vector<Part> parts = small_dump();
  std::erase_if(parts, [](const Part& part) { return part.read == &RulesetReader::set; });
  const auto ruleset = read(parts);
  REQUIRE(ruleset);
  const ExprList& exprs = ruleset->tables.at(0).chains.at(0).rules.at(0).exprs;
  CHECK(exprs.at(1) == Expr{Unsupported{"lookup", "there is no set tree"}});
  CHECK(exprs.at(2) == Expr{Unsupported{"dynset", "there is no set pairs"}});
  CHECK(exprs.at(4) == Expr{verdict(VerdictCode::Goto, "d")});
  check_columns(*ruleset);
}

TEST_CASE("messages cut short at any byte, or with any byte changed") {
  const std::vector<Part> whole = small_dump();
  for (std::size_t part = 0; part < whole.size(); ++part) {
    const std::size_t size = whole[part].attributes.size();
    for (std::size_t at = 0; at < size; ++at) {
      std::vector<Part> cut = whole;
      cut[part].attributes.resize(at);
      if (const auto ruleset = read(cut)) check_columns(*ruleset);
      for (const unsigned flip : {0x01U, 0x80U, 0xffU}) {
        std::vector<Part> changed = whole;
        changed[part].attributes[at] ^= static_cast<std::uint8_t>(flip);
        if (const auto ruleset = read(changed)) check_columns(*ruleset);
      }
    }
  }
}

TEST_CASE("an element twice is no set") {
  std::vector<Part> parts = small_dump();
  CHECK(read(parts));
  parts.push_back(parts.back());
  CHECK_FALSE(read(parts));
}

}  // namespace
}  // namespace rolewall::netlink
