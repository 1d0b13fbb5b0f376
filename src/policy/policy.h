// A whole site's policy, typed and resolved: every name is an index, every value keeps the span of
// the text that said it. load() makes it from a directory; compile/ lowers it for one host; ask/
// turns its tests into packets. The language is specified in docs/policy-language.md.
//
// A Policy that load() returned without errors is whole: no index is out of range, no selector list
// that was written down stands for nothing, no two rules of a file and direction share an id.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/diagnostic.h"
#include "base/source.h"
#include "base/written.h"
#include "net/address.h"
#include "net/address_set.h"
#include "net/conntrack_helpers.h"
#include "net/protocol.h"

namespace rolewall::policy {

using Date = std::chrono::year_month_day;

// Index into the vector of that kind in Policy.
using Index = std::uint32_t;

// --- selectors ---------------------------------------------------------------------------------

enum class TermKind : std::uint8_t {
  Any,
  Internet,
  Site,
  Self,
  Management,
  LinkLocal,  // built-ins
  Prefix,     // an address or prefix, literally
  Host,
  Role,
  Tag,
  Network,  // `index` says which
};

struct Term {
  TermKind kind = TermKind::Any;
  Index index = 0;
  net::Prefix prefix;
  std::string text;  // as written, without '!'
  Span span;
};

struct Selector {
  bool negated = false;
  Term term;
};

// The union of the plain terms less the union of the negated; only negated terms means any less
// these. `given` is false where the key was left out, which means any.
struct Selectors {
  bool given = false;
  std::vector<Selector> items;
  Span span;
};

// --- services ----------------------------------------------------------------------------------

// One literal: "tcp/443", "udp/68 from 67", "icmpv6/echo-request", "protocol/112".
struct ServiceLiteral {
  std::uint8_t protocol = 0;
  // tcp, udp, sctp alone. `ports_given` tells `tcp` from `tcp/0-65535`, for tests' sake.
  net::PortRange destination;
  net::PortRange source;
  bool ports_given = false;
  std::optional<std::uint8_t> icmp_type;
  std::string text;  // as written
  Span span;
};

struct Service {
  std::string name;
  std::vector<ServiceLiteral> literals;
  bool shipped = false;
  bool of_block = false;  // a block's default
  Span span;
};

// What a rule's `service` or a packet's first word says: every literal of the names and literals
// listed. No literals at all: the key was left out, every protocol.
struct ServiceList {
  bool given = false;
  std::vector<std::string> names;  // as written, for messages and for the default id
  std::vector<ServiceLiteral> literals;
  Span span;
};

// What services are used for: all that lint knows of a site's weak points, besides the words of
// [site]. The names are those of [kinds].
enum class KindWord : std::uint8_t {
  PlainWeb,
  TlsWeb,
  Database,
  Management,
  Agent,
  NameService,
  TimeService,
};

struct Kind {
  std::vector<std::string> services;  // names and literals, as listed
  std::vector<ServiceLiteral> literals;
  bool given = false;
  bool shipped = false;
  Span span;
};

// --- the site ----------------------------------------------------------------------------------

struct Network {
  std::string name;
  net::AddressSet addresses;
  std::vector<std::string> dns_names;  // { names = }: resolved through rolewall.lock
  std::vector<std::string> rests_on;   // these, and those of the networks that it is made of
  std::int64_t keep_seconds = 0;       // of these: how long an address outlives the last answer
  // DNS names of it, or of what it excludes, that have no address any more (rolewall refresh): it
  // stands for less then, or for more.
  std::vector<std::string> unanswered;
  std::vector<std::string> excludes_unanswered;
  std::string list_file;  // { file = }: path as read
  bool literal = false;   // listed addresses alone: tests sample its prefixes
  // For sampling. In the order written where plain addresses are listed; empty for a list file,
  // which may be long: net::to_prefixes(addresses) gives those.
  std::vector<net::Prefix> prefixes;
  bool shipped = false;  // a default of rules/*.toml
  bool used = false;     // some selector names it
  Span span;
};

struct Interface {
  std::string name;
  std::string device;  // may end in '*'
  std::optional<net::AddressSet> behind;
  Span span;
};

// A host's own view: names map to devices, `behind` is inherited from [interfaces].
struct HostInterface {
  std::string name;
  std::vector<std::string> devices;
  std::optional<net::AddressSet> behind;
  Span span;
};

struct Host {
  std::string name;
  std::vector<Index> roles;  // into Policy::files
  std::vector<Index> tags;   // into Policy::tags
  std::vector<net::Prefix> addresses;
  std::vector<net::Prefix> virtual_addresses;
  std::vector<HostInterface> interfaces;
  Span span;

