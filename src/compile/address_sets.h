// A condition on an address, as what nf_tables can test: nothing, one prefix in the rule itself, or
// membership in sets of the table. Single addresses lie in hash sets; prefixes and ranges in
// interval sets; a large list that holds both is split over one of each, so that its single
// addresses cost one hash lookup.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compile/lower.h"
#include "compile/match.h"
#include "compile/table_builder.h"

namespace rolewall::compile {

// One way to satisfy the condition; no address satisfies two of a condition's tests.
struct AddressTest {
  match::IpVersion version = match::IpVersion::V4;
  bool any = false;  // of that version
  std::optional<net::Prefix> prefix;
  std::string set;
};

class AddressSets {
 public:
  // `share` off: every condition gets sets of its own, one a family.
  AddressSets(TableBuilder& table, bool share) : table_(table), share_(share) {}

  // The tests for one family; makes the sets that they need. `owner` names the condition where the
  // policy gave it no name ("web.inbound.app.from"). Empty: no address of that family satisfies it.
  std::vector<AddressTest> tests(const AddressCondition& condition, match::IpVersion version,
                                 const std::string& owner);

 private:
  TableBuilder& table_;
  bool share_;
};

// REQUIRES: match::nfproto() of the test's version stands before it in the rule.
void append(match::Exprs& exprs, match::Side side, const AddressTest& test);

}  // namespace rolewall::compile
