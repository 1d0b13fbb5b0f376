#include "policy/keys.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>
#include <string>
#include <utility>

#include "base/suggest.h"
#include "policy/codes.h"
#include "policy/left_out.h"

namespace rolewall::policy {
namespace {

using enum KeyType;

constexpr std::array kSiteFileKeys = {
    Key{"site", Table},    Key{"networks", Table}, Key{"services", Table}, Key{"interfaces", Table},
    Key{"hosts", Table},   Key{"defaults", Table}, Key{"test", Tables},    Key{"never", Tables},
    Key{"always", Tables}, Key{"kinds", Table},    Key{"lint", Table}};
constexpr std::array kRoleFileKeys = {
    Key{"role", String, true},  Key{"description", String}, Key{"use", StringsOrNone},
    Key{"skip", StringsOrNone}, Key{"defaults", Table},     Key{"inbound", Tables},
    Key{"outbound", Tables},    Key{"test", Tables},        Key{"forward", Tables},
    Key{"nat", Tables},         Key{"never", Tables},       Key{"always", Tables},
    Key{"allow-finding", Table}};
constexpr std::array kBlockFileKeys = {
    Key{"description", String}, Key{"inbound", Tables},     Key{"outbound", Tables},
    Key{"test", Tables},        Key{"networks", Table},     Key{"services", Table},
    Key{"forward", Tables},     Key{"nat", Tables},         Key{"never", Tables},
    Key{"always", Tables},      Key{"allow-finding", Table}};
constexpr std::array kServicesFileKeys = {Key{"services", Table}, Key{"kinds", Table}};
constexpr std::array kLockFileKeys = {Key{"names", Table}};
constexpr std::array kSiteKeys = {Key{"name", String},        Key{"management", Strings},
                                  Key{"internal", Strings},   Key{"collector", Strings},
                                  Key{"writers", Strings},    Key{"replicas", Strings},
                                  Key{"allow-finding", Table}};
constexpr std::array kKindsKeys = {
    Key{"plain-web", StringsOrNone},   Key{"tls-web", StringsOrNone},
    Key{"database", StringsOrNone},    Key{"management", StringsOrNone},
    Key{"agent", StringsOrNone},       Key{"name-service", StringsOrNone},
    Key{"time-service", StringsOrNone}};
constexpr std::array kLintKeys = {Key{"level", Table}};
constexpr std::array kInterfaceKeys = {Key{"device", String}, Key{"behind", Strings}};
constexpr std::array kHostKeys = {Key{"role", Strings, true},        Key{"tags", StringsOrNone},
                                  Key{"addresses", Strings, true},   Key{"virtual", StringsOrNone},
                                  Key{"interfaces", StringsOrTable}, Key{"allow-finding", Table}};
constexpr std::array kDefaultsKeys = {Key{"inbound", String}, Key{"outbound", String},
                                      Key{"forward", String}, Key{"log", Table},
                                      Key{"mode", String}};
constexpr std::array kLogKeys = {Key{"limit", String}, Key{"per-source", String},
                                 Key{"to", IntegerOrString}, Key{"steps", StringsOrNone}};
constexpr std::array kNetworkKeys = {Key{"file", String}, Key{"names", Strings},
                                     Key{"keep", String}, Key{"addresses", Strings},
                                     Key{"allow-finding", Table}};

template <std::size_t N, std::size_t M>
constexpr std::array<Key, N + M> both(const std::array<Key, N>& these,
                                      const std::array<Key, M>& those) {
  std::array<Key, N + M> keys{};
  std::ranges::copy(these, keys.begin());
  std::ranges::copy(those, keys.begin() + N);
  return keys;
}

// What any rule takes, and then what those take that decide about packets.
constexpr std::array kRuleKeys = {Key{"id", String},          Key{"service", Strings},
                                  Key{"from", Strings},       Key{"to", Strings},
                                  Key{"on", Strings},         Key{"expires", KeyType::LocalDate},
                                  Key{"comment", String},     Key{"enabled", KeyType::Boolean},
                                  Key{"allow-finding", Table}};
constexpr auto kFilterKeys = both(
    kRuleKeys, std::array{Key{"action", String}, Key{"limit", String}, Key{"connections", Integer},
                          Key{"log", Boolean}, Key{"log-limit", String}, Key{"helper", String}});
constexpr auto kInboundKeys =
    both(kFilterKeys,
         std::array{Key{"in", Strings}, Key{"early", Boolean}, Key{"redirect-only", String}});
constexpr auto kOutboundKeys =
    both(kFilterKeys, std::array{Key{"out", Strings}, Key{"user", IntegerOrString}});
constexpr auto kForwardKeys = both(
    kFilterKeys, std::array{Key{"in", Strings}, Key{"out", Strings}, Key{"mss", IntegerOrString}});
constexpr auto kNatKeys =
    both(kRuleKeys, std::array{Key{"in", Strings}, Key{"out", Strings},
                               Key{"new-destination", String}, Key{"new-source", String}});
constexpr std::array kTestKeys = {
    Key{"name", String},  Key{"on", Strings},     Key{"accept", Strings}, Key{"deny", Strings},
    Key{"drop", Strings}, Key{"reject", Strings}, Key{"by", String}};

constexpr std::array kLawKeys = {Key{"name", String}, Key{"packets", Strings, true}};

// Keys that people expect from other tools or from another kind of table, and what to write.
struct Advice {
  std::string_view key;
  std::string_view hint;
  std::string_view table{};  // in this one alone
};
constexpr std::string_view kRulesAre =
    "rules are [[inbound]] (to this host), [[outbound]] (from it) and [[forward]] (through it)";
constexpr std::array kAdvice = {
    Advice{"port", "name the port in the service: service = \"tcp/8080\""},
    Advice{"ports", "name the ports in the service: service = \"tcp/8000-8010\""},
    Advice{"protocol", "name the protocol in the service: service = \"udp/53\""},
    Advice{"source", "the source is `from`"},
    Advice{"src", "the source is `from`"},
    Advice{"saddr", "the source is `from`"},
    Advice{"destination", "the destination is `to`"},
    Advice{"dst", "the destination is `to`"},
    Advice{"daddr", "the destination is `to`"},
    Advice{"dport", "write the port in `service`: \"tcp/443\""},
    Advice{"sport", "write the source's port in `service`: \"udp/68 from 67\""},
    Advice{"iif", "the interface that a packet arrives on is `in`"},
    Advice{"iifname", "the interface that a packet arrives on is `in`"},
    Advice{"oif", "the interface that a packet leaves by is `out`"},
    Advice{"oifname", "the interface that a packet leaves by is `out`"},
    Advice{"rate", "how many new connections are allowed is `limit`: \"10/minute\""},
    Advice{"host", "did you mean `hosts`?", "site.toml"},
    Advice{"host", "the hosts of the role that a rule is for are `on`"},
    Advice{"verdict", "what happens to the packet is `action`: accept, drop or reject"},
    Advice{"jump", "what happens to the packet is `action`: accept, drop or reject"},
    Advice{"target", "what happens to the packet is `action`: accept, drop or reject"},
    Advice{"except", "add the exception to the list, with `!` before it"},
    Advice{"hours", "rules cannot depend on the time of day"},
    Advice{"days", "rules cannot depend on the day of the week"},
    Advice{"variables", "define a network instead, under [networks] in site.toml"},
    Advice{"owner", "there is no key for the owner: version control records it"},
    Advice{"networks", "networks are defined in site.toml"},
    Advice{"services", "a rule has a `service`; services are defined in site.toml"},
    Advice{"hosts", "hosts are defined in site.toml"},
    Advice{"interfaces", "interfaces are defined in site.toml"},
    Advice{"inbound", "rules belong in the file of a role or block"},
    Advice{"outbound", "rules belong in the file of a role or block"},
    Advice{"forward", "rules belong in the file of a role or block"},
    Advice{"nat", "rules belong in the file of a role or block"},
    Advice{"action", "a [[nat]] rule only translates: deny with [[inbound]] or [[forward]]",
           "[[nat]]"},
    Advice{"limit", "a [[nat]] rule only translates: limit with [[inbound]] or [[forward]]",
           "[[nat]]"},
    Advice{"connections", "a [[nat]] rule only translates: limit with [[inbound]] or [[forward]]",
           "[[nat]]"},
    Advice{"log", "a [[nat]] rule only translates: log with [[inbound]] or [[forward]]", "[[nat]]"},
    Advice{"helper", "a [[nat]] rule only translates: `helper` belongs to the rule that accepts",
           "[[nat]]"},
    Advice{"mss", "only forward rules change the segment size"},
    Advice{"new-destination", "only [[nat]] rules translate"},
    Advice{"new-source", "only [[nat]] rules translate"},
    Advice{"use", "only roles can use blocks"},
    Advice{"redirect-only", "only inbound rules can say that they redirect only"},
    Advice{"early", "only inbound rules can be early"},
    Advice{"user", "only outbound rules can match the socket's owner"},
    Advice{"in", kRulesAre, "a role's file"},
    Advice{"input", kRulesAre, "a role's file"},
    Advice{"ingress", kRulesAre, "a role's file"},
    Advice{"incoming", kRulesAre, "a role's file"},
    Advice{"out", kRulesAre, "a role's file"},
    Advice{"output", kRulesAre, "a role's file"},
    Advice{"egress", kRulesAre, "a role's file"},
    Advice{"outgoing", kRulesAre, "a role's file"},
    Advice{"rule", kRulesAre, "a role's file"},
    Advice{"rules", kRulesAre, "a role's file"},
    Advice{"chain", kRulesAre, "a role's file"},
    Advice{"in", kRulesAre, "a block's file"},
    Advice{"out", kRulesAre, "a block's file"},
    Advice{"rules", kRulesAre, "a block's file"},
    Advice{"policy", "what no rule decides is [defaults]: inbound = \"drop\""},
    Advice{"state",
           "rules decide about a connection's first packet: its others pass by themselves"},
    Advice{"proto", "name the protocol in the service: service = \"udp/53\""},
    Advice{"packages", "what updates a host may fetch is a rule: `use = [\"baseline\"]` has one"},
    Advice{"prefixes", "the addresses and prefixes of a network are `addresses`"},
    Advice{"cidr", "the addresses and prefixes of a network are `addresses`"},
    Advice{"allow", "did you mean `accept`?", "[[test]]"},
    Advice{"block", "did you mean `deny`?", "[[test]]"},
    Advice{"in", "an outbound rule takes `out`, the interface the packet leaves by"},
    Advice{"out", "an inbound rule takes `in`, the interface the packet arrives on"},
};

bool contains(Keys keys, std::string_view name) {
  return std::any_of(keys.begin(), keys.end(), [&](const Key& key) { return key.name == name; });
}

// What is known of a key that means nothing where it stands.
struct Unknown {
  std::string hint;
  std::optional<std::string> meant;  // the key that it misspells
};

Unknown unknown_key(std::string_view name, std::string_view table, Keys known, Keys top) {
  // A slip of the finger, unless the word is right elsewhere.
  if (contains(top, name)) return {"top-level keys go before the first [section]", {}};
  for (const Advice& advice : kAdvice) {
    const bool holds_here = advice.table.empty() || advice.table == table;
    if (advice.key == name && holds_here) return {std::string(advice.hint), {}};
  }
  std::vector<std::string> names;
  for (const Key& key : known) names.emplace_back(key.name);
  std::string hint = did_you_mean(name, names);
  if (hint.empty()) hint = fmt::format("it takes {}", fmt::join(names, ", "));
  return {std::move(hint), nearest(name, names)};
}

std::string_view type_name(KeyType type) {
  switch (type) {
    case String:
      return "a string";
    case Strings:
    case StringsOrNone:
      return "a string or a list of strings";
    case StringsOrTable:
      return "a string, a list of strings or a table";
    case Boolean:
      return "true or false";
    case Integer:
      return "an integer";
    case IntegerOrString:
      return "an integer or a string";
    case KeyType::LocalDate:
      return "a date";
    case Table:
      return "a table";
    case Tables:
      return "a table or a list of tables";
      break;
  }
  return "something else";
}

std::string wrong_type_hint(const Value& value, KeyType type, std::string_view name) {
  if (type == KeyType::LocalDate &&
      (value.kind == ValueKind::String || value.kind == ValueKind::Time)) {
    return "write the date alone, without quotes: 2027-03-01";
  }
  if (type == Boolean && (value.text == "true" || value.text == "false")) {
    return "write it without quotes";
  }
  if (type == Boolean) return "write true or false, without quotes";
  if (type == Strings && value.kind == ValueKind::Integer && name == "service") {
    return fmt::format("did you mean \"tcp/{}\"?", value.integer);
  }
  if (type == String && name == "limit" && value.kind == ValueKind::Integer) {
    return fmt::format("did you mean \"{}/second\"?", value.integer);
  }
  if (type == Integer && value.kind == ValueKind::String) return "write the number without quotes";
  if (type == String && value.kind == ValueKind::Array && value.items.size() == 1) {
    return "write the value without brackets";
  }
  return "";
}

// A line to add; "" for keys that say it themselves.
std::string_view example_of(std::string_view key) {
  constexpr std::pair<std::string_view, std::string_view> kExamples[] = {
      {"role", "add role = \"web\": the name of a file NAME.toml, without .toml"},
      {"addresses", "add addresses = [\"192.0.2.10\", \"2001:db8::10\"]: the host's own"},
      {"packets", "add packets = \"ssh internet > self\""}};
  const auto* at =
      std::ranges::find(kExamples, key, &std::pair<std::string_view, std::string_view>::first);
  return at == std::end(kExamples) ? "" : at->second;
}

// What would hold without the key: the reader may be about to take it out.
std::string empty_list_hint(std::string_view name) {
  constexpr std::pair<std::string_view, std::string_view> kWithout[] = {
      {"from", "any address"},       {"to", "any address"},
      {"service", "every protocol"}, {"in", "every interface"},
      {"out", "every interface"},    {"on", "every host that uses the file"}};
  for (const auto& [key, everything] : kWithout) {
    if (key == name) return fmt::format("without the key, the rule is for {}", everything);
  }
  if (name == "addresses") return "list the host's own addresses: every host needs one";
  return "leave the key out, or list at least one entry";
}

bool check_list(const Value& value, KeyType type, std::string_view name, ValueKind item,
                Diagnostics& diagnostics) {
  bool good = true;
  for (const Value& element : items_of(value)) {
    if (element.kind == item) continue;
    good = false;
    report(
        diagnostics, Code::WrongType, element.span(),
        fmt::format("{} takes {}, not {}", quote(name), type_name(type), kind_name(element.kind)),
        wrong_type_hint(element, type, name));
  }
  if (value.kind == ValueKind::Array && value.items.empty() &&
      (type == Strings || type == StringsOrTable)) {
    good = false;
    report(diagnostics, Code::EmptyList, value.span(),
           fmt::format("the list of {} is empty", quote(name)), empty_list_hint(name));
  }
  return good;
}

bool has_kind(const Value& value, KeyType type) {
  switch (type) {
    case String:
      return value.kind == ValueKind::String;
    case Boolean:
      return value.kind == ValueKind::Boolean;
    case Integer:
      return value.kind == ValueKind::Integer;
    case IntegerOrString:
      return value.kind == ValueKind::Integer || value.kind == ValueKind::String;
    case KeyType::LocalDate:
      return value.kind == ValueKind::Date;
    case Table:
      return value.kind == ValueKind::Table;
    case Strings:
    case StringsOrNone:
    case StringsOrTable:
    case Tables:
      break;
  }
  return false;
}

// As docs/policy-language.md has it.
constexpr std::pair<std::string_view, std::string_view> kIfLeftOut[] = {
    {"service", "every protocol"},
    {"action", "accept"},
    {"on", "all hosts"},
    {"from", "any"},
    {"to", "any"},
    {"in", "any"},
    {"out", "any"},
    {"user", "any"},
    {"early", "false"},
    {"log", "false"},
    {"expires", "never"}};

}  // namespace

std::string_view if_left_out(std::string_view key) {
  const auto* at =
      std::ranges::find(kIfLeftOut, key, &std::pair<std::string_view, std::string_view>::first);
  return at == std::end(kIfLeftOut) ? "none" : at->second;
}

namespace keys {
const Keys kSiteFile = kSiteFileKeys;
const Keys kRoleFile = kRoleFileKeys;
const Keys kBlockFile = kBlockFileKeys;
const Keys kServicesFile = kServicesFileKeys;
const Keys kLockFile = kLockFileKeys;
const Keys kSite = kSiteKeys;
const Keys kKinds = kKindsKeys;
const Keys kLint = kLintKeys;
const Keys kInterface = kInterfaceKeys;
const Keys kHost = kHostKeys;
const Keys kDefaults = kDefaultsKeys;
const Keys kLog = kLogKeys;
const Keys kNetwork = kNetworkKeys;
const Keys kInbound = kInboundKeys;
const Keys kOutbound = kOutboundKeys;
const Keys kForward = kForwardKeys;
const Keys kNat = kNatKeys;
const Keys kTest = kTestKeys;
const Keys kLaw = kLawKeys;
}  // namespace keys

bool check_type(const Value& value, KeyType type, std::string_view name, Diagnostics& diagnostics) {
  if (type == Strings || type == StringsOrNone) {
    return check_list(value, type, name, ValueKind::String, diagnostics);
  }
  if (type == Tables) return check_list(value, type, name, ValueKind::Table, diagnostics);
  if (type == StringsOrTable) {
    if (value.kind == ValueKind::Table) return true;
    return check_list(value, type, name, ValueKind::String, diagnostics);
  }
  if (has_kind(value, type)) return true;
  report(diagnostics, Code::WrongType, value.span(),
         fmt::format("{} takes {}, not {}", quote(name), type_name(type), kind_name(value.kind)),
         wrong_type_hint(value, type, name));
  return false;
}

std::span<const Value> items_of(const Value& value) {
  if (value.kind == ValueKind::Array) return value.items;
  return {&value, 1};
}

std::string name_in_pieces(const Member& member, Keys known) {
  std::string name = member.key;
  const auto is_piece = [&](const Member& inner) {
    return inner.value.kind == ValueKind::Table && !contains(known, inner.key);
  };
  const Value* value = &member.value;
  while (value->kind == ValueKind::Table && !value->members.empty() &&
         std::ranges::all_of(value->members, is_piece)) {
    name += "." + value->members[0].key;
    value = &value->members[0].value;
  }
  return name == member.key ? "" : name;
}

Section::Section(const Value& table, Keys known, std::string_view what, Keys top,
                 Diagnostics& diagnostics)
    : table_(table), known_(known) {
  for (const Member& member : table.members) {
    const auto key = std::find_if(known.begin(), known.end(),
                                  [&](const Key& k) { return k.name == member.key; });
    if (key == known.end()) {
      Unknown unknown = unknown_key(member.key, what, known, top);
      report(diagnostics, Code::UnknownKey, member.span,
             fmt::format("unknown key {} in {}", quote(member.key), what), unknown.hint);
      if (unknown.meant) misspelt_.push_back(*std::move(unknown.meant));
    } else if (!check_type(member.value, key->type, member.key, diagnostics)) {
      wrong_.push_back(key->name);
    }
  }
  for (const Key& key : known) {
    if (!key.required || has(key.name) || misspells(key.name)) continue;
    report(diagnostics, Code::MissingKey, table.span(),
           fmt::format("{} needs the key {}", what, quote(key.name)),
           std::string(example_of(key.name)));
  }
}

bool Section::misspells(std::string_view name) const {
  return std::find(misspelt_.begin(), misspelt_.end(), name) != misspelt_.end();
}

const Value* Section::find(std::string_view name) const {
  const bool wrong = std::find(wrong_.begin(), wrong_.end(), name) != wrong_.end();
  if (wrong || !contains(known_, name)) return nullptr;
  const Member* member = table_.find(name);
  return member == nullptr ? nullptr : &member->value;
}

std::string_view Section::text(std::string_view name) const {
  const Value* value = find(name);
  return value == nullptr ? std::string_view() : std::string_view(value->text);
}

bool Section::boolean(std::string_view name, bool otherwise) const {
  const Value* value = find(name);
  return value == nullptr ? otherwise : value->boolean;
}

std::span<const Value> Section::items(std::string_view name) const {
  const Value* value = find(name);
  return value == nullptr ? std::span<const Value>() : items_of(*value);
}

}  // namespace rolewall::policy
