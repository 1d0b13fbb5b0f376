#include "policy/nat.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "net/mapped_address.h"
#include "policy/codes.h"
#include "policy/service.h"

namespace rolewall::policy {
namespace {

constexpr std::string_view kDestinationExample = R"(for example "web-01:443" or "10.0.2.10")";
constexpr std::uint64_t kMostPort = 65535;

struct Target {
  std::string_view address;
  std::size_t offset = 0;  // of the address in the text
  std::optional<std::string_view> port;
};

// "[fd00::1]:443", "10.0.2.10:443", "web-01:443", "host:web-01:443"; a bare IPv6 address has colons
// of its own. Qualifiers of what is no host are understood too, to be refused for what they are.
Target split_target(std::string_view text) {
  if (const auto close = text.find("]:");
      text.starts_with('[') && close != std::string_view::npos) {
    return {text.substr(1, close - 1), 1, text.substr(close + 2)};
  }
  constexpr std::array<std::string_view, 4> kQualifiers = {"host:", "role:", "tag:", "net:"};
  std::size_t start = 0;
  for (const std::string_view qualifier : kQualifiers) {
    if (text.starts_with(qualifier)) start = qualifier.size();
  }
  const auto colon = text.find(':', start);
  const bool is_single =
      colon != std::string_view::npos && text.find(':', colon + 1) == std::string_view::npos;
  if (!is_single) return {text, 0, std::nullopt};
  return {text.substr(0, colon), 0, text.substr(colon + 1)};
}

class TranslationReader {
 public:
  TranslationReader(Loader& loader, const Section& section, const Rule& rule,
                    std::optional<Span> used_at)
      : loader_(loader), section_(section), rule_(rule), used_at_(used_at) {}

  std::optional<Translation> read() {
    if (section_.misspells("new-destination") || section_.misspells("new-source")) {
      return std::nullopt;
    }
    const bool destination = section_.has("new-destination");
    if (destination == section_.has("new-source")) {
      return fail(section_.span(),
                  destination ? "a rule translates the destination or the source, not both"
                              : "the rule has nothing to translate to",
                  destination ? "write two rules" : "add new-destination or new-source");
    }
    const Value* value = section_.find(destination ? "new-destination" : "new-source");
    if (value == nullptr) return std::nullopt;
    return destination ? read_destination(*value) : read_source(*value);
  }

 private:
  std::nullopt_t fail(Span span, std::string message, std::string hint) {
    report(loader_.diagnostics, Code::BadTranslation, span, std::move(message), std::move(hint));
    return std::nullopt;
  }

  std::optional<Translation> read_source(const Value& value) {
    if (const Value* in = section_.find("in")) {
      return fail(in->span(), "the source is translated when the packet leaves: there is no `in`",
                  "out = \"...\"");
    }
    Translation translation;
    if (value.text == "masquerade") {
      translation.kind = Translation::Kind::Masquerade;
      return translation;
    }
    translation.kind = Translation::Kind::Source;
    const auto address = net::parse_address(value.text);
    if (!address) {
      return fail(value.span(), fmt::format("{} is not a new source", quote(value.text)),
                  "an address, or \"masquerade\" for the address of the outgoing device");
    }
    translation.addresses = {net::unmapped(*address)};
    return translation;
  }

  std::optional<Translation> read_destination(const Value& value) {
    if (const Value* out = section_.find("out")) {
      return fail(out->span(),
                  "the destination is translated before the packet is routed: there is "
                  "no `out`",
                  "in = \"...\"");
    }
    const Target target = split_target(value.text);
    Translation translation;
    if (target.port) {
      const auto port = parse_number(*target.port, kMostPort);
      if (!port || *port == 0) {
        return fail(value.span(), fmt::format("{} is not a port", quote(*target.port)),
                    "a number from 1 to 65535");
      }
      translation.port = static_cast<std::uint16_t>(*port);
      if (!all_have_ports()) {
        return fail(value.span(), "a new port needs a service with ports",
                    "service = \"tcp/8443\", or leave the port out");
      }
    }
    const auto selector =
        parse_selector(loader_.scope(true, used_at_), target.address, value.place, target.offset);
    if (!selector) return std::nullopt;
    if (!add_addresses(*selector, translation)) {
      return fail(value.span(),
                  fmt::format("{} is not a new destination: that is one host, or an address",
                              quote(value.text)),
                  std::string(kDestinationExample));
    }
    return translation;
  }

  bool all_have_ports() const {
    const auto& literals = rule_.conditions.services.literals;
    return !literals.empty() && std::all_of(literals.begin(), literals.end(), [](const auto& each) {
      return net::has_ports(each.protocol);
    });
  }

  // False where the selector is no single machine.
  bool add_addresses(const Selector& selector, Translation& translation) const {
    if (selector.negated) return false;
    const Term& term = selector.term;
    switch (term.kind) {
      case TermKind::Self:
        translation.kind = Translation::Kind::Local;
        return true;
      case TermKind::Prefix:
        if (!is_whole(term.prefix)) return false;
        translation.addresses = {term.prefix.address};
        return true;
      case TermKind::Host:
        add_host(loader_.policy.hosts[term.index], translation);
        return !translation.addresses.empty();
      case TermKind::Any:
      case TermKind::Internet:
      case TermKind::Site:
      case TermKind::Management:
      case TermKind::LinkLocal:
      case TermKind::Role:
      case TermKind::Tag:
      case TermKind::Network:
        return false;
    }
    return false;
  }

  static bool is_whole(const net::Prefix& prefix) {
    return prefix.length == (net::is_ipv4(prefix.address) ? 32 : 128);
  }

  // A host stands for its first address of each family.
  static void add_host(const Host& host, Translation& translation) {
    for (const bool ipv4 : {true, false}) {
      const auto first =
          std::find_if(host.addresses.begin(), host.addresses.end(), [&](const auto& prefix) {
            return net::is_ipv4(prefix.address) == ipv4 && is_whole(prefix);
          });
      if (first != host.addresses.end()) translation.addresses.push_back(first->address);
    }
  }

  Loader& loader_;
  const Section& section_;
  const Rule& rule_;
  std::optional<Span> used_at_;
};

}  // namespace

std::optional<Translation> read_translation(Loader& loader, const Section& section,
                                            const Rule& rule, std::optional<Span> used_at) {
  return TranslationReader(loader, section, rule, used_at).read();
}

}  // namespace rolewall::policy
