#include "policy/site.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "base/suggest.h"
#include "net/known_addresses.h"
#include "policy/codes.h"
#include "policy/handling.h"

namespace rolewall::policy {
namespace {

// Reports an item that the list holds already.
bool check_once(std::set<std::string>& earlier, const Value& item, Diagnostics& diagnostics) {
  if (earlier.insert(item.text).second) return true;
  report(diagnostics, Code::ListedTwice, item.span(),
         fmt::format("{} is listed twice", quote(item.text)));
  return false;
}

// --- addresses ---------------------------------------------------------------------------------

struct Claim {
  net::Prefix prefix;
  Index host = 0;
  Span span;
};

bool fits_a_host(const net::Prefix& prefix) {
  const net::AddressSet never = net::known_addresses(
      {"224.0.0.0/4", "ff00::/8", "127.0.0.0/8", "::1/128", "0.0.0.0/8", "::/128"});
  return (net::AddressSet::from({prefix}) & never).empty();
}

std::vector<net::Prefix> read_addresses(const Section& section, std::string_view key, Index host,
                                        std::vector<Claim>& claims, Diagnostics& diagnostics) {
  std::vector<net::Prefix> out;
  for (const Value& item : section.items(key)) {
    const auto prefix = parse_literal_prefix(item.text, item.span(), diagnostics);
    if (!prefix) continue;
    if (!fits_a_host(*prefix)) {
      report(diagnostics, Code::BadAddress, item.span(),
             fmt::format("{} contains addresses that no host can have", quote(item.text)));
      continue;
    }
    out.push_back(*prefix);
    claims.push_back({*prefix, host, item.span()});
  }
  return out;
}

// The same address in two hosts' `addresses`, or twice in one's.
void check_claims(const Policy& policy, std::vector<Claim> claims, Diagnostics& diagnostics) {
  std::sort(claims.begin(), claims.end(), [](const Claim& a, const Claim& b) {
    return std::tuple(net::first(a.prefix), a.span.line, a.span.column) <
           std::tuple(net::first(b.prefix), b.span.line, b.span.column);
  });
  const Claim* widest = nullptr;  // of those that begin at or before the next one
  for (const Claim& claim : claims) {
    const bool overlaps =
        widest != nullptr &&
        net::is_ipv4(widest->prefix.address) == net::is_ipv4(claim.prefix.address) &&
        net::first(claim.prefix) <= net::last(widest->prefix);
    if (overlaps) {
      const bool later = std::tie(widest->span.line, widest->span.column) <
                         std::tie(claim.span.line, claim.span.column);
      const Claim& second = later ? claim : *widest;
      const Claim& first = later ? *widest : claim;
      Diagnostic& diagnostic = report(
          diagnostics, Code::DuplicateAddress, second.span,
          fmt::format("{} of {} is also an address of {}", net::format(second.prefix),
                      quote(policy.hosts[second.host].name), quote(policy.hosts[first.host].name)),
          "put addresses that hosts share in `virtual`");
      diagnostic.notes.push_back({first.span, "the other is here"});
    }
    if (widest == nullptr || !overlaps || net::last(widest->prefix) < net::last(claim.prefix)) {
      widest = &claim;
    }
  }
}

// --- hosts -------------------------------------------------------------------------------------

constexpr std::size_t kMostHosts = 20'000;

class HostReader {
 public:
  HostReader(Loader& loader, Keys top) : loader_(loader), top_(top) {
    const auto& files = loader.policy.files;
    for (Index i = 0; i < files.size(); ++i) {
      if (files[i].is_role) roles_.emplace(files[i].name, i);
    }
  }

