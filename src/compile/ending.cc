#include "compile/ending.h"

#include <string>

namespace rolewall::compile {
namespace {

match::Exprs& append(std::vector<ruleset::Rule>& rules, std::string_view comment) {
  rules.push_back({0, std::string(comment), {}});
  return rules.back().exprs;
}

}  // namespace

void end_with(std::vector<ruleset::Rule>& rules, std::string_view comment, policy::Action action,
              CanBeTcp can_be_tcp) {
  if (action == policy::Action::Reject && can_be_tcp == CanBeTcp::Yes) {
    auto& first_packet = append(rules, comment);
    match::tcp_flags(first_packet, match::kSyn | match::kAck, match::kSyn);
    match::reset(first_packet);
  }
  match::verdict(append(rules, comment), action);
}

}  // namespace rolewall::compile