  net::AddressSet all_addresses() const;  // `addresses` and `virtual`
};

struct Tag {
  std::string name;
  std::vector<Index> hosts;
  net::AddressSet addresses;  // all its hosts' addresses
  bool used = false;          // some selector names it
  Span span;                  // where it is first given
};

// What one bare name may mean: hosts, roles, tags and networks share a namespace.
struct Named {
  TermKind kind = TermKind::Host;  // Host, Role, Tag or Network
  Index index = 0;
  Span span;  // where it is defined
};

// --- rules -------------------------------------------------------------------------------------

enum class Direction : std::uint8_t { Inbound, Outbound, Forward, Nat };
enum class Action : std::uint8_t { Accept, Drop, Reject };
enum class Mode : std::uint8_t { Enforce, Audit };

std::string_view name_of(Action action);  // as a policy writes it

// `count` per `per_seconds`, with a bucket of `burst`.
struct Rate {
  std::uint64_t count = 0;
  std::uint64_t per_seconds = 1;
  std::uint32_t burst = 0;
  bool per_source = true;  // else `in all`
  Span span;

  // As limits: where it is written makes no difference.
  bool operator==(const Rate& other) const {
    return count == other.count && per_seconds == other.per_seconds && burst == other.burst &&
           per_source == other.per_source;
  }
};

// To what a rule lowers the segment size that TCP announces: to what the path carries, or to this,
// over IPv4.
struct SegmentSize {
  std::optional<std::uint16_t> bytes;  // none: "path"
};

// What a [[nat]] rule makes of an address. It concerns the families of `addresses` alone;
// masquerade and local, which take the address of a device, concern both.
struct Translation {
  enum class Kind : std::uint8_t { Destination, Local, Source, Masquerade };
  Kind kind = Kind::Destination;
  std::vector<net::Address> addresses;  // at most one a family
  std::optional<std::uint16_t> port;    // Destination and Local; kept where absent