  void read(const Member& member) {
    Policy& policy = loader_.policy;
    Diagnostics& diagnostics = loader_.diagnostics;
    if (!check_name(member.key, "host", member.span, diagnostics)) return;
    if (const std::string name = name_in_pieces(member, keys::kHost); !name.empty()) {
      report(diagnostics, Code::BadName, member.span,
             fmt::format("{} is no host: a dot in [hosts.{}] begins another table",
                         quote(member.key), name),
             fmt::format("put a name with dots in quotes: [hosts.\"{}\"]", name));
      return;
    }
    if (!check_type(member.value, KeyType::Table, member.key, diagnostics)) return;
    const auto index = static_cast<Index>(policy.hosts.size());
    policy.hosts.emplace_back();
    declare(policy, member.key, {TermKind::Host, index, member.span}, diagnostics);

    const Section section(member.value, keys::kHost, fmt::format("[hosts.{}]", member.key), top_,
                          diagnostics);
    Host& host = policy.hosts[index];
    host.name = member.key;
    host.span = member.span;
    read_roles(section, index, host);
    read_tags(section, index, host);
    host.addresses = read_addresses(section, "addresses", index, claims_, diagnostics);
    std::vector<Claim> shared;  // virtual addresses may be
    host.virtual_addresses = read_addresses(section, "virtual", index, shared, diagnostics);
    read_allowed(loader_, section, AllowedFinding::Where::Table, member.span);
    loader_.host_interfaces.push_back(section.find("interfaces"));
  }

  void finish() { check_claims(loader_.policy, std::move(claims_), loader_.diagnostics); }

 private:
  void read_roles(const Section& section, Index index, Host& host) {
    std::set<std::string> seen;
    for (const Value& item : section.items("role")) {
      if (!check_once(seen, item, loader_.diagnostics)) continue;
      const auto found = roles_.find(item.text);
      if (found == roles_.end()) {
        report_unknown_role(item);
        continue;
      }
      host.roles.push_back(found->second);
      loader_.policy.files[found->second].hosts.push_back(index);
    }
  }

  void report_unknown_role(const Value& item) {
    std::vector<std::string> names;
    if (can_afford_hint(loader_.diagnostics, roles_.size())) {
      for (const auto& [name, file] : roles_) names.push_back(name);
    }
    std::string hint = did_you_mean(item.text, names);
    if (hint.empty()) hint = "a role is a file NAME.toml beside site.toml";
    report(loader_.diagnostics, Code::UnknownRole, item.span(),
           fmt::format("there is no role {}", quote(item.text)), std::move(hint));
  }

  void read_tags(const Section& section, Index index, Host& host) {
    std::set<std::string> seen;
    for (const Value& item : section.items("tags")) {
      if (!check_name(item.text, "tag", item.span(), loader_.diagnostics)) continue;
      if (!check_once(seen, item, loader_.diagnostics)) continue;
      const auto next = static_cast<Index>(loader_.policy.tags.size());
      const auto [found, is_new] = tags_.emplace(item.text, next);
      if (is_new) {
        loader_.policy.tags.push_back({item.text, {}, {}, false, item.span()});
        declare(loader_.policy, item.text, {TermKind::Tag, next, item.span()}, loader_.diagnostics);
      }
      host.tags.push_back(found->second);
      loader_.policy.tags[found->second].hosts.push_back(index);
    }
  }

  Loader& loader_;
  Keys top_;
  std::map<std::string, Index, std::less<>> roles_;
  std::map<std::string, Index, std::less<>> tags_;
  std::vector<Claim> claims_;
};

net::AddressSet union_of(const Policy& policy, const std::vector<Index>& hosts) {
  std::vector<net::Prefix> prefixes;
  for (const Index index : hosts) {
    const Host& host = policy.hosts[index];
    prefixes.insert(prefixes.end(), host.addresses.begin(), host.addresses.end());
    prefixes.insert(prefixes.end(), host.virtual_addresses.begin(), host.virtual_addresses.end());
  }
  return net::AddressSet::from(prefixes);
}

void compute_sets(Policy& policy) {
  std::vector<Index> all(policy.hosts.size());
  for (Index i = 0; i < all.size(); ++i) all[i] = i;
  policy.site_addresses = union_of(policy, all);
  for (Tag& tag : policy.tags) tag.addresses = union_of(policy, tag.hosts);
  for (RuleFile& file : policy.files) {
    if (file.is_role) file.addresses = union_of(policy, file.hosts);
  }
}

// --- interfaces --------------------------------------------------------------------------------

// As the kernel's dev_valid_name, with a '*' at the end for any that begin so.
bool is_device(std::string_view text) {
  constexpr std::size_t kLongest = 15;
  const bool wildcard = text.ends_with('*');
  if (wildcard) text.remove_suffix(1);
  if (text.empty() || text.size() > kLongest || text == "." || text == "..") return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c < '\x7f' && c != '/' && c != ':' && c != '*' && c != '"';
  });
}

