#include "policy/selector.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <utility>

#include "base/suggest.h"
#include "net/mapped_address.h"
#include "policy/codes.h"
#include "policy/keys.h"
#include "policy/service.h"

namespace rolewall::policy {
namespace {

constexpr std::array<std::pair<std::string_view, TermKind>, 4> kQualifiers = {
    {{"host:", TermKind::Host},
     {"role:", TermKind::Role},
     {"tag:", TermKind::Tag},
     {"net:", TermKind::Network}}};

// Whether a text that is no name was meant as an address: for the better message.
bool looks_like_address(std::string_view text) {
  if (text.find_first_of("/:") != std::string_view::npos) return true;
  const bool range = text.find('.') != std::string_view::npos;
  return text.find_first_not_of(range ? "0123456789.-" : "0123456789.") == std::string_view::npos;
}

std::string basename_line(const Policy& policy, const Span& span) {
  const std::string& path = policy.sources.path(span.file);
  return fmt::format("{}:{}", path.substr(path.rfind('/') + 1), span.line);
}

bool stands_in_site_file(const Policy& policy, const Span& span) {
  return span.known() && basename_line(policy, span).starts_with("site.toml:");
}

// What other programs write for every address.
bool means_any(std::string_view text) {
  constexpr std::array<std::string_view, 6> kWords{"*",        "all",   "anywhere",
                                                   "everyone", "world", "everywhere"};
  return std::ranges::find(kWords, text) != kWords.end();
}

// "a, b" as the entries of a list.
std::string in_list(std::string_view text) {
  std::string list;
  while (!text.empty()) {
    std::string_view word = text.substr(0, text.find(','));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    while (word.starts_with(' ')) word.remove_prefix(1);
    while (word.ends_with(' ')) word.remove_suffix(1);
    if (!word.empty()) list += fmt::format("{}\"{}\"", list.empty() ? "" : ", ", word);
  }
  return list;
}

// What to write in place of a text that no name can be.
std::string instead_of_name(const Policy& policy, std::string_view text) {
  if (text.starts_with('#')) return "tags are written without `#`";
  if (means_any(text)) return "did you mean `any`?";
  if (const auto comma = text.find(','); comma != std::string_view::npos) {
    return fmt::format("several stand in a list: [{}]", in_list(text));
  }
  // "ip any", "host 10.0.0.1", "from office"
  if (const auto space = text.find(' '); space != std::string_view::npos) {
    return fmt::format("it is one word: did you mean `{}`?", text.substr(text.rfind(' ') + 1));
  }
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return 'A' <= c && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  if (lower == text || !is_name(lower)) return "";
  const bool is_known = policy.names.contains(lower) || builtin(lower);
  return is_known ? fmt::format("did you mean `{}`?", lower)
                  : std::string("names are in lower case");
}

void report_unknown(const Scope& scope, std::string_view name, std::optional<TermKind> kind,
                    Span span) {
  const std::string_view what = !kind                        ? "host, role, tag or network"
                                : *kind == TermKind::Network ? "network"
                                                             : kind_word(*kind);
  if (scope.used_at && (!kind || *kind == TermKind::Network)) {
    if (scope.uses != nullptr && !scope.uses->missing.emplace(span.file, name).second) return;
    Diagnostic& diagnostic = report(scope.diagnostics, Code::MissingParameter, *scope.used_at,
                                    fmt::format("define network {} in site.toml, used by {}",
                                                quote(name), basename_line(scope.policy, span)));
    diagnostic.notes.push_back({span, "the block uses it here"});
    return;
  }
  std::string hint = did_you_mean(name, candidates(scope.policy, kind, scope.diagnostics));
  if (means_any(name)) hint = "did you mean `any`?";
  if (hint.empty() && scope.policy.service_names.contains(name)) {
    hint = "it is a service; write it in `service`";
  }
  if (hint.empty() && name.find('.') != std::string_view::npos) {
    hint = fmt::format("a name of DNS becomes a network: NAME = {{ names = [\"{}\"] }}", name);
  }
  if (hint.empty() && !kind) {
    hint = stands_in_site_file(scope.policy, span) ? "define it below [networks]"
                                                   : "networks are defined in site.toml";
  }
  report(scope.diagnostics, Code::UnknownName, span,
         fmt::format("there is no {} {}", what, quote(name)), std::move(hint));
}

std::optional<Named> look_up(const Scope& scope, std::string_view name,
                             std::optional<TermKind> kind, Span span) {
  const auto [begin, end] = scope.policy.names.equal_range(name);
  const bool clashes = std::distance(begin, end) > 1;
  std::vector<Named> found;
  for (auto it = begin; it != end; ++it) {
    if (!kind || it->second.kind == *kind) found.push_back(it->second);
  }
  if (clashes && scope.uses != nullptr) {
    NameUses::Use& use = scope.uses->of_clashing[std::string(name)];
    (kind ? use.qualified : use.bare) = true;
  }
  if (found.empty()) {
    report_unknown(scope, name, kind, span);
    return std::nullopt;
  }
  if (found.size() > 1) {
    Diagnostic& diagnostic =
        report(scope.diagnostics, Code::AmbiguousName, span,
               fmt::format("{} names more than one thing", quote(name)),
               fmt::format("write `{}:{}` or `{}:{}`", kind_word(found[0].kind), name,
                           kind_word(found[1].kind), name));
    for (const Named& named : found) {
      diagnostic.notes.push_back(
          {named.span, fmt::format("`{}:{}` is here", kind_word(named.kind), name)});
    }
    return std::nullopt;
  }
  if (scope.uses != nullptr) scope.uses->named.emplace(found[0].kind, found[0].index);
  return found[0];
}

// "255.255.255.0" as 24.
std::optional<unsigned> length_of_mask(std::string_view text) {
  const auto address = net::parse_address(text);
  const auto* mask = address ? std::get_if<net::Ipv4>(&*address) : nullptr;
  if (mask == nullptr) return std::nullopt;
  const auto length = static_cast<unsigned>(std::countl_one(mask->value));
  const bool contiguous = length == 32 || mask->value << length == 0;
  return contiguous ? std::optional(length) : std::nullopt;
}

// What to write in place of what other programs take for an address.
std::string instead_of(std::string_view text) {
  const bool digits = text.find_first_not_of("0123456789.") == std::string_view::npos;
  if (digits && text.find('.') != std::string_view::npos) {
    return std::ranges::count(text, '.') == 3 ? "each of the four numbers is at most 255"
                                              : "an IPv4 address has four numbers";
  }
  if (text.starts_with('[')) return "write the address without brackets";
  if (text.find('%') != std::string_view::npos) {
    return "the interface belongs in `in` or `out`, not behind the address";
  }
  const auto colon = text.rfind(':');
  const bool has_port = colon != std::string_view::npos && colon == text.find(':') &&
                        parse_number(text.substr(colon + 1), 65535);
  if (has_port) return "the port belongs in `service`, not behind the address";
  const bool range = text.find('-') != std::string_view::npos && '0' <= text[0] && text[0] <= '9';
  return range ? "write the prefixes that make up the range" : "";
}

// Why a prefix is none; HostBitsSet gets the right prefix as its hint.
void report_bad_prefix(std::string_view text, net::PrefixError why, Span span,
                       Diagnostics& diagnostics) {
  const auto slash = text.find('/');
  const auto address = net::parse_address(text.substr(0, slash));
  if (address && why == net::PrefixError::HostBitsSet) {
    unsigned length = 0;
    std::from_chars(text.data() + slash + 1, text.data() + text.size(), length);
    const net::Address first = net::first({*address, length});
    report(diagnostics, Code::HostBitsSet, span,
           fmt::format("{} has bits set beyond its length", quote(text)),
           fmt::format("did you mean `{}` or `{}`?", net::format(net::Prefix{first, length}),
                       net::format(*address)));
  } else if (why == net::PrefixError::BadLength) {
    const auto length = length_of_mask(text.substr(slash + 1));
    report(diagnostics, Code::BadAddress, span,
           fmt::format("{} has no valid prefix length", quote(text)),
           length ? fmt::format("did you mean `{}/{}`?", text.substr(0, slash), *length)
                  : "a number up to 32 for IPv4, up to 128 for IPv6");
  } else {
    report(diagnostics, Code::BadAddress, span,
           fmt::format("{} is not an address or prefix", quote(text)), instead_of(text));
  }
}

void report_empty_term(const Policy& policy, const Term& term, Diagnostics& diagnostics) {
  std::string hint;
  if (term.kind == TermKind::Role) hint = "no host has the role";
  if (term.kind == TermKind::Internet) hint = "[site] internal covers every address";
  Diagnostic& diagnostic =
      report(diagnostics, Code::EmptySelector, term.span,
             fmt::format("{} stands for no address", quote(term.text)), std::move(hint));
  if (term.kind == TermKind::Network) {
    diagnostic.notes.push_back({policy.networks[term.index].span, "it is defined here"});
  }
}

bool stands_for_nothing(const Policy& policy, const Term& term) {
  switch (term.kind) {
    case TermKind::Internet:
      return policy.internet.empty();
    case TermKind::Site:
      return policy.site_addresses.empty();
    case TermKind::Host:
      return policy.hosts[term.index].addresses.empty();
    case TermKind::Role:
      return policy.files[term.index].addresses.empty();
    case TermKind::Tag:
      return policy.tags[term.index].addresses.empty();
    case TermKind::Network:
      return policy.networks[term.index].addresses.empty();
    case TermKind::Any:
    case TermKind::Self:
    case TermKind::Management:
    case TermKind::LinkLocal:
    case TermKind::Prefix:
      break;
  }
  return false;
}

bool holds_first_of(const Host& host, const net::AddressSet& set) {
  const auto holds = [&](const net::Address& address) {
    const auto in = [&](const net::Prefix& prefix) {
      return net::is_ipv4(prefix.address) == net::is_ipv4(address) &&
             net::first(prefix) <= address && address <= net::last(prefix);
    };
    return std::any_of(host.addresses.begin(), host.addresses.end(), in) ||
           std::any_of(host.virtual_addresses.begin(), host.virtual_addresses.end(), in);
  };
  if (!set.ipv4.empty()) return holds(set.ipv4.intervals()[0].first);
  return set.ipv6.empty() || holds(set.ipv6.intervals()[0].first);
}

// The first of the hosts on which the list stands for nothing. Most lists that name `self` take it
// out of others, and then one address that the host does not have is enough: with thousands of
// hosts and rules, nothing else is quick.
std::optional<Index> find_empty_host(const Policy& policy, const Selectors& selectors,
                                     std::span<const Index> hosts) {
  const bool plain_self = std::any_of(
      selectors.items.begin(), selectors.items.end(),
      [](const Selector& item) { return item.term.kind == TermKind::Self && !item.negated; });
  const net::AddressSet rest = addresses_of(policy, without_self(selectors), 0);
  if (!names_self(selectors)) return rest.empty() ? std::optional<Index>(0) : std::nullopt;
  for (const Index host : hosts) {
    if (!plain_self && !holds_first_of(policy.hosts[host], rest)) continue;
    if (addresses_of(policy, selectors, host).empty()) return host;
  }
  return std::nullopt;
}

// Whether nothing that is wrong about the term has been said already.
bool is_sound(const Policy& policy, const Term& term, const std::vector<bool>& broken) {
  if (term.kind == TermKind::Network) return !broken[term.index];
  // A role without hosts is empty; one whose hosts' addresses were all wrong was reported there.
  if (term.kind == TermKind::Role) return policy.files[term.index].hosts.empty();
  return term.kind == TermKind::Internet;
}

}  // namespace

std::optional<net::Prefix> parse_literal_prefix(std::string_view text, Span span,
                                                Diagnostics& diagnostics) {
  net::PrefixError why{};
  const auto prefix = net::parse_prefix(text, &why);
  if (!prefix) {
    report_bad_prefix(text, why, span, diagnostics);
    return std::nullopt;
  }
  return net::unmapped(*prefix);
}

std::optional<Selector> parse_selector(const Scope& scope, std::string_view text,
                                       const Place& place, std::size_t offset) {
  Selector selector;
  selector.negated = text.starts_with('!');
  if (selector.negated) {
    text.remove_prefix(1);
    ++offset;
  }
  const Span span = place.at(offset);
  Term& term = selector.term;
  term.text = text;
  term.span = span;
  if (text.empty()) {
    report(scope.diagnostics, Code::BadSelector, span, "a selector cannot be empty");
    return std::nullopt;
  }
  std::optional<TermKind> kind;
  std::string_view name = text;
  for (const auto& [qualifier, qualified] : kQualifiers) {
    if (!text.starts_with(qualifier)) continue;
    kind = qualified;
    name.remove_prefix(qualifier.size());
  }
  if (!kind) {
    net::PrefixError why{};
    if (const auto prefix = net::parse_prefix(text, &why)) {
      term.kind = TermKind::Prefix;
      term.prefix = net::unmapped(*prefix);
      return selector;
    }
    if (looks_like_address(text) || why != net::PrefixError::NotAnAddress) {
      report_bad_prefix(text, why, span, scope.diagnostics);
      return std::nullopt;
    }
    if (const auto word = builtin(text)) {
      if (*word == TermKind::Self && !scope.self) {
        report(scope.diagnostics, Code::SelfNotHere, span,
               "`self` is the host the policy is compiled for, and here there is none",
               "name the host, role or tag");
        return std::nullopt;
      }
      term.kind = *word;
      return selector;
    }
  }
  if (!is_name(name)) {
    report(scope.diagnostics, Code::BadSelector, place.at(offset + (text.size() - name.size())),
           fmt::format("{} is not a name, address or prefix", quote(name)),
           instead_of_name(scope.policy, name));
    return std::nullopt;
  }
  const auto named = look_up(scope, name, kind, span);
  if (!named) return std::nullopt;
  term.kind = named->kind;
  term.index = named->index;
  return selector;
}

Selectors parse_selectors(const Scope& scope, const Value& value) {
  Selectors selectors;
  selectors.given = true;
  selectors.span = value.span();
  for (const Value& item : items_of(value)) {
    if (auto selector = parse_selector(scope, item.text, item.place)) {
      selectors.items.push_back(std::move(*selector));
    }
  }
  return selectors;
}

void check_not_empty(const Policy& policy, const Selectors& selectors, std::span<const Index> hosts,
                     const std::vector<bool>& broken, Diagnostics& diagnostics) {
  bool sound = !selectors.items.empty();
  for (const Selector& item : selectors.items) {
    const Term& term = item.term;
    if (term.kind == TermKind::Management && !policy.management) sound = false;  // may be unset
    if (term.kind == TermKind::Self && hosts.empty()) sound = false;
    if (!stands_for_nothing(policy, term)) continue;
    sound = false;
    if (is_sound(policy, term, broken)) report_empty_term(policy, term, diagnostics);
  }
  const bool subtracts = std::any_of(selectors.items.begin(), selectors.items.end(),
                                     [](const Selector& item) { return item.negated; });
  if (!sound || !subtracts) return;
  const auto empty_on = find_empty_host(policy, selectors, hosts);
  if (!empty_on) return;
  report(diagnostics, Code::EmptySelector, selectors.span,
         names_self(selectors) ? fmt::format("the list stands for no address on {}",
                                             quote(policy.hosts[*empty_on].name))
                               : "the list stands for no address");
}

bool is_bare_unspecified(const Term& term) {
  return term.kind == TermKind::Prefix && net::is_unspecified(term.prefix.address) &&
         term.prefix.length == net::address_bits(term.prefix.address) &&
         term.text.find('/') == std::string::npos;
}

bool names_self(const Selectors& selectors) {
  return std::any_of(selectors.items.begin(), selectors.items.end(),
                     [](const Selector& item) { return item.term.kind == TermKind::Self; });
}

Selectors without_self(Selectors selectors) {
  std::erase_if(selectors.items,
                [](const Selector& item) { return item.term.kind == TermKind::Self; });
  return selectors;
}

}  // namespace rolewall::policy
