// What `compile --format json` and `dump` write and `--ruleset` reads: a ruleset together with the
// host that it is for and, for one of ours, where in the policy each rule came from; of a running
// machine also what decides there beside its ruleset.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/written.h"
#include "ruleset/host.h"
#include "ruleset/ruleset.h"

namespace rolewall::ruleset {

struct SourceLine {
  std::string file;
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  std::string expires{};  // the rule's last day, "2026-11-30"; "" for none
  bool operator==(const SourceLine&) const = default;
};

// From a rule's id (its comment in the kernel) to the policy line. Kept beside the ruleset and not
// in it, so that moving a line in a file changes no rule in the kernel.
using SourceMap = std::map<std::string, SourceLine, std::less<>>;

inline constexpr std::string_view kWrittenRule = "rule";

// A part of the policy as people wrote it: a rule, the defaults, or a name that rules use with what
// it stood for when the ruleset was made. A plan compares two of them key by key.
struct Written {
  std::string kind;  // kWrittenRule, "defaults", or of a name: "network", "role", "service", ...
  std::string name;  // "web.inbound.app-from-lb", "[defaults]", "office"
  std::string file;
  std::uint32_t line = 0;  // 0: it is written in several places
  std::vector<WrittenKey> keys;
  bool operator==(const Written&) const = default;
};

// What decides about a machine's packets beside its ruleset: IPsec's policies (ip-xfrm(8)), and
// tables of iptables-legacy, whose rules cannot be read.
struct Beside {
  // Which may block or wrap what goes between these ends.
  struct IpsecPolicy {
    std::string direction;  // "in", "out", "fwd"
    net::Prefix from;
    net::Prefix to;
    bool operator==(const IpsecPolicy&) const = default;
  };
  std::vector<IpsecPolicy> ipsec{};
  std::vector<std::string> legacy_tables{};  // "ip filter (3 rules)"

  bool is_empty() const { return ipsec.empty() && legacy_tables.empty(); }
  bool operator==(const Beside&) const = default;
};

struct Snapshot {
  // A reader refuses a newer version than it knows.
  static constexpr int kVersion = 1;

  Host host;
  Ruleset ruleset;
  SourceMap sources;
  std::vector<Written> written{};  // the rules in their order; empty where none is known
  Beside beside{};                 // of a running machine
  bool operator==(const Snapshot&) const = default;
};

}  // namespace rolewall::ruleset
