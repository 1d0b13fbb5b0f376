// The table while it is being built: chains and sets by name, each once.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ruleset/ruleset.h"

namespace rolewall::compile {

class TableBuilder {
 public:
  TableBuilder();

  void add_chain(std::string_view name, std::vector<ruleset::Rule> rules);
  void add_base_chain(std::string_view name, ruleset::BaseChain base,
                      std::vector<ruleset::Rule> rules);
  // The rules of a chain, which is then no more; none where it was not there.
  std::vector<ruleset::Rule> take_chain(std::string_view name);
  void add_object(ruleset::Object object);
  void add_set(ruleset::Set set);  // sorts its elements
  bool has_set(std::string_view name) const;

  // As far as it has come.
  const ruleset::Ruleset& so_far() const { return ruleset_; }
  ruleset::Ruleset take();  // sets and chains in the order of their names, base chains first

 private:
  ruleset::Table& table() { return ruleset_.tables.front(); }

  ruleset::Ruleset ruleset_;            // of one table
  std::vector<std::string> set_names_;  // sorted
};

// A rule at the list's end, with the comment: where its expressions go.
ruleset::ExprList& append_rule(std::vector<ruleset::Rule>& rules, std::string_view comment);

// What sets of addresses have in common. `fields` of more than one: a concatenation.
ruleset::Set make_set(std::string name, std::vector<ruleset::KeyField> fields);
ruleset::Set make_verdict_map(std::string name, std::vector<ruleset::KeyField> fields);

inline constexpr ruleset::KeyField kIpv4Key{ruleset::DataType::Ipv4Address, 4};
inline constexpr ruleset::KeyField kIpv6Key{ruleset::DataType::Ipv6Address, 16};
inline constexpr ruleset::KeyField kProtocolKey{ruleset::DataType::InetProtocol, 1};
inline constexpr ruleset::KeyField kFamilyKey{ruleset::DataType::NfProto, 1};
inline constexpr ruleset::KeyField kPortKey{ruleset::DataType::InetService, 2};
inline constexpr ruleset::KeyField kIcmpTypeKey{ruleset::DataType::IcmpType, 1};
inline constexpr ruleset::KeyField kIcmpv6TypeKey{ruleset::DataType::Icmp6Type, 1};

}  // namespace rolewall::compile
