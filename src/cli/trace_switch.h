// When packets are marked. That some rule sets the trace bit makes every chain of the machine work
// for each packet, marked or not (nft_trace_init() hashes it), which costs the others some 200 ns.
// So while none of the packets meant comes, no rule sets it: the first that comes is held (NFQUEUE)
// until the marking rule is there, and meets the hook once more from its beginning; after two
// seconds without one the rule goes.
//
// Holding is a process of its own, which does nothing else and waits for nobody: a trace of the
// very session that shows it may stop this program (Ctrl-S, Ctrl-Z, a slow terminal), and what it
// then held would never come. It owns the table, and dies with this program, however that ends;
// what is held in that moment is dropped, and sent again by who sends reliably.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "base/error.h"
#include "ruleset/ruleset.h"

namespace rolewall::cli {

class TraceSwitch {
 public:
  // `table`: as ask/trace_table.h makes it. REQUIRES: this process has one thread.
  static Result<TraceSwitch> start(const ruleset::Table& table);
  ~TraceSwitch();
  TraceSwitch(TraceSwitch&& other) noexcept;
  TraceSwitch(const TraceSwitch&) = delete;
  TraceSwitch& operator=(const TraceSwitch&) = delete;
  TraceSwitch& operator=(TraceSwitch&&) = delete;

  // The kernel's generation as the last change of ours left it; `others_came`: other programs'
  // changes were seen meanwhile. Does not wait.
  struct State {
    std::uint32_t generation = 0;
    bool others_came = false;
  };
  State state();
  // Whether the process that holds is gone, and the table with it. Does not wait.
  bool has_ended() const;
  // One of the packets meant was told of: the marking rule stays for a while.
  void packet_came() const;

  // Why it marks from the beginning and holds nothing; "": it does not.
  const std::string& remark() const { return remark_; }

 private:
  TraceSwitch() = default;

  pid_t child_ = 0;
  int from_child_ = -1;
  int to_child_ = -1;
  State state_;
  std::string remark_;
};

}  // namespace rolewall::cli
