// eval --pcap: the packets of a capture through one host's ruleset, as one conversation.
#pragma once

#include <string>

#include "base/error.h"
#include "ruleset/snapshot.h"

namespace rolewall::cli {

struct CaptureOptions {
  std::string file;
  std::string device;  // where it was taken: an interface's name or a device; "": the only
  std::string hook;    // "prerouting", "output"; "": as the addresses say
  std::string checksums = "verify";  // or "trust"
  std::string write_dropped;         // "": nowhere
  bool each = false;                 // a line for each packet
  bool explain = false;              // beside each the rules that were tried
  bool json = false;
};

// Prints, and returns the exit status.
int eval_capture(const CaptureOptions& options, const ruleset::Snapshot& snapshot);

}  // namespace rolewall::cli