// What stands before the end that stands for any in other programs: iptables' "eth+", ip's "eth%d".
// No device is named so, and a rule for it would match nothing.
std::optional<std::string_view> before_pattern(std::string_view device) {
  for (const std::string_view end : {"+", "%d"}) {
    if (device.ends_with(end)) return device.substr(0, device.size() - end.size());
  }
  return std::nullopt;
}

bool check_device(const Value& value, Diagnostics& diagnostics) {
  if (is_device(value.text) && !before_pattern(value.text)) return true;
  std::string hint = "at most 15 characters; a `*` at the end matches any ending";
  if (value.text == "*") {
    hint = "leave the interface out of the rule: it then applies to every one";
  } else if (const auto begin = before_pattern(value.text)) {
    hint = fmt::format("did you mean `{}*`?", *begin);
  }
  report(diagnostics, Code::BadDevice, value.span(),
         fmt::format("{} is not a network device", quote(value.text)), std::move(hint));
  return false;
}

// Whether a packet's device can be both: for two of one host's interfaces.
bool devices_overlap(std::string_view a, std::string_view b) {
  const bool a_wild = a.ends_with('*');
  const bool b_wild = b.ends_with('*');
  if (a_wild) a.remove_suffix(1);
  if (b_wild) b.remove_suffix(1);
  if (a_wild && b_wild) return a.starts_with(b) || b.starts_with(a);
  if (a_wild) return b.starts_with(a);
  return b_wild ? a.starts_with(b) : a == b;
}

const Interface* find_interface(const Loader& loader, std::string_view name) {
  const auto found = loader.interfaces.find(name);
  return found == loader.interfaces.end() ? nullptr : &loader.policy.interfaces[found->second];
}

class HostInterfaces {
 public:
  HostInterfaces(Loader& loader, Host& host) : loader_(loader), host_(host) {}

  // interfaces = ["public", "private"]
  void read_names(const Value& list) {
    std::set<std::string> seen;
    for (const Value& item : items_of(list)) {
      if (!check_once(seen, item, loader_.diagnostics)) continue;
      const Interface* interface = find_interface(loader_, item.text);
      if (interface == nullptr) {
        report_unknown(item);
        continue;
      }
      if (interface->device.empty()) {
        Diagnostic& diagnostic =
            report(loader_.diagnostics, Code::MissingKey, item.span(),
                   fmt::format("the interface {} has no device", quote(item.text)),
                   "set `device` where the interface is defined, or map the name to a device here");
        diagnostic.notes.push_back({interface->span, "it is defined here"});
        continue;
      }
      add(item.text, {interface->device}, item.span());
    }
  }

  // interfaces = { private = "eth0", docker = ["docker0", "br-*"] }
  void read_map(const Value& table) {
    for (const Member& member : table.members) {
      if (!check_name(member.key, "interface", member.span, loader_.diagnostics)) continue;
      if (!check_type(member.value, KeyType::Strings, member.key, loader_.diagnostics)) continue;
      std::vector<std::string> devices;
      for (const Value& item : items_of(member.value)) {
        if (check_device(item, loader_.diagnostics)) devices.push_back(item.text);
      }
      if (!devices.empty()) add(member.key, std::move(devices), member.span);
    }
  }

