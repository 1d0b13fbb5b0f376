// What `status` noticed beside drift. It changes no exit status: the ruleset is what was applied.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace rolewall::observe {

// Warning: something passes, or is lost, otherwise than the policy says. Note: worth knowing.
enum class Weight : std::uint8_t { Note, Warning };

enum class Code : std::uint8_t {
  // other programs
  PublishedPort,
  Untracked,
  SentPast,
  OffloadedFlows,
  LegacyIptables,
  // the machine
  OtherMachine,
  AbsentDevice,
  NoNatHelper,
  ForwardingOn,
  ForwardingOff,
  SourceRoute,
  RouteLocalnet,
  Redirects,
  ForgedSources,
  ConntrackFull,
  TcpLiberal,
  TcpLoose,
  BridgedFrames,
  // rules, and programs that listen
  ExpiredRule,
  ExpiringRule,
  UnadmittedListener,
  IdleRule,
};

// `word` is stable: "published-port". docs/json.md has both.
struct CodeRow {
  Code code;
  std::string_view word;
  std::string_view meaning;
};

// In the order of the enum.
std::span<const CodeRow> code_table();
std::string_view name_of(Code code);
// By its word; nullptr where no finding of the machine is called that.
const CodeRow* find_code(std::string_view word);

struct Finding {
  Weight weight = Weight::Note;
  Code code = Code::PublishedPort;
  std::string what;
  std::string hint;  // what to do, or what follows; "" where nothing does
  bool operator==(const Finding&) const = default;
};

}  // namespace rolewall::observe
