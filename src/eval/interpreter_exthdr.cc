// The interpreter's reading and writing of extension headers and options:
// net/netfilter/nft_exthdr.c.
#include <fmt/format.h>

#include <algorithm>

#include "eval/checksum.h"
#include "eval/exthdr.h"
#include "eval/interpreter.h"
#include "eval/render.h"

namespace rolewall::eval {
namespace {

using ruleset::ExthdrKind;

constexpr std::size_t kTcpChecksum = 16;

}  // namespace

Interpreter::Next Interpreter::run_exthdr(const ruleset::Exthdr& load) {
  const ByteSpan bytes = frame_->bytes;
  const Dissection& dissection = frame_->dissection;
  frame_->reads.options = true;
  // Of a header that was found at `start`, or not.
  const auto loaded = [&](std::optional<std::size_t> start) {
    if (load.present) {
      store_byte(load.destination, start ? 1 : 0);
      return Next::Expression;
    }
    if (!start || !readable(bytes, *start, load.length)) return Next::Break;
    return store_loaded(load.destination, *start, load.length);
  };
  switch (load.kind) {
    case ExthdrKind::Ipv6: {
      if (!frame_->ipv6) return Next::Break;
      auto start = find_ipv6_header(bytes, load.type);
      if (start) *start += load.offset;
      return loaded(start);
    }
    case ExthdrKind::Ipv4Option: {
      if (frame_->ipv6) return Next::Break;
      if (frame_->rewritten_options) {
        return undecided("IP options that the host has changed");
      }
      const Ipv4Option option = find_ipv4_option(bytes, load.type);
      switch (option.is) {
        case Ipv4Option::Is::Found:
          return loaded(option.offset + load.offset);
        case Ipv4Option::Is::Absent:
          return loaded(std::nullopt);
        case Ipv4Option::Is::Unknown:
          return undecided(
              "IP options with one that the kernel reads only for privileged programs");
      }
      return Next::Break;
    }
    case ExthdrKind::TcpOption: {
      const TcpHeader header = tcp_header(bytes, dissection);
      const auto option = find_tcp_option(header.bytes, load.type);
      if (!option || option->offset + option->size > header.bytes.size() ||
          std::size_t{load.length} + load.offset > option->size) {
        return loaded(std::nullopt);
      }
      return loaded(header.offset + option->offset + load.offset);
    }
    case ExthdrKind::Sctp:
      return loaded(
          find_sctp_chunk(bytes, dissection, load.type, load.offset, load.length, load.present));
    case ExthdrKind::Dccp:
      // The kernel reads no more of these than whether they are there.
      store_byte(load.destination, has_dccp_option(bytes, dissection, load.type) ? 1 : 0);
      return Next::Expression;
  }
  return Next::Break;
}

Interpreter::Next Interpreter::run_exthdr_write(const ruleset::ExthdrWrite& write,
                                                std::uint16_t unknown) {
  constexpr std::uint8_t kMaximumSegmentSize = 2;
  const TcpHeader header = tcp_header(frame_->bytes, frame_->dissection);
  if (header.bytes.empty()) return Next::Break;
  const auto option = find_tcp_option(header.bytes, write.type);
  if (!option) return Next::Expression;
  if (option->offset + option->size > header.bytes.size() ||
      std::size_t{write.length} + write.offset > option->size) {
    return Next::Break;
  }
  const std::size_t start = option->offset + write.offset;
  if (unknown != 0) {
    const std::string name =
        fmt::format("{}, set to {}", option_name(write.kind, write.type), unknown_name(unknown));
    const std::size_t at = header.offset + start;
    const std::size_t checksum = header.offset + kTcpChecksum;
    frame_->unsure.push_back({at, at + write.length, name});
    frame_->unsure.push_back({checksum, checksum + 2, "the TCP checksum"});
    return Next::Expression;
  }
  const ByteSpan now = header.bytes.subspan(start, write.length);
  const ByteSpan wanted(at(write.source), write.length);
  if (std::ranges::equal(now, wanted)) return Next::Expression;
  // A segment size that grew could stall the connection.
  if (write.type == kMaximumSegmentSize && write.length == 2 &&
      be16(now.data()) <= be16(wanted.data())) {
    return Next::Expression;
  }
  std::uint8_t* tcp = frame_->own_bytes().data() + header.offset;
  put_be16(tcp + kTcpChecksum,
           mended_checksum(be16(tcp + kTcpChecksum), {tcp + start, write.length}, wanted));
  std::ranges::copy(wanted, tcp + start);
  return Next::Expression;
}

Interpreter::Next Interpreter::run_exthdr_reset(const ruleset::ExthdrReset& reset) {
  const TcpHeader header = tcp_header(frame_->bytes, frame_->dissection);
  if (header.bytes.empty()) return Next::Break;
  const auto option = find_tcp_option(header.bytes, reset.type);
  if (!option) return Next::Expression;
  if (option->offset + option->size > header.bytes.size()) {
    target_ = {.code = ruleset::VerdictCode::Drop};  // the kernel: "can't remove"
    return Next::Verdict;
  }
  blank_tcp_option(frame_->own_bytes().data() + header.offset, *option);
  return Next::Expression;
}

}  // namespace rolewall::eval
