#include "compile/written.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "net/prefixes.h"
#include "policy/service.h"

namespace rolewall::compile {
namespace {

using ruleset::Written;

// Longer lists are told by their length and a checksum: a plan has the elements that differ.
constexpr std::size_t kMostAddresses = 64;

std::vector<std::string> addresses(const net::AddressSet& set) {
  const std::vector<net::Prefix> prefixes = net::to_prefixes(set);
  std::vector<std::string> texts;
  if (prefixes.size() <= kMostAddresses) {
    for (const net::Prefix& prefix : prefixes) texts.push_back(net::format(prefix));
    return texts;
  }
  std::uint64_t sum = 14695981039346656037U;  // FNV-1a
  for (const net::Prefix& prefix : prefixes) {
    for (const std::uint8_t byte : net::to_bytes(prefix.address)) {
      sum = (sum ^ byte) * 1099511628211U;
    }
    sum = (sum ^ prefix.length) * 1099511628211U;
  }
  return {fmt::format("{} prefixes ({:x})", prefixes.size(), sum)};
}

class Writer {
 public:
  Writer(const policy::Policy& policy, const policy::HostPolicy& host)
      : policy_(policy), host_(host) {}

  std::vector<Written> write() {
    for (const auto* rules : {&host_.inbound, &host_.outbound, &host_.forward, &host_.nat}) {
      for (const policy::EffectiveRule& effective : *rules) rule(*effective.rule);
    }
    defaults();
    for (const policy::HostInterface& interface : host_.host->interfaces) add(interface);
    for (auto& [name, entry] : names_) all_.push_back(std::move(entry));
    return std::move(all_);
  }

 private:
  void rule(const policy::Rule& rule) {
    all_.push_back(at(rule.span, ruleset::kWrittenRule, rule.full_name));
    all_.back().keys = rule.written;
    const auto& [services, from, to, in, out, user] = rule.conditions;
    for (const std::string& name : services.names) service(name);
    terms(from);
    terms(to);
  }

  Written at(const Span& span, std::string_view kind, std::string name) const {
    return {.kind = std::string(kind),
            .name = std::move(name),
            .file = policy_.sources.path(span.file),
            .line = span.line,
            .keys = {}};
  }

  // Something that is written in several places of the site's file.
  Written of_site(std::string_view kind, std::string name) const {
    Written entry = at(host_.host->span, kind, std::move(name));
    entry.line = 0;
    return entry;
  }

  void defaults() {
    const policy::Defaults& is = host_.defaults;
    Written entry = of_site("defaults", "[defaults]");
    for (const policy::Index role : host_.host->roles) {
      const policy::RuleFile& file = policy_.files[role];
      const auto& own = file.defaults;
      if (own.inbound || own.outbound || own.forward || own.mode || own.log) {
        entry = at(own.span, "defaults", "[defaults]");
      }
    }
    const auto say = [&](const char* key, std::string value) {
      entry.keys.push_back({key, {std::move(value)}});
    };
    say("inbound", std::string(name_of(is.inbound)));
    say("outbound", std::string(name_of(is.outbound)));
    say("forward", std::string(name_of(is.forward)));
    say("mode", is.mode == policy::Mode::Audit ? "audit" : "enforce");
    say("log limit", policy::format_rate(is.log.limit));
    if (is.log.per_source) say("log per-source", policy::format_rate(*is.log.per_source));
    say("log to", is.log.group ? fmt::format("{}", *is.log.group) : "kernel");
    entry.keys.push_back({"log steps", policy::words_of(is.log.steps)});
    all_.push_back(std::move(entry));
  }

  // Where its keys stand: below [interfaces], unless the host names devices of its own.
  Written place_of(const policy::HostInterface& interface) const {
    const auto shared =
        std::ranges::find(policy_.interfaces, interface.name, &policy::Interface::name);
    if (shared == policy_.interfaces.end()) {
      return at(interface.span, "interface", interface.name);
    }
    Written entry = at(shared->span, "interface", interface.name);
    const bool is_its_own = interface.devices != std::vector<std::string>{shared->device};
    if (is_its_own && !shared->behind) return at(interface.span, "interface", interface.name);
    if (is_its_own) entry.line = 0;
    return entry;
  }

