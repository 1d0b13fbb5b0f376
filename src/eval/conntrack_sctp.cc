// SCTP's part of conntrack.h: the chunks of an association's first packet, as
// nf_conntrack_sctp_packet() of net/netfilter/nf_conntrack_proto_sctp.c walks them. It walks them
// three times: for what may stand together, for the verification tags of a new association, and for
// the tags once more, chunk by chunk.
#include <array>
#include <bitset>

#include "eval/conntrack.h"

namespace rolewall::eval {
namespace {

enum Chunk : std::uint8_t {
  kData = 0,
  kInit = 1,
  kInitAck = 2,
  kHeartbeat = 4,
  kHeartbeatAck = 5,
  kAbort = 6,
  kShutdown = 7,
  kShutdownAck = 8,
  kError = 9,
  kCookieEcho = 10,
  kCookieAck = 11,
  kShutdownComplete = 14,
};

constexpr std::size_t kCommonHeader = 12;
constexpr std::size_t kVerificationTag = 4;
constexpr std::size_t kChunkHeader = 4;
constexpr std::size_t kInitHeader = 16;  // struct sctp_inithdr

struct ChunkView {
  std::uint8_t type = 0;
  std::uint16_t length = 0;
  std::size_t offset = 0;
  unsigned index = 0;
};

// Calls visit(chunk) for each chunk until it returns false; false then.
template <class Visit>
bool for_each_chunk(ByteSpan sctp, Visit visit) {
  std::size_t offset = kCommonHeader;
  for (unsigned index = 0; offset < sctp.size() && readable(sctp, offset, kChunkHeader); ++index) {
    const std::uint8_t* header = sctp.data() + offset;
    const ChunkView chunk{header[0], be16(header + 2), offset, index};
    if (!visit(chunk)) return false;
    // do_basic_checks() has refused a length of zero before anyone steps over it.
    offset += (chunk.length + 3U) & ~3U;
  }
  return true;
}

// Chunks that change the state of an association; others leave a new one without a state, which
// is no beginning (sctp_conntracks[] has no column that leads back to NONE).
bool changes_state(std::uint8_t type) {
  switch (type) {
    case kInit:
    case kInitAck:
    case kAbort:
    case kShutdown:
    case kShutdownAck:
    case kError:
    case kCookieEcho:
    case kCookieAck:
    case kShutdownComplete:
    case kHeartbeat:
    case kHeartbeatAck:
      return true;
    default:
      return false;
  }
}

}  // namespace

const char* first_sctp_packet_error(ByteSpan sctp) {
  std::bitset<256> seen;
  unsigned count = 0;
  bool must_be_alone = false;
  const bool well_formed = for_each_chunk(sctp, [&](const ChunkView& chunk) {
    must_be_alone |=
        chunk.type == kInit || chunk.type == kInitAck || chunk.type == kShutdownComplete;
    const bool must_be_first =
        must_be_alone || chunk.type == kCookieAck || chunk.type == kCookieEcho;
    if ((must_be_first && chunk.index != 0) || chunk.length == 0) return false;
    seen.set(chunk.type);
    ++count;
    return true;
  });
  if (!well_formed) return "SCTP chunks that must not be combined";
  if (count == 0) return "an SCTP packet without a chunk";
  if (seen[kAbort] || seen[kShutdownComplete] || seen[kCookieAck]) {
    return "an SCTP chunk that ends or answers an unknown association";
  }

  // sctp_new(): the tags that the new association begins with.
  const std::uint32_t tag = be32(sctp.data() + kVerificationTag);
  std::uint32_t own_tag = 0;
  const bool begins = for_each_chunk(sctp, [&](const ChunkView& chunk) {
    if (!changes_state(chunk.type)) return false;
    if (chunk.type == kInit) {
      return tag == 0 && readable(sctp, chunk.offset + kChunkHeader, kInitHeader);
    }
    if (chunk.type == kHeartbeat) own_tag = tag;
    return true;
  });
  if (!begins) return "an SCTP packet that cannot begin an association";

  const bool tag_is_checked_by_chunk = seen[kInit] || seen[kCookieEcho] || seen[kShutdownAck] ||
                                       seen[kHeartbeat] || seen[kHeartbeatAck];
  if (!tag_is_checked_by_chunk && tag != own_tag) return "the SCTP verification tag is unknown";
  const bool tags_fit = for_each_chunk(sctp, [&](const ChunkView& chunk) {
    if (chunk.type == kCookieEcho) return tag == own_tag;
    if (chunk.type == kInitAck) {
      return readable(sctp, chunk.offset + kChunkHeader, kInitHeader);
    }
    if ((chunk.type == kHeartbeat || chunk.type == kHeartbeatAck) && own_tag == 0) own_tag = tag;
    return true;
  });
  return tags_fit ? nullptr : "the SCTP verification tag is unknown";
}

}  // namespace rolewall::eval
