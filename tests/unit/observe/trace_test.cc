// Trace messages, as bytes that the kernel would send.
#include "observe/trace.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <endian.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rolewall::observe {
namespace {

using ruleset::VerdictCode;

// Netlink attributes put together by hand, as the kernel's nla_put does.
class Message {
 public:
  Message() {
    bytes_.resize(NLMSG_HDRLEN + 4);
    auto* header = reinterpret_cast<nlmsghdr*>(bytes_.data());
    header->nlmsg_type = (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_TRACE;
    bytes_[NLMSG_HDRLEN] = 1;  // inet
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
  std::vector<std::uint8_t> bytes() const {
    auto whole = bytes_;
    reinterpret_cast<nlmsghdr*>(whole.data())->nlmsg_len = static_cast<std::uint32_t>(whole.size());
    return whole;
  }

 private:
  void append(const void* data, std::size_t size) {
    const auto* begin = static_cast<const std::uint8_t*>(data);
    bytes_.insert(bytes_.end(), begin, begin + size);
  }
  std::vector<std::uint8_t> bytes_;
};

// std::nullopt for what is not even a message.
std::optional<TraceMessage> decode(netlink::View datagram) {
  const auto message = netlink::next_message(datagram);
  const auto answer = message ? netlink::as_answer(*message) : std::nullopt;
  return answer ? std::optional(decode_trace(*answer)) : std::nullopt;
}

bool is_read(netlink::View datagram) {
  const auto trace = decode(datagram);
  return trace && trace->problem.empty();
}

std::string problem_of(const Message& message) {
  const auto trace = decode(message.bytes());
  return trace ? trace->problem : "no message";
}

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
  const auto trace = decode(message.bytes());
  REQUIRE(trace);
  CHECK_EQ(trace->problem, "");
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
    const auto trace = decode(rule(1, code).bytes());
    REQUIRE(trace);
    CHECK_EQ(trace->problem, "");
    CHECK(trace->verdict.code == expected);
    CHECK_FALSE(trace->stolen);
    CHECK_FALSE(trace->begins_base_chain);
  }
  CHECK_EQ(decode(rule(1, NF_QUEUE | 2 << 16).bytes())->verdict.queue, 2 << 16);
  CHECK(decode(rule(1, NF_STOLEN).bytes())->stolen);
  // A drop with a reason in its upper bits is a drop.
  CHECK(decode(rule(1, NF_DROP | 1 << 16).bytes())->verdict.code == VerdictCode::Drop);
}

TEST_CASE("what is cut short, foreign or without a verdict is no trace") {
  const auto whole = rule(7, NFT_JUMP, "web").bytes();
  CHECK(is_read(whole));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK_FALSE(is_read({whole.data(), size}));
  }
  // A length that agrees with what is there, but attributes that do not fit.
  for (std::size_t size = NLMSG_HDRLEN; size + 4 < whole.size(); ++size) {
    auto cut = whole;
    cut.resize(size);
    reinterpret_cast<nlmsghdr*>(cut.data())->nlmsg_len = static_cast<std::uint32_t>(size);
    CHECK_FALSE(is_read(cut));
  }
  auto foreign = whole;
  reinterpret_cast<nlmsghdr*>(foreign.data())->nlmsg_type = NFT_MSG_TRACE;
  CHECK_FALSE(is_read(foreign));
  CHECK_FALSE(is_read(rule(7, NFT_JUMP).bytes()));
  CHECK_FALSE(is_read(rule(7, 99).bytes()));
}

TEST_CASE("a policy's message") {
  Message message;
  message.text(NFTA_TRACE_TABLE, "rolewall").text(NFTA_TRACE_CHAIN, "input");
  message.be32(NFTA_TRACE_TYPE, NFT_TRACETYPE_POLICY).be32(NFTA_TRACE_POLICY, NF_DROP);
  const auto trace = decode(message.bytes());
  REQUIRE(trace);
  CHECK_EQ(trace->problem, "");
  CHECK(trace->type == TraceType::Policy);
  CHECK(trace->verdict.code == VerdictCode::Drop);
  CHECK_EQ(trace->handle, 0);
}

