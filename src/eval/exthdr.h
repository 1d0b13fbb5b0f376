// Finding IPv6 extension headers, TCP and IPv4 options, SCTP chunks and DCCP options by their type,
// as net/netfilter/nft_exthdr.c does.
#pragma once

#include <cstdint>
#include <optional>

#include "eval/dissect.h"
#include "eval/wire.h"

namespace rolewall::eval {

// ipv6_find_hdr() of net/ipv6/exthdrs_core.c: where the header begins.
std::optional<std::size_t> find_ipv6_header(ByteSpan packet, std::uint8_t type);

// The TCP header, options and all; empty where it is cut off or wrong, or not there.
struct TcpHeader {
  std::size_t offset = 0;
  ByteSpan bytes;
};
TcpHeader tcp_header(ByteSpan packet, const Dissection& dissection);

// The first option of the type; `size` may reach behind the header's end.
struct TcpOption {
  std::size_t offset = 0;  // in the header
  std::size_t size = 0;
};
std::optional<TcpOption> find_tcp_option(ByteSpan header, std::uint8_t type);

// What stands there becomes NOPs, and the checksum is mended byte by byte, as
// nft_exthdr_tcp_strip_eval() and tcpoptstrip_mangle_packet() have it. `tcp`: the whole header.
void blank_tcp_option(std::uint8_t* tcp, const TcpOption& option);

// ipv4_find_option(), which knows four types and reads all options first.
struct Ipv4Option {
  enum class Is : std::uint8_t {
    Found,
    Absent,   // or the options are malformed
    Unknown,  // the kernel asks who happens to run (ns_capable() of __ip_options_compile())
  } is = Is::Absent;
  std::size_t offset = 0;  // in the packet
};
Ipv4Option find_ipv4_option(ByteSpan packet, std::uint8_t type);

// The first chunk of the type that `offset` and `length` may be read of: where these begin. With
// `present` alone it may be cut off.
std::optional<std::size_t> find_sctp_chunk(ByteSpan packet, const Dissection& dissection,
                                           std::uint8_t type, std::uint32_t offset,
                                           std::uint32_t length, bool present);

// The fixed header and what its packet type adds. REQUIRES: 12 bytes.
std::size_t dccp_header_size(const std::uint8_t* header);

bool has_dccp_option(ByteSpan packet, const Dissection& dissection, std::uint8_t type);

}  // namespace rolewall::eval
