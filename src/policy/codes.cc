#include "policy/codes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace rolewall::policy {
namespace {

constexpr Severity kError = Severity::Error;
constexpr Severity kWarning = Severity::Warning;
constexpr Severity kNote = Severity::Note;

constexpr std::array kTable = {
    CodeRow{Code::UnreadableFile, kError, "unreadable-file",
            "a file or directory cannot be read, is not a regular file, or is too large"},
    CodeRow{Code::InvalidUtf8, kError, "invalid-utf8", "a file is not UTF-8"},
    CodeRow{Code::Syntax, kError, "syntax", "a file is not TOML"},
    CodeRow{Code::TooDeep, kError, "too-deep", "values or dotted keys are nested too deeply"},
    CodeRow{Code::UnknownKey, kError, "unknown-key", "a key that is not known in this place"},
    CodeRow{Code::WrongType, kError, "wrong-type", "a value of the wrong type for its key"},
    CodeRow{Code::MissingKey, kError, "missing-key", "a table without a key that it needs"},
    CodeRow{Code::EmptyList, kError, "empty-list",
            "an empty list, which could mean everything or nothing"},
    CodeRow{Code::ListedTwice, kError, "listed-twice", "a list names the same thing twice"},
    CodeRow{Code::BadValue, kError, "bad-value", "a value that its key does not allow"},
    CodeRow{Code::BadAddress, kError, "bad-address",
            "not a valid address or prefix, or one that is not allowed there"},
    CodeRow{Code::HostBitsSet, kError, "host-bits-set",
            "a prefix whose address has bits set beyond its length"},
    CodeRow{Code::BadSelector, kError, "bad-selector", "not a valid selector"},
    CodeRow{Code::BadService, kError, "bad-service", "not a valid service or literal"},
    CodeRow{Code::BadLimit, kError, "bad-limit", "not a valid limit, or one out of range"},
    CodeRow{Code::BadDevice, kError, "bad-device", "not a valid name of a network device"},
    CodeRow{Code::BadDnsName, kError, "bad-dns-name", "not a valid DNS name"},
    CodeRow{Code::BadPath, kError, "bad-path",
            "a file outside of the site's directory, or a link that leads there"},
    CodeRow{Code::BadName, kError, "bad-name", "a name with characters that names cannot have"},
    CodeRow{Code::ReservedName, kError, "reserved-name", "a name that the language itself uses"},
    CodeRow{Code::AmbiguousName, kError, "ambiguous-name",
            "a name that several hosts, roles, tags or networks have"},
    CodeRow{Code::UnknownName, kError, "unknown-name",
            "no host, role, tag or network has this name"},
    CodeRow{Code::UnknownService, kError, "unknown-service", "no service has this name"},
    CodeRow{Code::UnknownInterface, kError, "unknown-interface",
            "no host, or no host that is asked, has such an interface"},
    CodeRow{Code::UnknownRole, kError, "unknown-role", "a host's role has no file"},
    CodeRow{Code::UnknownBlock, kError, "unknown-block", "a block without a file"},
    CodeRow{Code::UnknownRule, kError, "unknown-rule",
            "`skip` or `by` names a rule that does not exist"},
    CodeRow{Code::UnknownFinding, kError, "unknown-finding",
            "no finding that could be allowed or weighed is called so"},
    CodeRow{Code::MissingParameter, kError, "missing-parameter",
            "a shipped block uses a name that the site must define"},
    CodeRow{Code::SelfNotHere, kError, "self-not-here",
            "`self` where the policy is not read for a single host"},
    CodeRow{Code::RoleNotFileName, kError, "role-not-file-name",
            "`role` differs from the name of its file"},
    CodeRow{Code::RoleBearsBlockName, kError, "role-bears-block-name",
            "a role has the name of a block"},
    CodeRow{Code::EmptySelector, kError, "empty-selector", "a selector stands for no address"},
    CodeRow{Code::Cycle, kError, "cycle", "networks are defined by each other"},
    CodeRow{Code::BadListLine, kError, "bad-list-line",
            "a line of a list file is not an address or prefix"},
    CodeRow{Code::EmptyListFile, kError, "empty-list-file", "a list file without entries"},
    CodeRow{Code::NotLocked, kError, "not-locked", "a DNS name has no addresses in rolewall.lock"},
    CodeRow{Code::BadLock, kError, "bad-lock", "rolewall.lock is not what `rolewall lock` writes"},
    CodeRow{Code::DuplicateAddress, kError, "duplicate-address",
            "two hosts have the same address in `addresses`"},
    CodeRow{Code::DuplicateDevice, kError, "duplicate-device",
            "two of a host's interfaces are the same device"},
    CodeRow{Code::ConflictingDefaults, kError, "conflicting-defaults",
            "two roles of a host, or two blocks, set different defaults"},
    CodeRow{Code::MissingId, kError, "missing-id", "a rule that needs an `id` has none"},
    CodeRow{Code::DuplicateId, kError, "duplicate-id",
            "two rules of one file and direction have the same id"},
    CodeRow{Code::BadEarly, kError, "bad-early",
            "`early` with a key that needs connection tracking"},
    CodeRow{Code::BadHelper, kError, "bad-helper",
            "a `helper` that the kernel does not have, or that does not fit its rule"},
    CodeRow{Code::BadTranslation, kError, "bad-translation",
            "a [[nat]] rule that cannot work as written"},
    CodeRow{Code::MatchesNothing, kError, "matches-nothing", "no packet can ever match a rule"},
    CodeRow{Code::NotOfThisRole, kError, "not-of-this-role",
            "`on` names hosts that the file is not for"},
    CodeRow{Code::Expired, kError, "expired",
            "a rule's `expires` date has come, so the rule is left out (only check, lint and test "
            "make this an error)"},
    CodeRow{Code::BadPacket, kError, "bad-packet", "not a valid description of a packet"},
    CodeRow{Code::NoSelf, kError, "no-self", "a test in a role or block does not involve `self`"},
    CodeRow{Code::PortNeeded, kError, "port-needed", "a test asks for tcp or udp without a port"},
    CodeRow{Code::EmptyTest, kError, "empty-test", "a test without packets"},
    CodeRow{Code::ShippedTest, kError, "shipped-test",
            "a shipped block's test depends on what a site may change"},
    CodeRow{Code::NoSample, kError, "no-sample", "the words describe no packet"},
    CodeRow{Code::NotAnEnd, kError, "not-an-end",
            "the host that is asked is neither end of the packet"},
    CodeRow{Code::TooManySamples, kError, "too-many-samples",
            "a test asks about more than 200,000 packets"},
    CodeRow{Code::ExpiresSoon, kWarning, "expires-soon", "a rule expires within 30 days"},
    CodeRow{Code::ManagementUnset, kWarning, "management-unset",
            "a rule is left out because [site] sets no management"},
    CodeRow{Code::NamesUnanswered, kWarning, "names-unanswered",
            "a rule is left out because no DNS server has answered for its names for too long"},
    CodeRow{Code::UnusedRole, kWarning, "unused-role", "no host has this role"},
    CodeRow{Code::UnusedBlock, kWarning, "unused-block",
            "no role uses this block of the site, so it is not read"},
    CodeRow{Code::ReplacesShipped, kNote, "replaces-shipped",
            "the site's block replaces the shipped block of the same name"},
    CodeRow{Code::BlockTestsNotRun, kNote, "block-tests-not-run",
            "a role skips a rule of a block, so the block's tests do not run on the role's hosts"},
    CodeRow{Code::ManagementOpen, kWarning, "management-open",
            "`management` contains large parts of the internet"},
    CodeRow{Code::AddressZero, kWarning, "whole-family",
            "a prefix of length 0 where `any` or `internet` may be meant"},
    CodeRow{Code::WideTranslation, kWarning, "wide-translation",
            "a [[nat]] rule that applies to every destination address, or to every source"},
    CodeRow{Code::ShadowedRule, kWarning, "shadowed-rule",
            "earlier rules decide every packet of this one"},
    CodeRow{Code::ContradictedRule, kWarning, "contradicted-rule",
            "earlier rules decide every packet of this one, and some of them otherwise"},
    CodeRow{Code::RedundantRule, kNote, "redundant-rule",
            "without the rule the same would become of each of its packets"},
    CodeRow{Code::HalfFlow, kWarning, "half-flow",
            "a rule admits at one host what no host at the other end admits"},
    CodeRow{Code::NotDecided, kNote, "not-decided",
            "which rules of a host do nothing was not found within the budget"},
    CodeRow{Code::DroppedElsewhere, kWarning, "dropped-by-other-table",
            "another program's table drops all that a rule accepts"},
    CodeRow{Code::UnmetRule, kWarning, "unmet-rule",
            "a built-in step decides every packet of a rule, or of a service that it names"},
    CodeRow{Code::NoHostHasInterface, kWarning, "no-host-has-interface",
            "a rule is on no host of its role, because none has the interface"},
    CodeRow{Code::SkipDiffers, kWarning, "skip-differs",
            "one role of a host skips a rule that another uses"},
    CodeRow{Code::NoTests, kWarning, "no-tests", "a role has rules but no test"},
    CodeRow{Code::OverlappingBehind, kWarning, "overlapping-behind",
            "the same addresses are behind two interfaces of one host"},
    CodeRow{Code::PlainBehindTls, kWarning, "plain-behind-tls",
            "TLS from the internet ends at a host that passes requests on as plain HTTP"},
    CodeRow{Code::PlainFromInternet, kWarning, "plain-from-internet",
            "plain HTTP from the internet, which is not said to redirect only"},
    CodeRow{Code::SingleWriter, kWarning, "single-writer",
            "one host alone takes a database's writes"},
    CodeRow{Code::WritableReplica, kWarning, "writable-replica",
            "a replica's database may be reached by others than writers and replicas"},
    CodeRow{Code::TiersOnOneHost, kWarning, "tiers-on-one-host",
            "one host carries database, web and application together"},
    CodeRow{Code::SingleHost, kWarning, "single-host",
            "a role, a tag or a balancer's address has a single host"},
    CodeRow{Code::NoWayToCollector, kWarning, "no-way-to-collector",
            "a host may not send to the collector of [site]"},
    CodeRow{Code::OpenToInternet, kWarning, "open-to-internet",
            "a database or management service is open to the internet"},
    CodeRow{Code::UnrestrictedEgress, kWarning, "unrestricted-egress",
            "any connection to the internet may be opened"},
    CodeRow{Code::DatabaseDialsOut, kWarning, "database-dials-out",
            "a database's host may open connections out of the site"},
    CodeRow{
        Code::Undeclared, kWarning, "undeclared",
        "a rule's kind needs `collector`, `writers` or `replicas`, which [site] does not declare"},
    CodeRow{Code::UnusedNetwork, kWarning, "unused-network", "no selector names this network"},
    CodeRow{Code::UnusedService, kWarning, "unused-service",
            "no rule, test or kind names this service of the site"},
    CodeRow{Code::UnusedTag, kNote, "unused-tag", "no selector names this tag"},
    CodeRow{Code::UnusedInterface, kWarning, "unused-interface", "no host has this interface"},
    CodeRow{Code::OneFamily, kNote, "one-family",
            "a rule or host is for one address family, where its peers have both"},
    CodeRow{Code::PathMtuDropped, kWarning, "path-mtu-dropped",
            "an early rule drops the messages by which a smaller path tells its size"},
    CodeRow{Code::LogWithoutLimit, kWarning, "log-without-limit",
            "a rule's `log-limit` bounds each source or very little, not the log"},
    CodeRow{Code::AuditMode, kWarning, "audit-mode",
            "[defaults] let everything pass that they would deny"},
    CodeRow{Code::DefaultAccept, kWarning, "default-accept",
            "[defaults] accept what no rule matches"},
    CodeRow{Code::AllowsNothing, kWarning, "allows-nothing",
            "an `allow-finding` entry silences nothing"},
    CodeRow{Code::ManagementShutOut, kWarning, "management-shut-out",
            "a host does not admit ssh from all of `management`: an apply there is refused"},
    CodeRow{Code::NeighboursShutOut, kWarning, "neighbours-shut-out",
            "a host with an IPv6 address drops neighbour discovery: an apply there is refused"},
    CodeRow{Code::ManagementLimited, kWarning, "management-limited",
            "a rule with a limit counts ssh from `management`: forged packets use it up"},
};

constexpr bool in_enum_order() {
  for (std::size_t i = 0; i < kTable.size(); ++i) {
    if (static_cast<std::size_t>(kTable[i].code) != i) return false;
  }
  return kTable.size() == static_cast<std::size_t>(Code::ManagementLimited) + 1;
}
static_assert(in_enum_order(), "every code has its row, in order");

// Length of the UTF-8 sequence that starts with `lead`. REQUIRES: valid UTF-8.
std::size_t sequence_length(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead < 0xe0) return 2;
  return lead < 0xf0 ? 3 : 4;
}

}  // namespace