// A message as Linux 6.16 and later give it: the last four are conntrack's id, direction, status
// and state.
TEST_CASE("all that the kernel is known to say") {
  auto message = rule(7, NF_ACCEPT);
  const std::uint8_t bytes[] = {1, 2, 3, 4};
  message.put(NFTA_TRACE_ID, bytes, 4).put(NFTA_TRACE_LL_HEADER, bytes, 4);
  message.put(NFTA_TRACE_NETWORK_HEADER, bytes, 4).put(NFTA_TRACE_TRANSPORT_HEADER, bytes, 4);
  message.be32(NFTA_TRACE_IIF, 3).put(NFTA_TRACE_IIFTYPE, bytes, 2);
  message.be32(NFTA_TRACE_OIF, 4).put(NFTA_TRACE_OIFTYPE, bytes, 2);
  message.be32(NFTA_TRACE_MARK, 1).be32(NFTA_TRACE_NFPROTO, 2).put(NFTA_TRACE_PAD, bytes, 0);
  message.put(18, bytes, 4).put(19, bytes, 1).be32(20, 0x18e).be32(21, 8);
  CHECK_EQ(problem_of(message), "");
  const auto trace = decode(message.bytes());
  REQUIRE(trace);
  CHECK_EQ(trace->ct_state, 8);  // new
  CHECK_EQ(trace->ct_status, 0x18e);
  CHECK_NE(trace->id, 0);
  // Before 6.16, and where conntrack has not seen it, nothing is said.
  CHECK_FALSE(decode(rule(7, NF_ACCEPT).bytes())->ct_state);
}

TEST_CASE("what nobody asked for is named, and the rest is there") {
  auto message = rule(7, NFT_JUMP, "web");
  message.be32(NFTA_TRACE_MARK, 5).be32(22, 1);
  const auto trace = decode(message.bytes());
  REQUIRE(trace);
  CHECK_EQ(trace->problem, "attribute 22 is unknown");
  CHECK_EQ(trace->chain, "input");
  CHECK_EQ(trace->handle, 7);
  CHECK_EQ(trace->mark, 5);
  CHECK_EQ(problem_of(rule(7, NF_ACCEPT).be32(200, 1)), "attribute 200 is unknown");
  CHECK_EQ(problem_of(rule(7, NF_ACCEPT).be32(NFTA_TRACE_TYPE, NFT_TRACETYPE_RULE)),
           "attribute 4 occurs twice");
  // A rule's message has no policy.
  CHECK_EQ(problem_of(rule(7, NF_ACCEPT).be32(NFTA_TRACE_POLICY, NF_DROP)),
           "attribute 16 is unknown");
  // A verdict that leads nowhere names no chain.
  CHECK_EQ(problem_of(rule(7, NF_ACCEPT, "web")), "in its verdict: attribute 2 is unknown");
}

TEST_CASE("what is wrong is named") {
  CHECK_EQ(problem_of(Message()), "attribute 1 is missing");
  CHECK_EQ(problem_of(rule(7, NFT_JUMP)), "in its verdict: attribute 2 is missing");
  CHECK_EQ(problem_of(rule(7, 99)), "in its verdict: verdict 99 is unknown");
  CHECK_EQ(problem_of(rule(7, NF_ACCEPT).put(NFTA_TRACE_MARK, "\0\0", 2)),
           "attribute 14 has 2 bytes instead of 4");
  Message type;
  type.text(NFTA_TRACE_TABLE, "rolewall").text(NFTA_TRACE_CHAIN, "input").be32(NFTA_TRACE_TYPE, 4);
  CHECK_EQ(problem_of(type), "trace type 4 is unknown");
}

}  // namespace
}  // namespace rolewall::observe
