// Writes the random rules of one family (iptables_text.h): rules and chains in iptables_text.cc,
// what they ask in iptables_matches.cc, what they do in iptables_targets.cc.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "iptables_text.h"
#include "random.h"

namespace rolewall::kernel_judge {

class IptablesWriter {
 public:
  IptablesWriter(Random& random, bool ipv6, bool tracks, bool remembers)
      : random_(random), v6_(ipv6), tracks_(tracks), remembers_(remembers) {}

  IptablesText::Table write(const std::string& name);

 private:
  using Words = std::initializer_list<std::string>;

  // Where a rule stands: what it may ask and do depends on it. A chain of a user may be met from
  // any hook of its table, or from one alone: then it may hold what fits there.
  struct Place {
    std::string table;
    std::string chain;
    std::string hook;  // "INPUT"; "" of a chain that is met from any
    bool is(std::string_view name) const { return hook == name; }
    bool arrives() const { return is("PREROUTING") || is("INPUT") || is("FORWARD"); }
    bool leaves() const { return is("OUTPUT") || is("POSTROUTING"); }
    bool passes() const { return is("FORWARD"); }
    bool is_of_user() const { return chain != hook; }
  };

  static std::vector<std::string> hooks_of(const std::string& table);
  std::string rule(const Place& at);
  std::string base_match(const Place& at);
  void add_marks(IptablesText::Chain& chain);
  std::string spending();

  // Values.
  std::string pick(Words words) { return random_.of(std::vector<std::string>(words)); }
  std::string inverted(unsigned percent = 25) { return random_.percent(percent) ? "! " : ""; }
  std::string address();
  std::string device();
  std::string port();
  std::string ports();
  std::string port_list();
  std::string range();
  std::string states();
  std::string mark();

  // What a rule asks; "" where it does not fit.
  std::string match(const Place& at);
  std::string protocol_match();
  bool has_ports() const;
  std::string limited_to_device(const Place& at);
  std::string header_match(const Place& at);
  std::string payload_match();
  std::string addrtype_match(const Place& at);
  std::string ipv6_match();
  std::string flow_match();
  std::string conntrack_match();
  std::string host_match(const Place& at);
  std::string devgroup_match(const Place& at);
  std::string physdev_match(const Place& at);
  std::string transforms();
  std::string tunnel_end() { return v6_ ? "2001:db8::/32" : "192.0.2.0/24"; }
  std::string sides(unsigned dimensions);
  std::string set_match();
  std::string hashlimit_match();
  std::string memory_match();

  // What it does.
  std::string target(const Place& at);
  std::string usual_target(const Place& at);  // those that may stand in any table
  std::string mark_target();
  std::string segment_size(const Place& at);
  std::string nat_target(const Place& at);
  std::string mangle_target(const Place& at);
  std::string raw_target();
  std::string reject_target();
  std::string set_target();
  std::string note();  // what lets the packet go on

  Random& random_;
  bool v6_;
  bool tracks_;
  bool remembers_;
  std::vector<std::string> targets_;  // chains that a rule may send to
  std::string called_from_;           // the hook that alone sends to them; "": any
  std::uint32_t names_ = 0;
  // Of the rule that is being written.
  std::string protocol_;
  bool syn_ = false;
  bool marks_ = false;  // a rule has, so that a later one reads it
};

}  // namespace rolewall::kernel_judge
