#include "print/nft_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace rolewall::print {
namespace {

// Words that nft 1.0.6 does not take for a name where a chain or a set is declared, jumped to or
// looked up. (What it reserves elsewhere alone may be a name.)
constexpr auto kReserved = std::to_array<std::string_view>(
    {"accept",   "add",        "ah",       "all",         "arp",      "auto-merge", "bridge",
     "cgroup",   "chain",      "comment",  "comp",        "constant", "continue",   "counter",
     "cpu",      "create",     "ct",       "day",         "dccp",     "define",     "delete",
     "describe", "device",     "devices",  "dnat",        "drop",     "dst",        "dup",
     "dynamic",  "ecn",        "element",  "elements",    "esp",      "ether",      "exists",
     "expires",  "export",     "exthdr",   "fib",         "flags",    "flow",       "flowtable",
     "flush",    "frag",       "fwd",      "gc-interval", "get",      "goto",       "handle",
     "hbh",      "hook",       "hour",     "ibriport",    "ibrname",  "icmp",       "icmpv6",
     "igmp",     "iif",        "iifgroup", "iifname",     "iiftype",  "import",     "include",
     "index",    "inet",       "insert",   "interval",    "ip",       "ip6",        "ipsec",
     "jhash",    "jump",       "limit",    "list",        "ll",       "log",        "map",
     "mark",     "masquerade", "meta",     "meter",       "mh",       "missing",    "monitor",
     "netdev",   "nftrace",    "nh",       "notrack",     "numgen",   "obriport",   "obrname",
     "offload",  "oif",        "oifgroup", "oifname",     "oiftype",  "or",         "osf",
     "pkttype",  "policy",     "position", "priority",    "queue",    "quota",      "random",
     "redefine", "redirect",   "reject",   "rename",      "replace",  "reset",      "return",
     "rt",       "rt0",        "rt2",      "rtclassid",   "rule",     "ruleset",    "sctp",
     "secmark",  "set",        "size",     "skgid",       "skuid",    "snat",       "socket",
     "srh",      "symhash",    "synproxy", "table",       "tcp",      "th",         "time",
     "timeout",  "tproxy",     "type",     "typeof",      "udp",      "udplite",    "undefine",
     "update",   "vlan",       "vmap",     "xt"});

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

}  // namespace

Text identifier(std::string_view name) {
  const auto in_name = [](char c) {
    return is_letter(c) || is_digit(c) || c == '/' || c == '\\' || c == '_' || c == '.' || c == '-';
  };
  const bool begins_well = !name.empty() && (is_letter(name[0]) || name[0] == '_');
  if (!begins_well || !std::ranges::all_of(name, in_name)) {
    return cannot(fmt::format("nft cannot read the name \"{}\"", name));
  }
  if (std::ranges::find(kReserved, name) != kReserved.end()) {
    return cannot(fmt::format("the name \"{}\" is a keyword of nft", name));
  }
  return std::string(name);
}

Text in_quotes(std::string_view text) {
  if (text.find('"') != std::string_view::npos) {
    return cannot("nft cannot read a string with a quotation mark in it");
  }
  if (text.find('\n') != std::string_view::npos || text.find('\0') != std::string_view::npos) {
    return cannot("nft cannot read a string of several lines");
  }
  return fmt::format("\"{}\"", text);
}

std::string duration(std::uint64_t milliseconds) {
  constexpr auto kUnits = std::to_array<std::pair<std::uint64_t, std::string_view>>(
      {{86'400'000, "d"}, {3'600'000, "h"}, {60'000, "m"}, {1000, "s"}, {1, "ms"}});
  std::string text;
  for (const auto& [size, name] : kUnits) {
    if (milliseconds >= size) text += fmt::format("{}{}", milliseconds / size, name);
    milliseconds %= size;
  }
  return text.empty() ? "0s" : text;
}

}  // namespace rolewall::print
