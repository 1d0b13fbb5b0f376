#include "compile/ending.h"

#include "compile/table_builder.h"

namespace rolewall::compile {
void end_with(std::vector<ruleset::Rule>& rules, std::string_view comment, policy::Action action,
              CanBeTcp can_be_tcp) {
  if (action == policy::Action::Reject && can_be_tcp == CanBeTcp::Yes) {
    auto& first_packet = append_rule(rules, comment);
    match::tcp_flags(first_packet, match::kSyn | match::kAck, match::kSyn);
    match::reset(first_packet);
  }
  match::verdict(append_rule(rules, comment), action);
}

}  // namespace rolewall::compile
