// What the kernel tells beside rulesets, on any bytes: a trace, the beginning of a logged packet
// (which is a stranger's), an entry of connection tracking. The first byte says which. None may
// crash, and what could not be read whole says so.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "netlink/conntrack_entry.h"
#include "netlink/message.h"
#include "observe/logged_packet.h"
#include "observe/trace.h"

namespace {

using namespace rolewall;  // NOLINT(google-build-using-namespace)

void require(bool condition) {
  if (!condition) std::abort();
}

void trace(netlink::View bytes) {
  const observe::TraceMessage told = observe::decode_trace({.family = 1, .attributes = bytes});
  require(told.network_header.size() <= bytes.size());
  require(told.transport_header.size() <= bytes.size());
  require(!told.problem.empty() || !told.table.empty());
}

void logged(netlink::View bytes) {
  const auto head = observe::packet_head(bytes);
  if (!head) return;
  require(bytes.size() >= 20);
  require(!observe::packet_words(*head).empty());
}

void entry(netlink::View bytes) {
  constexpr std::uint16_t kOriginal = 1;  // CTA_TUPLE_ORIG
  constexpr std::uint16_t kReply = 2;
  (void)netlink::tuple_in(bytes, kOriginal);
  (void)netlink::tuple_in(bytes, kReply);
  (void)netlink::is_over(bytes);
  (void)netlink::is_met_midway(bytes);
  (void)netlink::status_in(bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  constexpr void (*kReaders[])(netlink::View) = {trace, logged, entry};
  kReaders[data[0] % std::size(kReaders)](netlink::View(data + 1, size - 1));
  return 0;
}
