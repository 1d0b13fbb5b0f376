// A log event as it is shown: in people's words, as JSON, as fields of systemd's journal.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "observe/log_event.h"

namespace rolewall::cli {

// Of one rule about the same two hosts: `times` more within `seconds`; 0: the first.
struct ShownEvent {
  const observe::LogEvent& event;
  const observe::WrittenPolicy& policy;
  std::uint64_t times = 0;
  std::uint64_t seconds = 0;
  bool explains = false;  // with what would admit it
};

std::string log_text(const ShownEvent& shown);  // lines, the first with the time
std::string log_json(const ShownEvent& shown);  // one line

// What the journal takes from a program's socket (systemd's "native journal protocol").
std::string journal_fields(const ShownEvent& shown);
std::string journal_message(const std::string& message, int priority);

}  // namespace rolewall::cli
