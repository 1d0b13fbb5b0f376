// One rule on all packets: its expressions in turn, over registers of bits. Inside analyze/ alone.
//
// What an expression leads to is one of five things. It goes on; it tests, and the rule breaks
// where the test fails; it ends the rule; it changes the packet, so that the rest of the rule runs
// in another environment (which a break later on does not undo); or packets part ways, and the rest
// is run for each part, with what it knows of it (a family, a map's value).
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "analyze/bits.h"
#include "analyze/machine.h"
#include "analyze/remembered.h"
#include "ruleset/expressions.h"
#include "ruleset/xt_match.h"
#include "ruleset/xt_target.h"

namespace rolewall::ruleset {
struct Expr;
}

namespace rolewall::analyze {

// Whether it lets a packet on while nothing was counted but what the ruleset says. Absent: that
// depends on the packet.
std::optional<bool> passes_unspent(const ruleset::StatefulExpr& expr);
// Of all of them.
std::optional<bool> pass_unspent(std::span<const ruleset::StatefulExpr> exprs);

class RuleRun {
 public:
  RuleRun(Machine& machine, const Machine::Frame& frame, std::uint32_t rule,
          EnvironmentId environment);
  Diagram run() {
    const Diagram met = come_;
    const Diagram others = next();
    return diagrams_.choose(met, from(0), others);
  }

 private:
  using Registers = std::array<Bit, std::size_t{ruleset::kRegisterCount} * 32>;

  struct Goes {};
  struct Tests {
    Diagram holds = kEverything;
  };
  struct Ends {
    Diagram outcome = kNothing;
  };
  struct Changes {
    Environment to;
  };
  struct Branch {
    Diagram packets = kNothing;
    bool again = false;  // the same expression, now that more is known
    ruleset::Register to = 0;
    Bits value;  // else it is loaded there
  };
  struct Branches {  // elsewhere the rule breaks
    std::vector<Branch> all;
  };
  using Step = std::variant<Goes, Tests, Ends, Changes, Branches>;

  Diagram from(std::size_t expression);
  Diagram next() { return machine_.outcome({Outcome::Kind::Next, {}, environment_}); }
  // This rule decides.
  Diagram decided(Fate fate) { return decided(fate, environment_); }
  Diagram decided(Fate fate, EnvironmentId environment) {
    return machine_.decided_by(frame_, rule_, fate, environment);
  }
  Step execute(const ruleset::Expr& expr);

  // --- what is known of the packets that come here ---
  // Those of the machine's domain are many and of many shapes: what of them comes here is asked
  // for, and never made.
  bool may_be(Diagram packets) {
    return diagrams_.meet(machine_.domain(), diagrams_.both(come_, packets));
  }
  bool all_are(Diagram packets) {
    return !diagrams_.meet(machine_.domain(), diagrams_.minus(come_, packets));
  }
  // Whether all are of one family; else they part.
  std::optional<Step> part_families();
  bool is_ipv6() { return !may_be(space_.is_ipv4()); }  // REQUIRES: they have parted

  // --- registers ---
  BitSpan read(ruleset::Register first, std::size_t bytes) const;
  void store(ruleset::Register first, BitSpan bits);
  Step load(ruleset::Register to, BitSpan bits) {
    store(to, bits);
    return Goes{};
  }
  std::optional<ruleset::Bytes> known(BitSpan bits) const;

  // --- what is free ---
  // `of`: what else tells it apart.
  FieldId free_here(std::string_view what, unsigned bits, FieldKind kind, std::string_view of = {});
  Bits address_it_leaves_by();  // of the device, that masquerading takes
  Bits free_bits_here(std::string_view what, std::size_t bits);
  Diagram choice(std::string_view what, FieldKind kind = FieldKind::Choice,
                 std::string_view of = {});
  // Both sides of a comparison have the value of a place: where it is found out from something,
  // that is part of its name. "" where nothing is compared.
  std::string by_packet(Machine::FoundFrom from) const;
  std::string by_key(BitSpan key) const;
  std::string by_contents(const ruleset::Set& set, BitSpan key) const;
  std::string by_element(const ruleset::Set& set, std::size_t index, BitSpan key) const;
  // What two bits of packets give together is no bit of either.
  Bit free_bit_here(std::string_view what);
  // Of what is counted; `unspent`: what it says while nothing was. Absent: it may say either.
  Diagram counted(std::string_view what, std::optional<bool> unspent, std::string_view of = {});
  // The same value wherever it is read.
  Step load_free(ruleset::Register to, std::size_t bytes, const std::string& name, FieldKind kind);
  Step load_drawn(ruleset::Register to, std::string_view what, std::uint32_t modulus,
                  std::uint32_t offset, FieldKind kind);

