#include "sandbox/trace.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace rolewall::sandbox {
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

std::unexpected<Error> failed(std::string_view what) {
  const int error = errno;
  return fail(ErrorKind::System, fmt::format("{}: {}", what, std::strerror(error)), error);
}

}  // namespace

std::optional<TraceMessage> decode_trace(std::span<const std::byte> message) {
  if (message.size() < MNL_NLMSG_HDRLEN + sizeof(nfgenmsg)) return std::nullopt;
  const auto* header = reinterpret_cast<const nlmsghdr*>(message.data());
  if (header->nlmsg_len < MNL_NLMSG_HDRLEN + sizeof(nfgenmsg) ||
      header->nlmsg_len > message.size() ||
      header->nlmsg_type != ((NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_TRACE)) {
    return std::nullopt;
  }
  const auto* generic = static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(header));
  const auto found = attributes<NFTA_TRACE_MAX + 1>(
      static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(header, sizeof(nfgenmsg))),
      header->nlmsg_len - MNL_NLMSG_HDRLEN - MNL_ALIGN(sizeof(nfgenmsg)));

  TraceMessage trace;
  const auto table = text(found[NFTA_TRACE_TABLE]);
  const auto chain = text(found[NFTA_TRACE_CHAIN]);
  if (!table || !chain || !decode_outcome(found, trace)) return std::nullopt;
  trace.family = static_cast<ruleset::Family>(generic->nfgen_family);
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

TraceSocket::TraceSocket(Descriptor socket)
    : socket_(std::move(socket)), buffers_(kMessagesARead * kMessageLimit) {}

Result<TraceSocket> TraceSocket::open() {
  Descriptor socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
  if (!socket.valid()) return failed("open a netlink socket for traces");
  const int size = kReceiveBuffer;
  if (::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0) {
    ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  }
  // Without an address of its own a socket takes no multicast.
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return failed("bind a netlink socket for traces");
  }
  const int group = NFNLGRP_NFTRACE;
  if (::setsockopt(socket.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0) {
    return failed("listen to nf_tables' traces");
  }
  return TraceSocket(std::move(socket));
}

Result<void> TraceSocket::read(std::vector<TraceMessage>& messages, int timeout_ms) {
  if (timeout_ms > 0) {
    pollfd waiting{socket_.get(), POLLIN, 0};
    if (::poll(&waiting, 1, timeout_ms) < 0 && errno != EINTR) return failed("wait for traces");
  }
  std::array<iovec, kMessagesARead> vectors{};
  std::array<mmsghdr, kMessagesARead> headers{};
  for (std::size_t i = 0; i < kMessagesARead; ++i) {
    vectors[i] = {buffers_.data() + i * kMessageLimit, kMessageLimit};
    headers[i].msg_hdr.msg_iov = &vectors[i];
    headers[i].msg_hdr.msg_iovlen = 1;
  }
  while (true) {
    const int count =
        ::recvmmsg(socket_.get(), headers.data(), kMessagesARead, MSG_DONTWAIT, nullptr);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return {};
    if (count < 0 && errno == ENOBUFS) {
      return fail(ErrorKind::Conflict, "the kernel's trace came faster than it was read", ENOBUFS);
    }
    if (count < 0) return failed("read traces");
    for (int i = 0; i < count; ++i) {
      if (auto message = decode_trace({buffers_.data() + i * kMessageLimit, headers[i].msg_len})) {
        messages.push_back(std::move(*message));
      }
    }
    if (static_cast<std::size_t>(count) < kMessagesARead) return {};
  }
}

}  // namespace rolewall::sandbox
