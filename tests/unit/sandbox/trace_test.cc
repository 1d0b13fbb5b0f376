// Trace messages, as bytes that the kernel would send, and the way of a packet read from them.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <endian.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <cstring>
#include <string_view>

#include "ruleset/expr.h"
#include "sandbox/observation.h"
#include "sandbox/trace.h"
#include "sandbox/watch.h"

namespace rolewall::sandbox {
namespace {

using ruleset::VerdictCode;

// Netlink attributes put together by hand, as the kernel's nla_put does.
class Message {
 public:
  Message() {
    bytes_.resize(NLMSG_HDRLEN + 4);
    auto* header = reinterpret_cast<nlmsghdr*>(bytes_.data());
    header->nlmsg_type = (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_TRACE;
    bytes_[NLMSG_HDRLEN] = std::byte{1};  // inet
  }
  Message& put(std::uint16_t type, const void* data, std::size_t size) {
    const auto length = static_cast<std::uint16_t>(NLA_HDRLEN + size);
    append(&length, 2);
    append(&type, 2);
    append(data, size);
    bytes_.resize(NLA_ALIGN(bytes_.size()));
    return *this;
  }
  Message& text(std::uint16_t type, std::string_view value) {
    return put(type, std::string(value).c_str(), value.size() + 1);
  }
  Message& be32(std::uint16_t type, std::uint32_t value) {
    const std::uint32_t big = htonl(value);
    return put(type, &big, 4);
  }
  Message& be64(std::uint16_t type, std::uint64_t value) {
    const std::uint64_t big = htobe64(value);
    return put(type, &big, 8);
  }
  Message& verdict(std::int32_t code, std::string_view chain = "") {
    Message nest;
    nest.bytes_.clear();
    nest.be32(NFTA_VERDICT_CODE, static_cast<std::uint32_t>(code));
    if (!chain.empty()) nest.text(NFTA_VERDICT_CHAIN, chain);
    return put(NFTA_TRACE_VERDICT | NLA_F_NESTED, nest.bytes_.data(), nest.bytes_.size());
  }
  std::vector<std::byte> bytes() const {
    auto whole = bytes_;
    reinterpret_cast<nlmsghdr*>(whole.data())->nlmsg_len = static_cast<std::uint32_t>(whole.size());
    return whole;
  }

 private:
  void append(const void* data, std::size_t size) {
    const auto* begin = static_cast<const std::byte*>(data);
    bytes_.insert(bytes_.end(), begin, begin + size);
  }
  std::vector<std::byte> bytes_;
};

Message rule(std::uint64_t handle, std::int32_t code, std::string_view target = "") {
  Message message;
  message.text(NFTA_TRACE_TABLE, "rolewall").text(NFTA_TRACE_CHAIN, "input");
  message.be32(NFTA_TRACE_TYPE, NFT_TRACETYPE_RULE).be64(NFTA_TRACE_RULE_HANDLE, handle);
  return message.verdict(code, target);
}

TEST_CASE("a rule's message") {
  auto message = rule(7, NFT_JUMP, "web.inbound.app");
  message.be32(NFTA_TRACE_IIF, 3).be32(NFTA_TRACE_MARK, 0x5a000001);
  const std::uint8_t network[] = {0x45, 0, 0, 40};
  message.put(NFTA_TRACE_NETWORK_HEADER, network, sizeof network);
  const auto trace = decode_trace(message.bytes());
  REQUIRE(trace);
  CHECK(trace->type == TraceType::Rule);
  CHECK(trace->family == ruleset::Family::Inet);
  CHECK_EQ(trace->table, "rolewall");
  CHECK_EQ(trace->chain, "input");
  CHECK_EQ(trace->handle, 7);
  CHECK(trace->verdict == ruleset::Verdict{VerdictCode::Jump, "web.inbound.app", 0});
  CHECK(trace->begins_base_chain);
  CHECK_EQ(trace->in_index, 3);
  CHECK_EQ(trace->mark, 0x5a000001);
  CHECK_EQ(trace->network_header, std::vector<std::uint8_t>{0x45, 0, 0, 40});
}

TEST_CASE("every verdict") {
  const std::pair<std::int32_t, VerdictCode> codes[] = {{NF_DROP, VerdictCode::Drop},
                                                        {NF_ACCEPT, VerdictCode::Accept},
                                                        {NFT_CONTINUE, VerdictCode::Continue},
                                                        {NFT_RETURN, VerdictCode::Return},
                                                        {NF_QUEUE | 2 << 16, VerdictCode::Queue}};
  for (const auto& [code, expected] : codes) {
    const auto trace = decode_trace(rule(1, code).bytes());
    REQUIRE(trace);
    CHECK(trace->verdict.code == expected);
    CHECK_FALSE(trace->stolen);
    CHECK_FALSE(trace->begins_base_chain);
  }
  CHECK_EQ(decode_trace(rule(1, NF_QUEUE | 2 << 16).bytes())->verdict.queue, 2 << 16);
  CHECK(decode_trace(rule(1, NF_STOLEN).bytes())->stolen);
  // A drop with a reason in its upper bits is a drop.
  CHECK(decode_trace(rule(1, NF_DROP | 1 << 16).bytes())->verdict.code == VerdictCode::Drop);
}

TEST_CASE("what is cut short, foreign or without a verdict is no trace") {
  const auto whole = rule(7, NFT_JUMP, "web").bytes();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK_FALSE(decode_trace({whole.data(), size}));
  }
  // A length that agrees with what is there, but attributes that do not fit.
  for (std::size_t size = NLMSG_HDRLEN; size + 4 < whole.size(); ++size) {
    auto cut = whole;
    cut.resize(size);
    reinterpret_cast<nlmsghdr*>(cut.data())->nlmsg_len = static_cast<std::uint32_t>(size);
    CHECK_FALSE(decode_trace(cut));
  }
  auto foreign = whole;
  reinterpret_cast<nlmsghdr*>(foreign.data())->nlmsg_type = NFT_MSG_TRACE;
  CHECK_FALSE(decode_trace(foreign));
  CHECK_FALSE(decode_trace(rule(7, NFT_JUMP).bytes()));
  CHECK_FALSE(decode_trace(rule(7, 99).bytes()));
}

// --- the way of a packet
// --------------------------------------------------------------------------

// input: rule 1 (handle 11) jumps to `web`, rule 2 (handle 12) rejects; `web` has one rule (13).
ruleset::Ruleset two_chains() {
  ruleset::Chain input;
  input.name = "input";
  input.base = ruleset::BaseChain{};
  input.rules.resize(2);
  input.rules[0].handle = 11;
  input.rules[1].handle = 12;
  input.rules[1].exprs = {ruleset::Reject{}};
  ruleset::Chain web;
  web.name = "web";
  web.rules.resize(1);
  web.rules[0].handle = 13;
  ruleset::Table table;
  table.name = "rolewall";
  table.chains = {input, web};
  return {{table}};
}

TraceMessage told(std::string_view chain, std::uint64_t handle, VerdictCode code,
                  TraceType type = TraceType::Rule) {
  TraceMessage message;
  message.table = "rolewall";
  message.chain = chain;
  message.handle = handle;
  message.verdict.code = code;
  message.type = type;
  return message;
}

TraceMessage gate(std::string_view chain) {
  TraceMessage message;
  message.table = watch::kTable;
  message.chain = chain;
  message.type = TraceType::Policy;
  message.verdict.code = VerdictCode::Accept;
  message.begins_base_chain = true;
  return message;
}

TEST_CASE("a packet that a rule rejects after a chain that did not decide") {
  const auto seen =
      Reader(two_chains())
          .read(ruleset::Hook::Prerouting,
                std::vector{
                    gate("prerouting-first"), gate("prerouting-last"), gate("input-first"),
                    told("input", 11, VerdictCode::Jump), told("web", 13, VerdictCode::Continue),
                    told("web", 0, VerdictCode::Continue), told("input", 12, VerdictCode::Drop)});
  REQUIRE(seen);
  REQUIRE_EQ(seen->hooks.size(), 2);
  CHECK(seen->hooks[0].fate == Fate::Accept);
  CHECK(seen->hooks[0].path.empty());
  CHECK(seen->fate() == Fate::Reject);
  const auto& path = seen->hooks[1].path;
  REQUIRE_EQ(path.size(), 4);
  CHECK(path[0] == Step{0, 0, 0, {VerdictCode::Jump, "", 0}});
  CHECK(path[1] == Step{0, 1, 0, {VerdictCode::Continue, "", 0}});
  CHECK(path[2] == Step{0, 1, Step::kEnd, {VerdictCode::Return, "", 0}});
  CHECK(path[3] == Step{0, 0, 1, {VerdictCode::Drop, "", 0}});
}

TEST_CASE("a policy, and the watch's last chain after it") {
  const auto seen =
      Reader(two_chains())
          .read(ruleset::Hook::Prerouting,
                std::vector{gate("prerouting-first"), gate("prerouting-last"), gate("input-first"),
                            told("input", 0, VerdictCode::Continue),
                            told("input", 0, VerdictCode::Accept, TraceType::Policy),
                            gate("input-last")});
  REQUIRE(seen);
  CHECK(seen->fate() == Fate::Accept);
  REQUIRE_EQ(seen->hooks[1].path.size(), 1);
  CHECK(*seen->hooks[1].decision() == Step{0, 0, Step::kEnd, {VerdictCode::Accept, "", 0}});
}

TEST_CASE("of chains that all accept, the last rule decides, else the last policy") {
  HookObservation seen;
  seen.path = {{0, 0, 1, {VerdictCode::Accept, "", 0}},
               {0, 1, Step::kEnd, {VerdictCode::Accept, "", 0}}};
  CHECK_EQ(seen.decision(), seen.path.data());
  seen.path.push_back({0, 1, 0, {VerdictCode::Accept, "", 0}});
  CHECK_EQ(seen.decision(), &seen.path[2]);
  seen.path = {{0, 0, Step::kEnd, {VerdictCode::Accept, "", 0}},
               {0, 1, Step::kEnd, {VerdictCode::Accept, "", 0}}};
  CHECK_EQ(seen.decision(), &seen.path[1]);
}

TEST_CASE("what the stack discards") {
  const Reader reader(two_chains());
  SUBCASE("before any hook") {
    const auto seen = reader.read(ruleset::Hook::Prerouting, {});
    REQUIRE_EQ(seen->hooks.size(), 1);
    CHECK(seen->fate() == Fate::Stack);
  }
  SUBCASE("within prerouting: a fragment that waits for others") {
    const auto seen = reader.read(ruleset::Hook::Prerouting, std::vector{gate("prerouting-first")});
    REQUIRE_EQ(seen->hooks.size(), 1);
    CHECK(seen->fate() == Fate::Stack);
  }
  SUBCASE("between the hooks: a martian") {
    const auto seen = reader.read(ruleset::Hook::Prerouting,
                                  std::vector{gate("prerouting-first"), gate("prerouting-last")});
    REQUIRE_EQ(seen->hooks.size(), 2);
    CHECK(seen->hooks[0].fate == Fate::Accept);
    CHECK(seen->hooks[1].hook == ruleset::Hook::Input);
    CHECK(seen->fate() == Fate::Stack);
    CHECK_EQ(seen->hooks[1].decision(), nullptr);
  }
}

TEST_CASE("a rule that the ruleset has not is an error, not a guess") {
  const Reader reader(two_chains());
  CHECK_FALSE(
      reader.read(ruleset::Hook::Output, std::vector{told("input", 99, VerdictCode::Drop)}));
  // Handle 13 is a rule of another chain.
  CHECK_FALSE(
      reader.read(ruleset::Hook::Output, std::vector{told("input", 13, VerdictCode::Drop)}));
  CHECK_FALSE(reader.read(ruleset::Hook::Output, std::vector{told("nat", 11, VerdictCode::Drop)}));
}

}  // namespace
}  // namespace rolewall::sandbox
