// The names of what our own table holds: its chains and sets, what belongs to whom, and how our log
// lines begin. compile/ gives these names, and whoever looks for something of ours in a table takes
// them from here, so that they stand nowhere else (tests/style/check_style.py). The table's own
// name is kOwnTable (ruleset.h); the built-in steps' are in net/built_in_steps.h, where policy/ may
// read them, too.
//
// A policy rule owns the chain that bears its id ("web.inbound.app") and every chain and set whose
// name begins with the id and a slash. Ids have dots; no other name of ours has one before its
// first slash.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "net/built_in_steps.h"
#include "ruleset/ruleset.h"

namespace rolewall::ruleset::own {

namespace step = net::step;

// --- base chains -------------------------------------------------------------------------------

inline constexpr std::string_view kEarly = "early";  // on prerouting, before conntrack
inline constexpr std::string_view kInput = "input";
inline constexpr std::string_view kOutput = "output";
inline constexpr std::string_view kForward = "forward";
inline constexpr std::string_view kSegmentSizes = "mss";
inline constexpr std::string_view kNewDestination = "dstnat";
inline constexpr std::string_view kNewSource = "srcnat";

// --- what they jump to -------------------------------------------------------------------------

inline constexpr std::string_view kUnusual = "unusual";  // related and invalid packets
inline constexpr std::string_view kSpoofed = "spoofed";  // what becomes of these
inline constexpr std::string_view kRelated = "related";  // what of related packets is an answer
// Bans, by the base chain from which they are asked, and then by what becomes of the packet.
inline constexpr std::string_view kBannedInput = "banned-input";
inline constexpr std::string_view kBannedOutput = "banned-output";
inline constexpr std::string_view kBannedForward = "banned-forward";
inline constexpr std::string_view kBannedDrop = "banned-drop";
inline constexpr std::string_view kBannedReject = "banned-reject";
inline constexpr std::string_view kAllowed = "allowed";  // openings, from input

// Which rule's segment size a SYN meets.
inline constexpr std::string_view kSegmentSizeRules = "mss/forward";

// --- dispatch: from a packet to the rules that it may match ------------------------------------
// Dispatch names its chains and maps by these words and a slash; nobody looks for one of them.

inline constexpr std::string_view kEarlyDispatch = "prerouting";
inline constexpr std::string_view kInboundDispatch = "inbound";
inline constexpr std::string_view kOutboundDispatch = "outbound";
// There where the host's policy says something of forwarding or translation, and only there.
inline constexpr std::string_view kForwardDispatch = "forwarding";

// Which rule's segment size what a helper expects gets: "mss/expected/ftp".
std::string expected_segment_sizes(std::string_view helper);

// What packets meet whose destination was translated: "inbound/translated".
std::string translated_chain(std::string_view dispatch);

// --- what a policy rule owns -------------------------------------------------------------------

// What its limits deny, where that is logged, too: "web.inbound.app/excess".
std::string excess_chain(std::string_view rule);
// What lowers the segment size: "gateway.forward.out/mss".
std::string segment_size_chain(std::string_view rule);
// The state of its limits, an entry a source: "web.inbound.app/rate4".
std::string rate_set(std::string_view rule, bool ipv4);
std::string connections_set(std::string_view rule, bool ipv4);
// Who has been logged, by its own log-limit: "web.inbound.app/log4".
std::string log_set(std::string_view rule, bool ipv4);
// Addresses that it alone names, before family(): "web.inbound.app/from".
std::string source_addresses(std::string_view rule);
std::string destination_addresses(std::string_view rule);

// --- objects and sets that all rules share
// -----------------------------------------------------------------

// The object of a connection tracking helper: "helper/ftp/tcp".
std::string helper(std::string_view name, std::uint8_t protocol);

// Before family(). What a name of the policy stands for ("net/office"), and the networks behind the
// host's interfaces, numbered ("behind/1").
std::string named_addresses(std::string_view name);
std::string addresses_behind(int number);

// Who has been logged, by the defaults' limit per source: "log/4".
std::string log_set(bool ipv4);

// ICMPv6 types: neighbour discovery and MLD.
inline constexpr std::string_view kDiscovery = "discovery";

// "net/office" and "/4": each family has a set of its own.
std::string family(std::string addresses, bool ipv4);
// Of a list that is split over two sets: "net/office/4-prefixes".
std::string prefixes(std::string set);

// --- sets that are filled at run time, by `ban` and `allow` ------------------------------------

std::string banned_set(bool ipv4);   // single addresses; longer prefixes in prefixes() of it
std::string allowed_set(bool ipv4);  // protocol, port, source
bool holds_bans(std::string_view set);
bool holds_openings(std::string_view set);

// --- the kernel's log --------------------------------------------------------------------------

// "rolewall web.inbound.app accept: ". REQUIRES: it fits kMaxLogPrefixSize (verify.h).
std::string log_prefix(std::string_view rule, std::string_view fate);

}  // namespace rolewall::ruleset::own