 private:
  void report_unknown(const Value& item) {
    std::vector<std::string> names;
    if (can_afford_hint(loader_.diagnostics, loader_.policy.interfaces.size())) {
      for (const Interface& interface : loader_.policy.interfaces) names.push_back(interface.name);
    }
    std::string hint = did_you_mean(item.text, names);
    if (hint.empty()) {
      hint = fmt::format("define [interfaces.NAME], or write interfaces = {{ NAME = \"eth0\" }}");
    }
    report(loader_.diagnostics, Code::UnknownInterface, item.span(),
           fmt::format("there is no interface {}", quote(item.text)), std::move(hint));
  }

  void add(std::string name, std::vector<std::string> devices, Span span) {
    device_count_ += devices.size();
    if (device_count_ > kMostDevices) {
      if (device_count_ - devices.size() > kMostDevices) return;
      report(loader_.diagnostics, Code::BadDevice, span,
             fmt::format("{} has more than {} devices", quote(host_.name), kMostDevices));
      return;
    }
    for (const HostInterface& other : host_.interfaces) {
      for (const std::string& a : other.devices) {
        for (const std::string& b : devices) {
          if (!devices_overlap(a, b)) continue;
          Diagnostic& diagnostic =
              report(loader_.diagnostics, Code::DuplicateDevice, span,
                     fmt::format("the interfaces {} and {} of {} are both the device {}",
                                 quote(other.name), quote(name), quote(host_.name), quote(b)));
          diagnostic.notes.push_back({other.span, "the other is here"});
        }
      }
    }
    const Interface* interface = find_interface(loader_, name);
    loader_.interface_names.insert(name);
    host_.interfaces.push_back({std::move(name), std::move(devices),
                                interface == nullptr ? std::nullopt : interface->behind, span});
  }

  static constexpr std::size_t kMostDevices = 256;

  Loader& loader_;
  Host& host_;
  std::size_t device_count_ = 0;
};

}  // namespace

void read_interfaces(Loader& loader, const Value& table, Keys top) {
  for (const Member& member : table.members) {
    if (!check_name(member.key, "interface", member.span, loader.diagnostics)) continue;
    if (!check_type(member.value, KeyType::Table, member.key, loader.diagnostics)) continue;
    const Section section(member.value, keys::kInterface,
                          fmt::format("[interfaces.{}]", member.key), top, loader.diagnostics);
    Interface interface;
    interface.name = member.key;
    interface.span = member.span;
    if (const Value* device = section.find("device")) {
      if (check_device(*device, loader.diagnostics)) interface.device = device->text;
    }
    loader.interfaces.emplace(member.key, static_cast<Index>(loader.policy.interfaces.size()));
    loader.interface_behind.push_back(section.find("behind"));
    loader.policy.interfaces.push_back(std::move(interface));
  }
}

void read_hosts(Loader& loader, const Value& table, Keys top) {
  HostReader reader(loader, top);
  for (const Member& member : table.members) {
    if (loader.policy.hosts.size() == kMostHosts) {
      report(loader.diagnostics, Code::BadValue, member.span,
             fmt::format("more than {} hosts", kMostHosts));
      break;
    }
    reader.read(member);
  }
  reader.finish();
  compute_sets(loader.policy);
}

void finish_interfaces(Loader& loader) {
  Policy& policy = loader.policy;
  for (Index i = 0; i < policy.interfaces.size(); ++i) {
    const Value* behind = loader.interface_behind[i];
    if (behind == nullptr) continue;
    const Selectors selectors = parse_selectors(loader.scope(false), *behind);
    check_not_empty(policy, selectors, {}, loader.broken_networks, loader.diagnostics);
    if (selectors.items.empty()) continue;
    policy.interfaces[i].behind = addresses_of(policy, selectors, 0);
  }
  for (Index i = 0; i < policy.hosts.size(); ++i) {
    const Value* value = loader.host_interfaces[i];
    if (value == nullptr) continue;
    HostInterfaces reader(loader, policy.hosts[i]);
    if (value->kind == ValueKind::Table) {
      reader.read_map(*value);
    } else {
      reader.read_names(*value);
    }
  }
}

}  // namespace rolewall::policy
