// What a rule has rejected just now, so that the answer is known for this host's own when it
// leaves: a reset bears the address of the one that was asked, which need not be this host's.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>

#include "eval/conntrack.h"
#include "eval/packet.h"

namespace rolewall::ask {

class Rejected {
 public:
  // By which way the answer leaves: a netdev chain's past output and postrouting
  // (nft_reject_netdev.c).
  enum class Way : std::uint8_t { Output, Device };
  void note(const eval::Packet& packet, Way way, std::uint64_t now_ns);

  // Of the packet that `packet` answers: a reset, or an error that quotes it.
  std::optional<Way> answered_by(const eval::Packet& packet, std::uint64_t now_ns) const;

 private:
  struct Noted {
    eval::Tuple tuple;
    Way way = Way::Output;
    std::uint64_t at_ns = 0;
  };
  std::deque<Noted> noted_;
};

}  // namespace rolewall::ask