  // --- loads (loads.cc) ---
  Step run_payload(const ruleset::Payload& load);
  Step run_meta(const ruleset::Meta& load);
  Step run_device_fact(const ruleset::Meta& load);
  Step run_sender(const ruleset::Meta& load);
  Step run_index(const ruleset::Meta& load);
  std::string of_device(Part part) const;
  Step run_ct(const ruleset::Ct& load);
  Step run_ct_entry(const ruleset::Ct& load);
  Step part_directions(const ruleset::Ct& load, const Bits& value);
  Step part_by_age(const ruleset::Ct& load, const Bits& of_new, const Bits& of_known);
  // Of a connection that was known before, but its mark and labels. `direction`: -1, or as the
  // rule asks.
  Bits of_known_connection(ruleset::CtKey key, int direction, std::size_t bits);
  Step run_ct_port(const ruleset::Ct& load);
  const Environment& now() const { return machine_.environments()[environment_]; }
  // --- registers alone, and tests (rule_run.cc) ---
  Step run_byteorder(const ruleset::Byteorder& op);
  Step run_shift(const ruleset::BitwiseShift& op);
  Diagram has_option(ruleset::ExthdrKind kind, std::uint8_t type);
  Step run_dynset(const ruleset::Dynset& dynset);
  Step run_registers(const ruleset::BitwiseRegisters& op);
  Step run_cmp(const ruleset::Cmp& cmp);
  Step run_range(const ruleset::Range& range);
  Step test(std::optional<Diagram> holds, bool negated);
  // --- lookups (lookup.cc) ---
  Step run_lookup(const ruleset::Lookup& lookup);
  Step look_up_member(const ruleset::Lookup& lookup, const ruleset::Set& set, BitSpan key);
  Step look_up_data(const ruleset::Lookup& lookup, const ruleset::Set& set, BitSpan key);
  Step look_up_verdict(const ruleset::Set& set, BitSpan key);
  bool may_end(const ruleset::Set& set, std::size_t index) const;
  Diagram still_holds(const ruleset::Set& set);
  std::optional<Diagram> until_it_ends(const ruleset::Set& set, BitSpan key, Diagram found);
  Diagram of_filled_set(const ruleset::Lookup& lookup, const ruleset::Set& set, BitSpan key);
  std::optional<Diagram> element(const ruleset::Set& set, std::size_t index, BitSpan key);
  std::optional<Diagram> members(const ruleset::Set& set, BitSpan key);
  Diagram passes_element(const ruleset::Set& set, std::size_t index, BitSpan key);
  Diagram verdict(const ruleset::Verdict& verdict);
  // --- what changes the packet or its way (actions.cc) ---
  Step run_meta_set(const ruleset::MetaSet& set);
  Step run_ct_set(const ruleset::CtSet& set);
  std::uint32_t zone_of(BitSpan zone);
  Step run_payload_write(const ruleset::PayloadWrite& write);
  Step run_notrack();
  Step run_log(const Places::Told& told);
  Step run_dup(const ruleset::Dup& dup);
  Step run_reject(const ruleset::Reject& reject);
  Step rejected(std::string answer);
  static std::string answer_of(const ruleset::XtReject& reject, bool ipv6);
  // Where two rulesets are compared: the environment with what the packet leaves behind. A list
  // that is only asked is noted where the packet itself has written to it.
  Environment leaving(const Left& left, bool writes = true) const;
  // What a packet finds where it has written itself is told apart by what it wrote. "": nothing.
  std::string own_writes(const std::string& where) const;
  // Tests what is counted, and leaves it counted, whether the rule goes on or not.
  Step leave(const Left& left, Diagram holds, bool writes = true);
  Step run_object(std::uint32_t type, std::string_view name);
  Step run_unsupported(const ruleset::Unsupported& unsupported);
  // --- iptables (xt.cc) ---
  Step run_xt_match(const ruleset::XtMatch& match);
  // Absent: it is not modelled, or not of all packets that come here.
  std::optional<Diagram> xt_holds(const ruleset::XtMark& match);
  std::string run_connlabel(const ruleset::XtConnlabel& label);
  std::optional<Diagram> xt_holds(const ruleset::XtState& match);
  std::optional<Diagram> xt_holds(const ruleset::XtConntrack& match);
  std::optional<Diagram> xt_holds(const ruleset::XtAddrtype& match);
  std::optional<Diagram> xt_holds(const ruleset::XtTcp& match);
  std::optional<Diagram> xt_holds(const ruleset::XtUdp& match);
  std::optional<Diagram> xt_holds(const ruleset::XtMultiport& match);
  std::optional<Diagram> xt_holds(const ruleset::XtIcmp& match);
  std::optional<Diagram> xt_holds(const ruleset::XtTtl& match);
  std::optional<Diagram> xt_holds(const ruleset::XtPkttype& match);
  // Of sets of ip_set (xt_ipset.cc).
  std::optional<Diagram> xt_holds(const ruleset::XtSet& match);
  std::optional<Machine::IpsetHolds> ipset_holds(const ruleset::IpSet& set,
                                                 const ruleset::XtSet& match);
  std::optional<Diagram> has_ipset_key(const ruleset::IpSet& set, std::string_view key,
                                       std::uint8_t sources, std::array<std::uint8_t, 2>& lengths);
  std::optional<Diagram> is_ipset_port(std::uint8_t protocol, std::span<const std::uint8_t> port,
                                       bool source);
  Diagram carries_connection();
  Diagram has_state(std::uint32_t states);
  std::optional<Diagram> has_mark(BitSpan word, const ruleset::XtMark& match);
  std::optional<Diagram> has_port(Part part, const ruleset::XtPorts& ports);
  std::optional<Diagram> have_ports(const ruleset::XtPorts& source,
                                    const ruleset::XtPorts& destination);
  bool all_are_of(std::initializer_list<std::uint8_t> protocols);
  // Of which routes are asked.
  bool has_addresses_as_it_came() const;
  Step run_xt_target(const ruleset::XtTarget& target);
  Step run_connmark(const ruleset::XtConnmarkTarget& target);
  // (`word` & ~clears) ^ turns
  void turn_bits(Bits& word, std::uint32_t clears, const Bits& turns, std::string_view what);
  Step run_tproxy(const ruleset::Tproxy& tproxy);
  Step run_synproxy(const ruleset::Synproxy& synproxy);
  // The rest of the rule, in another environment, for these packets; for others it breaks.
  Diagram rest_for(Diagram packets, Environment environment);
  Environment unknown_environment(const std::string& by) const;
  // --- translations (translations.cc) ---
  Step run_nat(const ruleset::Nat& nat);
  Step run_masquerade(const ruleset::Masquerade& nat);
  Step run_redirect(const ruleset::Redirect& nat);
  Step redirect_to(std::optional<Bits> port);  // REQUIRES: families have parted
  Step run_xt_nat(const ruleset::XtNat& nat);
  struct Translation {
    ruleset::NatKind kind = ruleset::NatKind::Source;
    std::optional<Bits> address;
    std::optional<Bits> port;
  };
  Diagram translate(const Translation& translation);
  // The packet's own address, but for the bits that both ends of the range have alike.
  Bits mapped_address(ruleset::NatKind kind, BitSpan first, BitSpan last);  // REQUIRES: likewise
  std::optional<Bits> translated_port(std::optional<ruleset::Register> least,
                                      std::optional<ruleset::Register> most, std::uint32_t flags);

  Machine& machine_;
  Diagrams& diagrams_;
  PacketSpace& space_;
  Comparison compare_;
  const Machine::Frame& frame_;
  std::uint32_t rule_;
  EnvironmentId environment_;
  std::size_t expression_ = 0;  // that runs
  Diagram come_ = kEverything;  // where the tests so far hold, and of the parts this one
  Registers registers_{};
};

}  // namespace rolewall::analyze
