// The live kernel as a judge of packets: what it does with each through a ruleset that is in force
// in the sandbox, hook by hook, and which rules ran.
//
// Every packet is judged as a flow's first, on a host without history: the watch (watch.h) drops it
// after its last hook, so that no connection is remembered, and where a rule remembers (a limit, a
// set filled from the packet path) the ruleset is loaded afresh before a packet could notice. So
// the answers are those of an evaluator whose limits are unspent. A refill is not waited for: rates
// matter only as bursts.
//
// With Memory::Kept packets are one conversation instead, until forget(): they come through, and
// connections, translations and what rules remember stay, and the ruleset is not loaded again.
//
// It does not see what happens at ingress hooks, nor to packets with a firewall mark of their own.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/error.h"
#include "eval/packet.h"
#include "ruleset/host.h"
#include "ruleset/ruleset.h"
#include "sandbox/observation.h"

namespace rolewall::sandbox {

class Judge {
 public:
  // Puts the ruleset under trial in force, as new. It must make the same objects in the same order
  // each time, so that their handles stay; other tables than its own it leaves alone.
  using Load = std::function<Result<void>()>;

  enum class Memory : std::uint8_t { None, Kept };
  // Whether it also says what each packet was in the end. With Memory::Kept it always does.
  enum class After : std::uint8_t { Untold, Told };

  // REQUIRES: called inside run(), after set_up_host(host), with no ruleset in force. The calling
  // thread stays on one processor from here on, so that packets keep their order.
  static Result<Judge> open(const ruleset::Host& host, Load load, Memory memory = Memory::None,
                            After after = After::Untold);
  // The same, for a ruleset of one table.
  static Result<Judge> open(const ruleset::Host& host, ruleset::Table table);
  ~Judge();
  Judge(Judge&&) noexcept;
  Judge& operator=(Judge&&) noexcept;

  // The ruleset under trial as the kernel holds it, without elements: what the answers' indexes
  // mean.
  const ruleset::Ruleset& ruleset() const;

  // Comes in by packet.in_device ("lo" too): prerouting, then input or, where the host forwards,
  // forward and postrouting.
  Result<Observation> arrive(const eval::Packet& packet);
  // A program of packet.user sends it by packet.out_device: output, postrouting.
  Result<Observation> send(const eval::Packet& packet);

  // Of Memory::Kept: begins a conversation, with no connection known and the ruleset as new.
  Result<void> forget();

  // How often the ruleset has been loaded.
  std::uint64_t loads() const;

 private:
  struct State;
  explicit Judge(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace rolewall::sandbox
