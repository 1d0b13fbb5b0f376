// Packets for the kernel and the evaluator to disagree about: aimed at a ruleset's boundaries, well
// formed and broken in every way that a wire allows. The same seed, host and number give the same
// packet, whatever was generated before.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "boundaries.h"
#include "eval/build.h"
#include "eval/packet.h"
#include "ruleset/host.h"

namespace rolewall::kernel_judge {

struct Question {
  eval::Packet packet;
  bool outbound = false;
  bool bound = true;  // outbound: the program has bound its socket to the device
};

// A packet that somebody asks about: what is near it is likely to be near a rule.
struct Known {
  eval::PacketFields fields;
  bool outbound = false;
  std::string device;
  std::optional<std::uint32_t> user;  // outbound alone
};

eval::PacketType type_of(const net::Address& destination);
Question to_question(const Known& known);

// Whether what is observed is the packet asked about: see generator.cc.
bool is_sent_as_asked(const Question& question);

class Generator {
 public:
  // Holds references: they must outlive it. `host` as sandbox::realise() makes it. `other_users`:
  // the sandbox has more users than root.
  Generator(const Boundaries& boundaries, const ruleset::Host& host,
            const std::vector<Known>& known, std::uint64_t seed, bool other_users);

  Question question(std::uint64_t number) const;

 private:
  const Boundaries& boundaries_;
  const ruleset::Host& host_;
  const std::vector<Known>& known_;
  std::vector<net::Address> own_ipv4_;
  std::vector<net::Address> own_ipv6_;
  std::vector<net::Address> shared_ipv4_;
  std::vector<net::Address> shared_ipv6_;
  std::uint64_t seed_;
  bool other_users_;
};

}  // namespace rolewall::kernel_judge
