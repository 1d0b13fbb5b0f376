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
            "a file or directory cannot be read, is no regular file, or is too large"},
    CodeRow{Code::InvalidUtf8, kError, "invalid-utf8", "a file is not UTF-8"},
    CodeRow{Code::Syntax, kError, "syntax", "a file is not TOML"},
    CodeRow{Code::TooDeep, kError, "too-deep", "values or dotted keys are nested too deeply"},
    CodeRow{Code::UnknownKey, kError, "unknown-key", "a key that means nothing where it stands"},
    CodeRow{Code::WrongType, kError, "wrong-type", "a value of another type than its key takes"},
    CodeRow{Code::MissingKey, kError, "missing-key", "a table lacks a key that it must have"},
    CodeRow{Code::EmptyList, kError, "empty-list",
            "an empty list where it would otherwise stand for everything or for nothing"},
    CodeRow{Code::ListedTwice, kError, "listed-twice", "a list names the same thing twice"},
    CodeRow{Code::NotYetSupported, kError, "not-yet-supported",
            "a part of the language that this version does not know"},
    CodeRow{Code::BadValue, kError, "bad-value", "a value outside of what its key takes"},
    CodeRow{Code::BadAddress, kError, "bad-address",
            "a text that reads like an address or prefix and is none, or none that fits there"},
    CodeRow{Code::HostBitsSet, kError, "host-bits-set",
            "a prefix whose address has bits set beyond its length"},
    CodeRow{Code::BadSelector, kError, "bad-selector", "a text that is no selector"},
    CodeRow{Code::BadService, kError, "bad-service", "a text that is no service or literal"},
    CodeRow{Code::BadLimit, kError, "bad-limit", "a text that is no limit, or one out of range"},
    CodeRow{Code::BadDevice, kError, "bad-device", "a text that no network device can be called"},
    CodeRow{Code::BadDnsName, kError, "bad-dns-name", "a text that is no DNS name"},
    CodeRow{Code::BadPath, kError, "bad-path", "a list file outside of the site's directory"},
    CodeRow{Code::BadName, kError, "bad-name", "a name with characters that names cannot have"},
    CodeRow{Code::ReservedName, kError, "reserved-name", "a name that the language itself uses"},
    CodeRow{Code::AmbiguousName, kError, "ambiguous-name",
            "a name that several of hosts, roles, tags and networks bear"},
    CodeRow{Code::UnknownName, kError, "unknown-name",
            "no host, role, tag or network is called that"},
    CodeRow{Code::UnknownService, kError, "unknown-service", "no service is called that"},
    CodeRow{Code::UnknownInterface, kError, "unknown-interface", "no host has such an interface"},
    CodeRow{Code::UnknownRole, kError, "unknown-role", "a host's role has no file"},
    CodeRow{Code::UnknownBlock, kError, "unknown-block", "a block that has no file"},
    CodeRow{Code::UnknownRule, kError, "unknown-rule",
            "`skip` or `by` names a rule that is not there"},
    CodeRow{Code::MissingParameter, kError, "missing-parameter",
            "a shipped block uses a name that the site must define"},
    CodeRow{Code::SelfNotHere, kError, "self-not-here",
            "`self` where no single host is being compiled"},
    CodeRow{Code::RoleNotFileName, kError, "role-not-file-name",
            "`role` differs from the name of its file"},
    CodeRow{Code::RoleBearsBlockName, kError, "role-bears-block-name",
            "a role is called like a block"},
    CodeRow{Code::EmptySelector, kError, "empty-selector", "a selector stands for no address"},
    CodeRow{Code::Cycle, kError, "cycle", "networks are defined by each other"},
    CodeRow{Code::BadListLine, kError, "bad-list-line",
            "a line of a list file is no address or prefix"},
    CodeRow{Code::EmptyListFile, kError, "empty-list-file", "a list file lists nothing"},
    CodeRow{Code::NotLocked, kError, "not-locked", "a DNS name has no addresses in rolewall.lock"},
    CodeRow{Code::BadLock, kError, "bad-lock", "rolewall.lock is not what `rolewall lock` writes"},
    CodeRow{Code::DuplicateAddress, kError, "duplicate-address",
            "two hosts' `addresses` hold the same address"},
    CodeRow{Code::DuplicateDevice, kError, "duplicate-device",
            "two of a host's interfaces are the same device"},
    CodeRow{Code::ConflictingDefaults, kError, "conflicting-defaults",
            "two roles of a host, or two blocks, set different defaults"},
    CodeRow{Code::MissingId, kError, "missing-id", "a rule that needs an `id` has none"},
    CodeRow{Code::DuplicateId, kError, "duplicate-id",
            "two rules of one file and direction have the same id"},
    CodeRow{Code::BadEarly, kError, "bad-early",
            "`early` with something that is not known before connection tracking"},
    CodeRow{Code::BadTranslation, kError, "bad-translation",
            "a [[nat]] rule that cannot translate what it says"},
    CodeRow{Code::MatchesNothing, kError, "matches-nothing", "no packet can ever match a rule"},
    CodeRow{Code::NotOfThisRole, kError, "not-of-this-role",
            "`on` names hosts that the file is not for"},
    CodeRow{
        Code::Expired, kError, "expired",
        "a rule's `expires` has come: it is left out (a warning where the policy is only used)"},
    CodeRow{Code::BadPacket, kError, "bad-packet", "a text that does not describe a packet"},
    CodeRow{Code::NoSelf, kError, "no-self", "a role's or block's test asks no host of its own"},
    CodeRow{Code::PortNeeded, kError, "port-needed", "a test asks for tcp or udp without a port"},
    CodeRow{Code::EmptyTest, kError, "empty-test", "a test that asks nothing"},
    CodeRow{Code::ShippedTest, kError, "shipped-test",
            "a shipped block's test asks what a site may change"},
    CodeRow{Code::NoSample, kError, "no-sample", "a test leaves no packet to ask about"},
    CodeRow{Code::NotAnEnd, kError, "not-an-end",
            "neither end of a packet is the host that is asked"},
    CodeRow{Code::TooManySamples, kError, "too-many-samples",
            "a test asks about more than 200,000 packets"},
    CodeRow{Code::ExpiresSoon, kWarning, "expires-soon", "a rule expires within 30 days"},
    CodeRow{Code::ManagementUnset, kWarning, "management-unset",
            "a rule is left out because [site] sets no management"},
    CodeRow{Code::UnusedRole, kWarning, "unused-role", "no host has this role"},
    CodeRow{Code::UnusedBlock, kWarning, "unused-block",
            "no role uses this block of the site's: it is not read"},
    CodeRow{Code::ReplacesShipped, kNote, "replaces-shipped",
            "the site's block stands in for the shipped one of its name"},
    CodeRow{Code::BlockTestsNotRun, kNote, "block-tests-not-run",
            "a role skips a rule of a block, whose tests then do not run on the role's hosts"},
    CodeRow{Code::ManagementOpen, kWarning, "management-open",
            "management holds addresses of the internet at large"},
    CodeRow{Code::SshOpen, kWarning, "ssh-open", "ssh is open to the internet without a limit"},
    CodeRow{Code::AddressZero, kWarning, "whole-family",
            "a prefix of length 0 where `any` or `internet` may be meant"},
    CodeRow{Code::WideTranslation, kWarning, "wide-translation",
            "a [[nat]] rule takes its service from every address, or every source"},
    CodeRow{Code::ShadowedRule, kWarning, "shadowed-rule",
            "an earlier rule of the same words decides every packet of this one"},
    CodeRow{Code::NoHostHasInterface, kWarning, "no-host-has-interface",
            "a rule exists on no host of its role, as none has the interface"},
    CodeRow{Code::SkipDiffers, kWarning, "skip-differs",
            "one role of a host skips a rule that another uses"},
    CodeRow{Code::SingleHostRole, kWarning, "single-host-role", "a role that one host alone bears"},
    CodeRow{Code::EveryRoleOnOneHost, kWarning, "every-role-on-one-host",
            "one host bears every role"},
    CodeRow{Code::NoTests, kWarning, "no-tests", "a role has rules and no test"},
    CodeRow{Code::OverlappingBehind, kWarning, "overlapping-behind",
            "the same addresses are behind two interfaces of one host"},
    CodeRow{Code::PlainHttp, kWarning, "plain-http",
            "plain HTTP from hosts that take HTTPS from the internet: TLS ends at them"},
    CodeRow{Code::SingleHostTag, kNote, "single-host-tag",
            "rules depend on a tag that one host alone carries"},
};

constexpr bool in_enum_order() {
  for (std::size_t i = 0; i < kTable.size(); ++i) {
    if (static_cast<std::size_t>(kTable[i].code) != i) return false;
  }
  return kTable.size() == static_cast<std::size_t>(Code::SingleHostTag) + 1;
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
