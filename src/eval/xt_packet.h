// A packet as a match of iptables reads it (skb_header_pointer() of include/linux/skbuff.h), and
// what comes of reading it: the rule's answer, that the packet is dropped for its headers are cut
// off ("hotdrop"), or that bytes are asked for which nobody knows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "eval/frame.h"
#include "eval/wire.h"

namespace rolewall::eval {

class XtPacket {
 public:
  explicit XtPacket(Frame& frame) : frame_(frame) {}

  bool ipv6() const { return frame_.ipv6; }
  ByteSpan bytes() const { return frame_.bytes; }
  std::size_t size() const { return frame_.bytes.size(); }
  // par->thoff and par->fragoff of struct xt_action_param, which nft_compat fills in.
  std::size_t transport() const { return frame_.dissection.transport; }
  std::uint16_t fragment_offset() const { return frame_.dissection.fragment_offset; }

  // Null where the packet is too short.
  const std::uint8_t* read(std::size_t at, std::size_t count) {
    if (!readable(frame_.bytes, at, count)) return nullptr;
    if (frame_.notes_reads) frame_.reads.bytes.push_back({at, at + count});
    if (at + count > frame_.known()) cut_off = true;
    if (unsure.empty()) {
      if (const Frame::Unsure* what = frame_.unsure_among(at, count)) unsure = what->name;
    }
    return frame_.bytes.data() + at;
  }
  const std::uint8_t* read_transport(std::size_t count) { return read(transport(), count); }

  // par->hotdrop
  bool drop() {
    dropped = true;
    return false;
  }

  bool dropped = false;
  bool cut_off = false;  // it has read bytes that a capture has cut off
  std::string unsure;    // or that a rule wrote, and only the kernel knows what

 private:
  Frame& frame_;
};

}  // namespace rolewall::eval
