// Every finding about a policy, by whoever reports it (policy/ or ask/): its stable code, its
// severity and one line of meaning. Tests and machines match the code. The line is what the
// language's reference (docs/policy-language.md, Errors) and `rolewall explain CODE` say.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/diagnostic.h"

namespace rolewall::policy {

enum class Code : std::uint8_t {
  // files
  UnreadableFile,
  InvalidUtf8,
  Syntax,
  TooDeep,
  // keys and values
  UnknownKey,
  WrongType,
  MissingKey,
  EmptyList,
  ListedTwice,
  BadValue,
  BadAddress,
  HostBitsSet,
  BadSelector,
  BadService,
  BadLimit,
  BadDevice,
  BadDnsName,
  BadPath,
  // names
  BadName,
  ReservedName,
  AmbiguousName,
  UnknownName,
  UnknownService,
  UnknownInterface,
  UnknownRole,
  UnknownBlock,
  UnknownRule,
  UnknownFinding,
  MissingParameter,
  SelfNotHere,
  RoleNotFileName,
  RoleBearsBlockName,
  // what names stand for
  EmptySelector,
  Cycle,
  BadListLine,
  EmptyListFile,
  NotLocked,
  BadLock,
  DuplicateAddress,
  DuplicateDevice,
  ConflictingDefaults,
  // rules
  MissingId,
  DuplicateId,
  BadEarly,
  BadHelper,
  BadTranslation,
  MatchesNothing,
  NotOfThisRole,
  Expired,
  // tests
  BadPacket,
  NoSelf,
  PortNeeded,
  EmptyTest,
  ShippedTest,
  // tests' packets, when they are asked (ask/)
  NoSample,
  NotAnEnd,
  TooManySamples,
  // warnings: the policy is whole, and means less or more than it seems to
  ExpiresSoon,
  ManagementUnset,
  NamesUnanswered,
  UnusedRole,
  UnusedBlock,
  ReplacesShipped,
  BlockTestsNotRun,
  // lint
  ManagementOpen,
  AddressZero,
  WideTranslation,
  ShadowedRule,
  ContradictedRule,
  RedundantRule,
  HalfFlow,
  NotDecided,
  DroppedElsewhere,
  UnmetRule,
  NoHostHasInterface,
  SkipDiffers,
  NoTests,
  OverlappingBehind,
  // the site's weak points
  PlainBehindTls,
  PlainFromInternet,
  SingleWriter,
  WritableReplica,
  TiersOnOneHost,
  SingleHost,
  NoWayToCollector,
  OpenToInternet,
  UnrestrictedEgress,
  DatabaseDialsOut,
  Undeclared,
  // hygiene
  UnusedNetwork,
  UnusedService,
  UnusedTag,
  UnusedInterface,
  OneFamily,
  PathMtuDropped,
  LogWithoutLimit,
  AuditMode,
  DefaultAccept,
  AllowsNothing,
  // what the guard would refuse, or what shuts out without it (ask/)
  ManagementShutOut,
  NeighboursShutOut,
  ManagementLimited,
};

struct CodeRow {
  Code code;
  Severity severity;
  std::string_view word;
  std::string_view meaning;
};

// In the order of the enum.
std::span<const CodeRow> code_table();
const CodeRow& row_of(Code code);
// By its word ("unknown-key"); nullptr where no finding is called that.
const CodeRow* find_code(std::string_view word);
// A finding that a site may weigh, allow or leave out: of a policy that is right. Errors are not.
bool may_be_silenced(const CodeRow& row);
// `check` alone looks for it, since packets are asked about.
bool needs_packets(Code code);
// Whether it is looked for where a ruleset with other programs' tables is given, and nowhere else.
bool needs_ruleset(Code code);
bool is(const Diagnostic& finding, Code code);

// Reports under the code's word and severity. The reference is valid until the next report.
Diagnostic& report(Diagnostics& diagnostics, Code code, Span span, std::string message,
                   std::string hint = "");

// A name or text of the user's for a message: in backticks, of bounded length, with every control
// and non-ASCII character escaped, so that a policy cannot write to the reader's terminal.
std::string quote(std::string_view text);
// The same without backticks, for a sentence that others made of the user's text.
std::string escape(std::string_view text, std::size_t longest);

}  // namespace rolewall::policy
