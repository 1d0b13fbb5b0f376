// The checksums of the protocols that conntrack verifies and the packet builder writes.
#pragma once

#include <cstdint>

#include "eval/wire.h"

namespace rolewall::eval {

// RFC 1071: the ones' complement of the ones' complement sum. Zero over data that holds its own
// right checksum.
std::uint16_t internet_checksum(ByteSpan data);

// The same over `data` after the pseudo header of RFC 793 or RFC 8200: addresses of one family.
std::uint16_t transport_checksum(ByteSpan source, ByteSpan destination, std::uint8_t protocol,
                                 ByteSpan data);
// With a length in the pseudo header that is not the data's: UDP-Lite's partial coverage.
std::uint16_t transport_checksum(ByteSpan source, ByteSpan destination, std::uint8_t protocol,
                                 std::uint32_t length, ByteSpan data);

// RFC 9260, appendix A: over an SCTP packet, its checksum field taken as zero. The value as it
// stands in the header, read as a big-endian number.
std::uint32_t sctp_checksum(ByteSpan packet);

// The checksum `old` of data in which `from` became `to`, both from an even place on: RFC 1624, as
// inet_proto_csum_replace4() of net/core/utils.c.
std::uint16_t mended_checksum(std::uint16_t old, ByteSpan from, ByteSpan to);

}  // namespace rolewall::eval