std::span<const CodeRow> code_table() {
  return kTable;
}

const CodeRow& row_of(Code code) {
  return kTable[static_cast<std::size_t>(code)];
}

const CodeRow* find_code(std::string_view word) {
  const auto at = std::ranges::find(kTable, word, &CodeRow::word);
  return at == kTable.end() ? nullptr : &*at;
}

bool may_be_silenced(const CodeRow& row) {
  return row.severity != Severity::Error;
}

bool needs_packets(Code code) {
  constexpr std::array kCodes{Code::BlockTestsNotRun,  Code::ManagementShutOut,
                              Code::NeighboursShutOut, Code::ManagementLimited,
                              Code::ShadowedRule,      Code::ContradictedRule,
                              Code::RedundantRule,     Code::HalfFlow,
                              Code::NotDecided,        Code::DroppedElsewhere};
  return std::ranges::find(kCodes, code) != kCodes.end();
}

bool needs_ruleset(Code code) {
  return code == Code::DroppedElsewhere;
}

bool is(const Diagnostic& finding, Code code) {
  return finding.code == row_of(code).word;
}

Diagnostic& report(Diagnostics& diagnostics, Code code, Span span, std::string message,
                   std::string hint) {
  const CodeRow& row = row_of(code);
  switch (row.severity) {
    case Severity::Error:
      return diagnostics.error(std::string(row.word), span, std::move(message), std::move(hint));
    case Severity::Warning:
      return diagnostics.warning(std::string(row.word), span, std::move(message), std::move(hint));
    case Severity::Note:
      break;
  }
  return diagnostics.note(std::string(row.word), span, std::move(message), std::move(hint));
}

std::string quote(std::string_view text) {
  constexpr std::size_t kLongest = 80;
  return "`" + escape(text, kLongest) + "`";
}

std::string escape(std::string_view text, std::size_t longest) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    if (out.size() > longest) {
      out += "...";
      break;
    }
    const auto byte = static_cast<unsigned char>(text[i]);
    const std::size_t length = sequence_length(byte);
    if (byte >= 0x20 && byte < 0x7f) {
      out += text[i];
    } else if (length == 1 || i + length > text.size()) {
      out += fmt::format("\\u{{{:x}}}", byte);
    } else {
      std::uint32_t point = byte & (0x7fU >> length);
      for (std::size_t k = 1; k < length; ++k) {
        point = (point << 6) | (static_cast<unsigned char>(text[i + k]) & 0x3fU);
      }
      out += fmt::format("\\u{{{:x}}}", point);
    }
    i += length;
  }
  return out;
}

}  // namespace rolewall::policy
