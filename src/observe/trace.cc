#include "observe/trace.h"

#include <fmt/format.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "netlink/attributes.h"
#include "netlink/kernel_numbers.h"

namespace rolewall::observe {
namespace {

using netlink::Attributes;
using ruleset::VerdictCode;

// The longest: two names of 255 bytes, a jump's target, and some 200 bytes of the rest.
constexpr std::size_t kMessageLimit = 2048;
constexpr std::size_t kMessagesARead = 32;
// Asked for; the kernel gives what net.core.rmem_max allows.
constexpr int kReceiveBuffer = 64 << 20;

// Of enum nft_trace_attributes, newer than the headers here (kernel 6.16): what conntrack knows of
// the packet.
constexpr std::uint16_t kTraceCtId = 18;
constexpr std::uint16_t kTraceCtDirection = 19;
constexpr std::uint16_t kTraceCtStatus = 20;
constexpr std::uint16_t kTraceCtState = 21;

// A verdict of the packet path: beside those that rules are written with, NF_STOLEN, and an errno
// above a drop's first byte.
void take_verdict(std::uint32_t number, Attributes& attributes, TraceMessage& message) {
  const std::uint32_t code = number & NF_VERDICT_MASK;
  if (const auto known = netlink::verdict_of(number)) {
    message.verdict = *known;
  } else if (code == NF_DROP || code == NF_STOLEN) {
    message.verdict.code = VerdictCode::Drop;
    message.stolen = code == NF_STOLEN;
  } else {
    attributes.problem(fmt::format("verdict {} is unknown", static_cast<std::int32_t>(number)));
  }
}

void take_rule(Attributes& attributes, TraceMessage& message) {
  Attributes nest(attributes.bytes(NFTA_TRACE_VERDICT));
  take_verdict(nest.be32(NFTA_VERDICT_CODE), nest, message);
  if (netlink::names_a_chain(message.verdict))
    message.verdict.chain = nest.text(NFTA_VERDICT_CHAIN);
  if (std::string problem = nest.finish(); !problem.empty()) {
    attributes.problem("in its verdict: " + problem);
  }
}

void take_outcome(Attributes& attributes, TraceMessage& message) {
  const std::uint32_t type = attributes.be32(NFTA_TRACE_TYPE);
  switch (type) {
    case NFT_TRACETYPE_POLICY:
      message.type = TraceType::Policy;
      take_verdict(attributes.be32(NFTA_TRACE_POLICY), attributes, message);
      return;
    case NFT_TRACETYPE_RETURN:
      message.type = TraceType::Return;
      take_rule(attributes, message);
      return;
    case NFT_TRACETYPE_RULE:
      message.type = TraceType::Rule;
      take_rule(attributes, message);
      return;
    default:
      attributes.problem(fmt::format("trace type {} is unknown", type));
  }
}

std::vector<std::uint8_t> header_in(Attributes& attributes, std::uint16_t type) {
  const netlink::View bytes = attributes.bytes_or_empty(type);
  return {bytes.begin(), bytes.end()};
}

}  // namespace

TraceMessage decode_trace(const netlink::Answer& message) {
  Attributes attributes(message.attributes);
  TraceMessage trace;
  if (message.type != netlink::nfnetlink_type(NFNL_SUBSYS_NFTABLES, NFT_MSG_TRACE)) {
    attributes.problem(fmt::format("message type {:#x} is not a trace", message.type));
  }
  if (const auto family = netlink::family_of(message.family)) {
    trace.family = *family;
  } else {
    attributes.problem(fmt::format("family {} is unknown", message.family));
  }
  trace.table = attributes.text(NFTA_TRACE_TABLE);
  trace.chain = attributes.text(NFTA_TRACE_CHAIN);
  trace.handle = attributes.be64_or(NFTA_TRACE_RULE_HANDLE, 0);
  take_outcome(attributes, trace);
  trace.mark = attributes.be32_or(NFTA_TRACE_MARK, 0);
  trace.in_index = attributes.be32_or(NFTA_TRACE_IIF, 0);
  trace.out_index = attributes.be32_or(NFTA_TRACE_OIF, 0);
  trace.begins_base_chain = trace.in_index != 0 || trace.out_index != 0;
  trace.network_header = header_in(attributes, NFTA_TRACE_NETWORK_HEADER);
  trace.transport_header = header_in(attributes, NFTA_TRACE_TRANSPORT_HEADER);
  if (attributes.has(NFTA_TRACE_ID)) trace.id = attributes.host_u32(NFTA_TRACE_ID);
  if (attributes.has(kTraceCtState)) trace.ct_state = attributes.be32(kTraceCtState);
  trace.ct_status = attributes.be32_or(kTraceCtStatus, 0);
  // Of its devices and link; of its connection.
  for (const std::uint16_t known :
       {std::uint16_t{NFTA_TRACE_NFPROTO}, std::uint16_t{NFTA_TRACE_PAD},
        std::uint16_t{NFTA_TRACE_LL_HEADER}, std::uint16_t{NFTA_TRACE_IIFTYPE},
        std::uint16_t{NFTA_TRACE_OIFTYPE}, kTraceCtId, kTraceCtDirection}) {
    attributes.ignore(known);
  }
  trace.problem = attributes.finish();
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
  return socket_.read(timeout_ms, [&](const netlink::Answer& message) {
    messages.push_back(decode_trace(message));
  });
}

}  // namespace rolewall::observe
