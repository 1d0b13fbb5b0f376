#include "compile/translated.h"

#include <iterator>
#include <utility>

#include "compile/candidate.h"
#include "compile/match.h"
#include "ruleset/expressions.h"
#include "ruleset/own_table.h"

namespace rolewall::compile {
namespace {

using match::IpVersion;
using policy::Translation;
using ruleset::Rule;

bool is_admitted(const Translation& translation, Admitted admitted) {
  switch (admitted) {
    case Admitted::None:
      return false;
    case Admitted::Here:
      return true;
    case Admitted::Going:
      return translation.kind == Translation::Kind::Destination;
  }
  return false;
}

IpVersion version_of(const net::Address& address) {
  return net::is_ipv4(address) ? IpVersion::V4 : IpVersion::V6;
}

// `new_address`: null where the translation leaves the choice to the kernel (the device's own).
Rule admission(const LoweredRule& lowered, const Way& asked, const net::Address* new_address) {
  Rule rule{0, lowered.full_name, asked.exprs};
  if (new_address != nullptr) {
    if (!asked.version) match::nfproto(rule.exprs, version_of(*new_address));
    match::prefix(rule.exprs, match::Side::Destination,
                  {*new_address, net::address_bits(*new_address)});
  }
  if (const auto port = translation_of(lowered).port) {
    match::port(rule.exprs, match::Side::Destination, {*port, *port});
  }
  match::counter(rule.exprs);
  match::verdict(rule.exprs, policy::Action::Accept);
  return rule;
}

void add_admissions(std::vector<Rule>& rules, AddressSets& sets, const LoweredRule& lowered) {
  const Translation& translation = translation_of(lowered);
  for (const Way& asked :
       ways_to_match(fresh_candidate(lowered), sets, Ends::OriginalDestination)) {
    if (translation.addresses.empty()) rules.push_back(admission(lowered, asked, nullptr));
    for (const net::Address& address : translation.addresses) {
      if (asked.version && asked.version != version_of(address)) continue;
      rules.push_back(admission(lowered, asked, &address));
    }
  }
}

}  // namespace

void add_translated_chain(TableBuilder& table, AddressSets& sets, std::string_view dispatch,
                          const std::vector<LoweredRule>& rules,
                          const std::vector<LoweredRule>& translations, Admitted admitted) {
  std::vector<Rule> chain;
  for (const LoweredRule& rule : rules) {
    auto own = linear_rules(fresh_candidate(rule), sets, Ends::OriginalDestination);
    chain.insert(chain.end(), std::make_move_iterator(own.begin()),
                 std::make_move_iterator(own.end()));
  }
  for (const LoweredRule& translation : translations) {
    if (!is_admitted(translation_of(translation), admitted)) continue;
    add_admissions(chain, sets, translation);
  }
  table.add_chain(ruleset::own::translated_chain(dispatch), std::move(chain));
}

}  // namespace rolewall::compile
