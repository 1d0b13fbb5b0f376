// What a capture on one of the host's devices would have shown of a conversation: packets that
// arrive as the wire has them, packets that leave all translated. What `eval --pcap` says of these
// for certain must be what became of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ask/capture.h"
#include "generator.h"
#include "ruleset/snapshot.h"
#include "sandbox/observation.h"

namespace rolewall::kernel_judge {

class CaptureView {
 public:
  // Of what a capture tells beside its packets, and how it is asked.
  enum class Link : std::uint8_t {
    KnownMac,    // Ethernet, of a host whose link addresses are known
    UnknownMac,  // Ethernet, of a policy's host
    Raw,         // no link layer: a tunnel's
    Cooked,      // it says which way each packet went
  };

  CaptureView(std::string device, Link link) : device_(std::move(device)), link_(link) {}

  void note(const Question& question, const sandbox::Observation& seen, std::uint64_t time_ns);

  struct Tally {
    std::uint64_t certain = 0;
    std::uint64_t conditional = 0;
    std::uint64_t passed_over = 0;
  };
  // What limits and such count, the capture does not show all of.
  bool misses_what_is_counted(const ruleset::Ruleset& ruleset) const;

  // "": each certain answer is right. Else what is wrong with the first that is not.
  std::string first_wrong(const ruleset::Snapshot& snapshot, Tally& tally) const;

 private:
  struct Shown {
    eval::CapturedPacket packet;
    ask::Verdict became;
    bool arrived_here = false;  // of what leaves: the capture has shown it before
  };
  void show(eval::Packet packet, bool leaves, ask::Verdict became, bool arrived_here,
            std::uint64_t time_ns);

  std::string device_;
  Link link_;
  std::vector<Shown> shown_;
  bool missed_some_ = false;    // what came and left by other devices
  bool missed_denied_ = false;  // what came there, and no device has shown
};

}  // namespace rolewall::kernel_judge