  bool of_source() const { return kind == Kind::Source || kind == Kind::Masquerade; }
};

// What a packet must be for a rule to speak of it; all of them must hold.
//
// Whoever handles the list of them opens it by structured binding:
//
//   const auto& [services, from, to, in, out, user] = rule.conditions;
//
// which does not compile with one member more or less. So a new condition is named by the compiler
// wherever somebody has to think of it. One that is forgotten would be a condition dropped, which
// opens a host, or would make two different rules equal.
struct Conditions {
  ServiceList services;
  Selectors from;
  Selectors to;
  std::vector<std::string> in;  // interface names; empty: any
  std::vector<std::string> out;
  std::optional<std::uint32_t> user;
};

struct Rule {
  std::string id;         // "writes"
  std::string full_name;  // "db.inbound.writes": chain, comment, counter, log, answer
  Direction direction = Direction::Inbound;
  Conditions conditions;
  std::optional<Selectors> on;  // hosts of the role on which the rule exists
  Action action = Action::Accept;
  std::optional<Rate> limit;
  std::optional<std::uint32_t> connections;
  bool early = false;
  bool log = false;
  std::optional<Rate> log_limit;                 // in place of the defaults' limits
  const net::ConntrackHelper* helper = nullptr;  // of kConntrackHelpers
  std::optional<SegmentSize> segment_size;       // [[forward]]
  std::optional<Translation> translation;        // [[nat]], and there always
  std::optional<Date> expires;
  std::string comment;
  std::string redirect_only;  // why; "": it is not said to redirect only
  bool enabled = true;
  std::vector<WrittenKey> written;  // what it says, but for its id and its comment
  // It is from `management`, which the site leaves unset, or needs DNS names without an address.
  bool left_out = false;
  Span span;  // of the rule's table
};

// --- tests -------------------------------------------------------------------------------------

// One side of a packet: "db-primary", "web,!web-01", "any:8080", "[fd00::1]:80".
struct End {
  Selectors selectors;
  std::optional<std::uint16_t> port;
};

enum class FlowState : std::uint8_t { New, Established, Related, Invalid, Untracked };

// What `in=` or `out=` names: an interface, else a device.
struct InterfaceWord {
  std::string text;
  Span span;
};

// A part of a datagram: its offset in bytes, a multiple of 8, and whether more follow.
struct Fragment {
  std::uint16_t offset = 0;
  bool more_follow = false;
};

// "mysql web > db-primary in=private": what is asked, in the user's words.
struct PacketWords {
  std::string text;
  Span span;
  ServiceList service;
  End from;
  End to;
  std::optional<InterfaceWord> in;
  std::optional<InterfaceWord> out;
  std::optional<Index> at;  // a host; `at=self` is resolved by whoever asks
  bool at_self = false;
  std::optional<FlowState> state;
  std::optional<std::uint8_t>
      tcp_flags;              // FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128
  std::optional<int> family;  // 4 or 6
  std::optional<std::uint32_t> user;
  std::optional<std::uint32_t> length;  // of the IP packet, bytes
  std::optional<std::uint8_t> ttl;
  std::optional<std::uint8_t> dscp;
  std::optional<bool> dont_fragment;  // a header of IPv4 alone has it
  std::optional<Fragment> fragment;
  std::optional<std::uint64_t> time_ns;  // when it passes, since 1970
};

enum class Expectation : std::uint8_t { Accept, Deny, Drop, Reject };

struct TestPacket {
  Expectation expected = Expectation::Accept;
  PacketWords words;
};

struct Test {
  std::string name;
  std::optional<Selectors> on;
  std::vector<TestPacket> packets;  // in the order accept, deny, drop, reject
  std::string by;                   // the rule that must decide; "" where not asked
  Span span;
};

// [[never]] or [[always]]: what holds for every packet of the words.
enum class LawKind : std::uint8_t {
  Never,   // accepted by every end that is asked
  Always,  // denied by none
};

struct Law {
  LawKind kind = LawKind::Never;
  std::string name;
  std::vector<PacketWords> packets;
  Span span;
};

// --- files -------------------------------------------------------------------------------------

// Which built-in denials are logged; the direction's default always is.
struct LogSteps {
  bool invalid = false;
  bool spoofed = true;
  bool banned = false;
  bool limits = true;  // what is over a rule's `limit` or `connections`
  bool operator==(const LogSteps&) const = default;
};

std::vector<std::string> words_of(const LogSteps& steps);  // as a policy writes them

struct LogTarget {
  Rate limit{10, 1, 10, false, {}};
  std::optional<Rate> per_source;
  std::optional<std::uint16_t> group;  // NFLOG's; none: the kernel's log
  std::uint32_t level = 4;             // syslog's, in the kernel's log
  LogSteps steps;
  bool operator==(const LogTarget&) const = default;
};

// Where each is written; unknown where it is not.
struct DefaultsPlaces {
  Span inbound;
  Span outbound;
  Span forward;
  Span mode;
  Span log;
};

struct DefaultsOverride {
  std::optional<Action> inbound;
  std::optional<Action> outbound;
  std::optional<Action> forward;
  std::optional<LogTarget> log;
  std::optional<Mode> mode;
  Span span;
  DefaultsPlaces places;
};

struct Defaults {
  Action inbound = Action::Drop;
  Action outbound = Action::Reject;
  Action forward = Action::Drop;
  LogTarget log;
  Mode mode = Mode::Enforce;
};

// A role (the site's DIR/NAME.toml) or a block (rules/NAME.toml, the site's own or a shipped one).
struct RuleFile {
  std::string name;
  bool is_role = false;
  bool shipped = false;
  std::string description;
  bool replaces_shipped = false;  // the site's own block, where one of this name is shipped
  std::vector<Index> use;         // blocks, into Policy::files
  std::vector<Span> used_at;      // where each of them is named
  std::vector<std::string> skip;  // full names of blocks' rules that this role leaves out
  DefaultsOverride defaults;
  std::vector<Rule> rules;  // all directions, each in the order written
  std::vector<Test> tests;
  std::vector<Law> laws;
  std::vector<Index> hosts;   // a role: that bear it; a block: that bear a role which uses it
  net::AddressSet addresses;  // a role: all its hosts' addresses
  FileId file = kNoFile;
  Span span;  // a role: of its name
};

// An `allow-finding` entry: this finding is known where it stands, and why it may be so.
struct AllowedFinding {
  enum class Where : std::uint8_t {
    Table,  // a rule, host or network: findings about the table at `subject`
    File,   // a role's or block's file
    Site,
  };
  Where where = Where::Table;
  std::string code;
  std::string why;
  Span span;     // of the code
  Span subject;  // where: of the table; of the file
};

// `[lint] level`: what a finding weighs on this site; no severity: it is off.
struct FindingLevel {
  std::string code;
  std::optional<Severity> severity;
};

struct Policy {
  std::string directory;
  SourceFiles sources;
  std::string site_name;
  std::optional<Selectors> management;
  std::optional<Selectors> collector;  // where agents send
  std::optional<Selectors> writers;    // the hosts that take a database's writes
  std::optional<Selectors> replicas;
  Selectors internal;
  Defaults defaults;
  DefaultsPlaces default_places;
  std::array<Kind, 7> kinds;  // by KindWord
  std::vector<AllowedFinding> allowed;
  std::vector<FindingLevel> levels;
  std::vector<Network> networks;
  std::vector<Service> services;
  std::vector<Interface> interfaces;
  std::vector<Host> hosts;
  std::vector<Tag> tags;
  std::vector<RuleFile> files;  // roles and blocks
  std::vector<Test> tests;      // site.toml's
  std::vector<Law> laws;        // likewise

  // Indices by name. A name that several things bear must be written with its kind ("role:db").
  std::multimap<std::string, Named, std::less<>> names;
  std::map<std::string, Index, std::less<>> service_names;

  // Computed once by load(): what the built-ins stand for.
  net::AddressSet site_addresses;
  net::AddressSet internet;
  net::AddressSet management_addresses;  // empty where management is unset
};

std::optional<Index> find_host(const Policy& policy, std::string_view name);

// Whether the host has an interface or a device of this name; every host has "lo". A host whose
// policy names no interface may have any device: none of its rules asks which.
bool has_interface(const Host& host, std::string_view name);

// What a list of selectors stands for, on host `self` (which `self` alone depends on).
net::AddressSet addresses_of(const Policy& policy, const Selectors& selectors, Index self);
// REQUIRES: `self` is a host's index where a term is `self`; else it is not looked at.
net::AddressSet addresses_of(const Policy& policy, const Term& term, Index self);

// Whether `on`, or any list of hosts, roles, tags, `site` and `any`, names the host.
bool names_host(const Policy& policy, const Selectors& selectors, Index host);

}  // namespace rolewall::policy
