#include "policy/network.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/duration.h"
#include "net/known_addresses.h"
#include "policy/codes.h"
#include "policy/handling.h"
#include "policy/list_file.h"

namespace rolewall::policy {
namespace {

// So that a chain of references cannot exhaust the stack.
constexpr std::size_t kDeepestReference = 64;

// Addresses that no host of the internet has: link-local, multicast and loopback ones.
net::AddressSet not_of_internet() {
  return net::known_addresses(
      {"169.254.0.0/16", "fe80::/10", "224.0.0.0/4", "ff00::/8", "127.0.0.0/8", "::1/128"});
}

// The same words in the same order; what they stand for may not be known yet.
bool same_text(const Value& a, const Value& b) {
  const auto x = items_of(a);
  const auto y = items_of(b);
  return a.kind != ValueKind::Table && b.kind != ValueKind::Table && x.size() == y.size() &&
         std::equal(x.begin(), x.end(), y.begin(),
                    [](const Value& p, const Value& q) { return p.text == q.text; });
}

bool all_plain_prefixes(const Selectors& selectors) {
  return std::all_of(selectors.items.begin(), selectors.items.end(), [](const Selector& item) {
    return !item.negated && item.term.kind == TermKind::Prefix;
  });
}

std::vector<net::Prefix> prefixes_of(const net::AddressSet& set) {
  std::vector<net::Prefix> prefixes = net::to_prefixes(set.ipv4);
  const std::vector<net::Prefix> ipv6 = net::to_prefixes(set.ipv6);
  prefixes.insert(prefixes.end(), ipv6.begin(), ipv6.end());
  return prefixes;
}

}  // namespace

void Networks::declare(const Value& table, bool is_default, std::optional<Span> used_at) {
  Policy& policy = loader_.policy;
  for (const Member& member : table.members) {
    if (!check_name(member.key, "network", member.span, loader_.diagnostics)) continue;
    const auto [begin, end] = policy.names.equal_range(member.key);
    const auto earlier = std::find_if(
        begin, end, [](const auto& entry) { return entry.second.kind == TermKind::Network; });
    if (earlier != end) {
      const bool both_default = policy.networks[earlier->second.index].shipped;
      if (both_default && !same_text(*nodes_[earlier->second.index].value, member.value)) {
        report_conflict(member, earlier->second.span, used_at.value_or(member.span));
      }
      continue;
    }
    const auto index = static_cast<Index>(policy.networks.size());
    Network network;
    network.name = member.key;
    network.shipped = is_default;
    network.span = member.span;
    policy.networks.push_back(std::move(network));
    loader_.broken_networks.push_back(false);
    nodes_.push_back({{}, State::Waiting, &member.value, used_at});
    policy::declare(policy, member.key, {TermKind::Network, index, member.span},
                    loader_.diagnostics);
  }
}

void Networks::report_conflict(const Member& member, Span earlier, Span at) {
  Diagnostic& diagnostic = report(
      loader_.diagnostics, Code::ConflictingDefaults, at,
      fmt::format("two blocks have different defaults for the network {}", quote(member.key)),
      fmt::format("define network {} in site.toml", quote(member.key)));
  diagnostic.notes.push_back({earlier, "one is here"});
  diagnostic.notes.push_back({member.span, "the other is here"});
}

void Networks::resolve(const Value* management, const Value* internal) {
  Policy& policy = loader_.policy;
  for (Index i = 0; i < policy.networks.size(); ++i) read(i);
  nodes_.push_back({{}, State::Waiting, management, std::nullopt});
  nodes_.push_back({{}, State::Waiting, internal, std::nullopt});
  for (const Index node : {management_node(), internet_node()}) {
    if (nodes_[node].value == nullptr) continue;
    nodes_[node].terms = parse_selectors(loader_.scope(false), *nodes_[node].value);
  }
  if (management != nullptr) policy.management = nodes_[management_node()].terms;
  policy.internal = nodes_[internet_node()].terms;
  for (Index node = 0; node < nodes_.size(); ++node) visit(node);
}

void Networks::read(Index index) {
  Network& network = loader_.policy.networks[index];
  Node& node = nodes_[index];
  const std::size_t errors = loader_.diagnostics.error_count();
  if (check_type(*node.value, KeyType::StringsOrTable, network.name, loader_.diagnostics)) {
    if (node.value->kind == ValueKind::Table) {
      read_table(network, node);
      // `addresses` may name other networks: they are resolved with the rest.
      if (node.terms.items.empty()) node.state = State::Done;
    } else {
      node.terms = parse_selectors(loader_.scope(false, node.used_at), *node.value);
      network.literal = all_plain_prefixes(node.terms);
    }
  }
  const bool unlocked = loader_.options.locking && !network.dns_names.empty();
  loader_.broken_networks[index] = unlocked || loader_.diagnostics.error_count() != errors;
}

void Networks::read_table(Network& network, Node& node) {
  const Value& value = *node.value;
  const std::string what = fmt::format("the network {}", quote(network.name));
  const Section section(value, keys::kNetwork, what, {}, loader_.diagnostics);
  read_allowed(loader_, section, AllowedFinding::Where::Table, network.span);
  if (section.has("file") + section.has("names") + section.has("addresses") != 1) {
    report(loader_.diagnostics, Code::MissingKey, value.span(),
           fmt::format("{} takes one of `file`, `names` and `addresses`", what));
    return;
  }
  if (const Value* addresses = section.find("addresses")) {
    node.terms = parse_selectors(loader_.scope(false, node.used_at), *addresses);
    network.literal = all_plain_prefixes(node.terms);
  }
  if (const Value* file = section.find("file")) read_file(network, *file);
  if (section.find("names") != nullptr) read_names(network, section.items("names"));
  read_keep(network, section);
}

void Networks::read_keep(Network& network, const Section& section) {
  constexpr std::int64_t kWeek = 7LL * 24 * 60 * 60;
  constexpr std::int64_t kLongest = 366LL * 24 * 60 * 60;
  network.keep_seconds = kWeek;
  const Value* keep = section.find("keep");
  if (keep == nullptr) return;
  const auto seconds = parse_duration(keep->text);
  if (section.find("names") == nullptr) {
    report(loader_.diagnostics, Code::BadValue, keep->span(),
           "`keep` is for `names`: how long an address outlives the last answer of the DNS");
  } else if (!seconds || seconds->count() > kLongest) {
    report(loader_.diagnostics, Code::BadValue, keep->span(),
           fmt::format("{} is no time from \"1s\" to \"366d\"", quote(keep->text)),
           "write \"90m\", \"12h\" or \"7d\"");
  } else {
    network.keep_seconds = seconds->count();
  }
}

void Networks::read_file(Network& network, const Value& value) {
  const std::string& path = value.text;
  const bool climbs = path == ".." || path.starts_with("../") || path.ends_with("/..") ||
                      path.find("/../") != std::string::npos;
  if (path.empty() || path.starts_with('/') || climbs || path.find('\0') != std::string::npos) {
    report(loader_.diagnostics, Code::BadPath, value.span(),
           fmt::format("{} is not a path below the site's directory", quote(path)),
           "copy the file into the site");
    return;
  }
  network.list_file = loader_.policy.directory + "/" + path;
  if (!loader_.is_of_site(network.list_file, value.span())) return;
  const Result<std::string> text = loader_.files.read(network.list_file, kLargestListFile);
  if (!text) {
    report(loader_.diagnostics, Code::UnreadableFile, value.span(), text.error().message);
    return;
  }
  const FileId file = loader_.policy.sources.add(network.list_file);
  network.addresses = parse_list(*text, file, loader_.diagnostics);
}

void Networks::read_names(Network& network, std::span<const Value> names) {
  for (const Value& name : names) {
    if (!is_dns_name(name.text)) {
      report(loader_.diagnostics, Code::BadDnsName, name.span(),
             fmt::format("{} is not a DNS name", quote(name.text)));
      continue;
    }
    network.dns_names.push_back(name.text);
    network.rests_on.push_back(name.text);
    const auto locked = loader_.lock.find(name.text);
    if (loader_.unanswered.contains(name.text)) {
      network.unanswered.push_back(name.text);
      continue;
    }
    if (locked == loader_.lock.end() || locked->second.empty()) {
      if (loader_.options.locking) continue;
      report(loader_.diagnostics, Code::NotLocked, name.span(),
             fmt::format("{} has no addresses in rolewall.lock", quote(name.text)),
             "run `rolewall lock`");
      continue;
    }
    for (const net::Address& address : locked->second) {
      network.prefixes.push_back({address, net::address_bits(address)});
    }
  }
  network.addresses = net::AddressSet::from(network.prefixes);
}

std::optional<Index> Networks::node_of(const Term& term) const {
  if (term.kind == TermKind::Network) return term.index;
  if (term.kind == TermKind::Management) return management_node();
  if (term.kind == TermKind::Internet) return internet_node();
  return std::nullopt;
}

Span Networks::span_of(Index node) const {
  if (node < loader_.policy.networks.size()) return loader_.policy.networks[node].span;
  return nodes_[node].value == nullptr ? Span{} : nodes_[node].value->span();
}

std::string Networks::name_of(Index node) const {
  if (node == management_node()) return "management";
  if (node == internet_node()) return "internal";
  return loader_.policy.networks[node].name;
}

void Networks::report_cycle(Index node) {
  const auto start = std::find(path_.begin(), path_.end(), node);
  std::string chain;
  for (auto it = start; it != path_.end(); ++it) {
    chain += name_of(*it) + " -> ";
    if (*it < loader_.broken_networks.size()) loader_.broken_networks[*it] = true;
  }
  report(loader_.diagnostics, Code::Cycle, span_of(node),
         fmt::format("networks are defined by each other: {}{}", chain, name_of(node)));
}

void Networks::visit(Index index) {
  if (nodes_[index].state == State::Done) return;
  if (nodes_[index].state == State::Visiting) {
    report_cycle(index);
    return;
  }
  if (path_.size() >= kDeepestReference) {
    report(loader_.diagnostics, Code::TooDeep, span_of(index),
           fmt::format("networks refer to each other more than {} levels deep", kDeepestReference));
    if (index < loader_.broken_networks.size()) loader_.broken_networks[index] = true;
    return;
  }
  nodes_[index].state = State::Visiting;
  path_.push_back(index);
  for (const Selector& item : nodes_[index].terms.items) {
    if (const auto next = node_of(item.term)) visit(*next);
  }
  path_.pop_back();
  finish(index);
  nodes_[index].state = State::Done;
}

bool Networks::depends_on_broken(const Selectors& terms) const {
  return std::any_of(terms.items.begin(), terms.items.end(), [&](const Selector& item) {
    return item.term.kind == TermKind::Network && loader_.broken_networks[item.term.index];
  });
}

// What a network lacks for want of an answer is lacking in those that are made of it.
void Networks::take_unanswered(Network& network, const Selectors& terms) {
  const auto add = [](std::vector<std::string>& names, const std::vector<std::string>& more) {
    names.insert(names.end(), more.begin(), more.end());
  };
  for (const Selector& item : terms.items) {
    if (item.term.kind != TermKind::Network) continue;
    const Network& of = loader_.policy.networks[item.term.index];
    add(item.negated ? network.excludes_unanswered : network.unanswered, of.unanswered);
    add(item.negated ? network.unanswered : network.excludes_unanswered, of.excludes_unanswered);
  }
}

void Networks::finish(Index index) {
  Policy& policy = loader_.policy;
  const Selectors& terms = nodes_[index].terms;
  const std::size_t errors = loader_.diagnostics.error_count();
  // What `internet` leaves out is no address less for want of an answer: that is an error.
  const bool is_excused = index != internet_node();
  check_not_empty(policy, terms, {}, loader_.excused_networks(is_excused), loader_.diagnostics);
  if (index == internet_node()) {
    const net::AddressSet internal =
        terms.items.empty() ? net::AddressSet() : addresses_of(policy, terms, 0);
    policy.internet = net::AddressSet::all() - internal - policy.site_addresses - not_of_internet();
    return;
  }
  if (index == management_node()) {
    if (!terms.items.empty()) policy.management_addresses = addresses_of(policy, terms, 0);
    return;
  }
  Network& network = policy.networks[index];
  for (const Selector& item : terms.items) {
    if (item.term.kind != TermKind::Network) continue;
    const std::vector<std::string>& names = policy.networks[item.term.index].rests_on;
    network.rests_on.insert(network.rests_on.end(), names.begin(), names.end());
  }
  if (!loader_.unanswered.empty()) take_unanswered(network, terms);
  if (terms.items.empty()) return;  // everything that was listed is wrong, and was reported
  network.addresses = addresses_of(policy, terms, 0);
  if (network.literal) {
    for (const Selector& item : terms.items) network.prefixes.push_back(item.term.prefix);
  } else {
    network.prefixes = prefixes_of(network.addresses);
  }
  if (loader_.diagnostics.error_count() != errors || depends_on_broken(terms)) {
    loader_.broken_networks[index] = true;
  } else if (network.addresses.empty() && network.unanswered.empty() &&
             !loader_.broken_networks[index]) {
    loader_.broken_networks[index] = true;
    report(loader_.diagnostics, Code::EmptySelector, network.span,
           fmt::format("the network {} stands for no address", quote(network.name)),
           policy.management ? "" : "`management` is not set in [site]");
  }
}

}  // namespace rolewall::policy
