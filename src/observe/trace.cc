#include "observe/trace.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <array>
#include <cstring>

namespace rolewall::observe {
namespace {

// The longest: two names of 255 bytes, a jump's target, and some 200 bytes of the rest.
constexpr std::size_t kMessageLimit = 2048;
constexpr std::size_t kMessagesARead = 32;
// Asked for; the kernel gives what net.core.rmem_max allows.
constexpr int kReceiveBuffer = 64 << 20;

template <std::size_t N>
using Attributes = std::array<const nlattr*, N>;

// The last of each type below N; others are passed over, as the kernel may add some.
template <std::size_t N>
Attributes<N> attributes(const nlattr* first, std::size_t size) {
  Attributes<N> found{};
  auto left = static_cast<int>(size);
  for (const nlattr* attr = first; mnl_attr_ok(attr, left); attr = mnl_attr_next(attr)) {
    if (mnl_attr_get_type(attr) < N) found[mnl_attr_get_type(attr)] = attr;
    left -= MNL_ALIGN(attr->nla_len);
  }
  return found;
}

bool has_size(const nlattr* attr, std::size_t size) {
  return attr != nullptr && mnl_attr_get_payload_len(attr) == size;
}

std::uint32_t be32(const nlattr* attr) {
  return has_size(attr, 4) ? ntohl(mnl_attr_get_u32(attr)) : 0;
}

// A string of the kernel's, which ends in a zero byte.
std::optional<std::string> text(const nlattr* attr) {
  if (attr == nullptr) return std::nullopt;
  const auto* begin = static_cast<const char*>(mnl_attr_get_payload(attr));
  const std::size_t size = ::strnlen(begin, mnl_attr_get_payload_len(attr));
  return std::string(begin, size);
}

std::vector<std::uint8_t> bytes(const nlattr* attr) {
  if (attr == nullptr) return {};
  const auto* begin = static_cast<const std::uint8_t*>(mnl_attr_get_payload(attr));
  return {begin, begin + mnl_attr_get_payload_len(attr)};
}

// nf_tables' own codes are negative; netfilter's carry a queue or an errno above their first byte.
bool decode_verdict(std::uint32_t code, const nlattr* chain, TraceMessage& message) {
  using ruleset::VerdictCode;
  ruleset::Verdict& verdict = message.verdict;
  switch (static_cast<std::int32_t>(code)) {
    case NFT_CONTINUE:
      verdict.code = VerdictCode::Continue;
      return true;
    case NFT_BREAK:
      verdict.code = VerdictCode::Break;
      return true;
    case NFT_RETURN:
      verdict.code = VerdictCode::Return;
      return true;
    case NFT_JUMP:
    case NFT_GOTO: {
      const auto target = text(chain);
      if (!target) return false;
      verdict.code =
          static_cast<std::int32_t>(code) == NFT_JUMP ? VerdictCode::Jump : VerdictCode::Goto;
      verdict.chain = *target;
      return true;
    }
    default:
      break;
  }
  switch (code & NF_VERDICT_MASK) {
    case NF_DROP:
      verdict.code = VerdictCode::Drop;
      return true;
    case NF_ACCEPT:
      verdict.code = VerdictCode::Accept;
      return true;
    case NF_STOLEN:
      verdict.code = VerdictCode::Drop;
      message.stolen = true;
      return true;
    case NF_QUEUE:
      verdict.code = VerdictCode::Queue;
      verdict.queue = code & ~static_cast<std::uint32_t>(NF_VERDICT_MASK);
      return true;
    default:
      return false;
  }
}

bool decode_outcome(const Attributes<NFTA_TRACE_MAX + 1>& found, TraceMessage& message) {
  switch (be32(found[NFTA_TRACE_TYPE])) {
    case NFT_TRACETYPE_POLICY:
      message.type = TraceType::Policy;
      return has_size(found[NFTA_TRACE_POLICY], 4) &&
             decode_verdict(be32(found[NFTA_TRACE_POLICY]), nullptr, message);
    case NFT_TRACETYPE_RETURN:
      message.type = TraceType::Return;
      break;
    case NFT_TRACETYPE_RULE:
      message.type = TraceType::Rule;
      break;
    default:
      return false;
  }
  const nlattr* nest = found[NFTA_TRACE_VERDICT];
  if (nest == nullptr) return false;
  const auto verdict = attributes<NFTA_VERDICT_MAX + 1>(
      static_cast<const nlattr*>(mnl_attr_get_payload(nest)), mnl_attr_get_payload_len(nest));
  return has_size(verdict[NFTA_VERDICT_CODE], 4) &&
         decode_verdict(be32(verdict[NFTA_VERDICT_CODE]), verdict[NFTA_VERDICT_CHAIN], message);
}

}  // namespace

std::optional<TraceMessage> decode_trace(const netlink::Answer& message) {
  if (message.type != netlink::nfnetlink_type(NFNL_SUBSYS_NFTABLES, NFT_MSG_TRACE)) {
    return std::nullopt;
  }
  const auto found = attributes<NFTA_TRACE_MAX + 1>(
      reinterpret_cast<const nlattr*>(message.attributes.data()), message.attributes.size());

  TraceMessage trace;
  const auto table = text(found[NFTA_TRACE_TABLE]);
  const auto chain = text(found[NFTA_TRACE_CHAIN]);
  if (!table || !chain || !decode_outcome(found, trace)) return std::nullopt;
  trace.family = static_cast<ruleset::Family>(message.family);
  trace.table = *table;
  trace.chain = *chain;
  if (has_size(found[NFTA_TRACE_ID], 4)) trace.id = mnl_attr_get_u32(found[NFTA_TRACE_ID]);
  if (has_size(found[NFTA_TRACE_RULE_HANDLE], 8)) {
    trace.handle = be64toh(mnl_attr_get_u64(found[NFTA_TRACE_RULE_HANDLE]));
  }
  trace.mark = be32(found[NFTA_TRACE_MARK]);
  trace.in_index = be32(found[NFTA_TRACE_IIF]);
  trace.out_index = be32(found[NFTA_TRACE_OIF]);
  trace.network_header = bytes(found[NFTA_TRACE_NETWORK_HEADER]);
  trace.transport_header = bytes(found[NFTA_TRACE_TRANSPORT_HEADER]);
  trace.begins_base_chain = trace.in_index != 0 || trace.out_index != 0;
  return trace;
}

Result<TraceSocket> TraceSocket::open() {
  auto socket = netlink::EventSocket::open(
      {.datagram = kMessageLimit, .at_once = kMessagesARead, .waiting = kReceiveBuffer});
  if (!socket) return std::unexpected(std::move(socket).error());
  TRY(socket->join(NFNLGRP_NFTRACE));
  return TraceSocket(std::move(*socket));
}

Result<void> TraceSocket::read(std::vector<TraceMessage>& messages, int timeout_ms) {
  return socket_.read(timeout_ms, [&](const netlink::Answer& answer) {
    if (auto message = decode_trace(answer)) messages.push_back(std::move(*message));
  });
}

}  // namespace rolewall::observe