  void add(const policy::HostInterface& interface) {
    Written entry = place_of(interface);
    entry.keys.push_back({"device", interface.devices});
    if (interface.behind) entry.keys.push_back({"behind", addresses(*interface.behind)});
    all_.push_back(std::move(entry));
  }

  void service(const std::string& name) {
    const auto known = policy_.service_names.find(name);
    if (known == policy_.service_names.end() || names_.contains("service " + name)) return;
    const policy::Service& service = policy_.services[known->second];
    Written entry = at(service.span, "service", name);
    WrittenKey& is = entry.keys.emplace_back(WrittenKey{"service", {}});
    for (const policy::ServiceLiteral& literal : service.literals)
      is.values.push_back(literal.text);
    names_.emplace("service " + name, std::move(entry));
  }

  void term(const policy::Term& term) {
    std::optional<Written> entry = named(term);
    if (!entry || names_.contains(entry->name + " " + entry->kind)) return;
    const net::AddressSet stands_for = policy::addresses_of(policy_, term, host_.index);
    if (term.kind == policy::TermKind::Internet) {
      // What it is not is a short list, and what people write.
      entry->keys = {{"internal", words_of(policy_.internal)},
                     {"left out", addresses(net::AddressSet::all() - stands_for)}};
    } else if (term.kind == policy::TermKind::Management && policy_.management) {
      entry->keys = {{"management", words_of(*policy_.management)},
                     {"addresses", addresses(stands_for)}};
    } else {
      entry->keys = {{"addresses", addresses(stands_for)}};
    }
    names_.emplace(entry->name + " " + entry->kind, *std::move(entry));
    // What it consists of may be what has changed.
    if (term.kind == policy::TermKind::Internet) terms(policy_.internal);
    if (term.kind == policy::TermKind::Management && policy_.management) {
      terms(*policy_.management);
    }
  }

  void terms(const policy::Selectors& selectors) {
    for (const policy::Selector& item : selectors.items) term(item.term);
  }

  static std::vector<std::string> words_of(const policy::Selectors& selectors) {
    std::vector<std::string> words;
    for (const policy::Selector& item : selectors.items) {
      words.push_back((item.negated ? "!" : "") + item.term.text);
    }
    return words;
  }

  // Where what a name stands for is written; std::nullopt for what says it itself.
  std::optional<Written> named(const policy::Term& term) const {
    using enum policy::TermKind;
    switch (term.kind) {
      case Any:
      case LinkLocal:
      case Prefix:
        return std::nullopt;
      case Internet:
        return policy_.internal.items.empty() ? of_site("built-in", "internet")
                                              : at(policy_.internal.span, "built-in", "internet");
      case Site:
        return of_site("built-in", "site");
      case Management:
        return policy_.management ? at(policy_.management->span, "built-in", "management")
                                  : of_site("built-in", "management");
      case Self:
        return at(host_.host->span, "built-in", "self");
      case Host:
        return at(policy_.hosts[term.index].span, "host", policy_.hosts[term.index].name);
      case Role:
        return of_site("role", policy_.files[term.index].name);
      case Tag:
        return of_site("tag", policy_.tags[term.index].name);
      case Network:
        return network(policy_.networks[term.index]);
    }
    return std::nullopt;
  }

  Written network(const policy::Network& network) const {
    Written entry = at(network.span, "network", network.name);
    if (!network.dns_names.empty()) entry.file = policy_.directory + "/rolewall.lock";
    if (!network.list_file.empty()) entry.file = network.list_file;
    if (!network.dns_names.empty() || !network.list_file.empty()) entry.line = 0;
    return entry;
  }

  const policy::Policy& policy_;
  const policy::HostPolicy& host_;
  std::vector<Written> all_;
  std::map<std::string, Written> names_;
};

}  // namespace

std::vector<Written> written(const policy::Policy& policy, const policy::HostPolicy& host) {
  return Writer(policy, host).write();
}

}  // namespace rolewall::compile
