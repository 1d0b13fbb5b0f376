// The instructions of nf_tables, run on one packet: nft_do_chain() of
// net/netfilter/nf_tables_core.c and the eval function of each expression.
//
// What the kernel keeps in registers is kept here byte for byte, so that comparisons order as
// memcmp does there: packet fields in network order, marks and indexes in the host's.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eval/choices.h"
#include "eval/eval.h"
#include "eval/frame.h"
#include "eval/ipsets.h"
#include "eval/nat.h"
#include "eval/program.h"
#include "eval/render.h"
#include "eval/route.h"
#include "eval/state.h"
#include "eval/xt_packet.h"

namespace rolewall::eval {

using Registers = std::array<std::uint8_t, std::size_t{ruleset::kRegisterCount} * 4>;

struct ChainResult {
  Fate fate = Fate::Accept;
  Decision decision;
  std::string reason;  // Undecided
};

class Interpreter {
 public:
  Interpreter(const Program& program, State& state, const Routes& routes)
      : program_(program), state_(state), routes_(routes) {}

  // Runs a base chain to its verdict. What rules change of the packet is changed in `frame`; `hook`
  // gets the steps.
  ChainResult run(std::uint32_t table, std::uint32_t chain, Frame& frame, const Options& options,
                  HookResult& hook);

  Choices& choices() { return choices_; }

 private:
  // What an expression leads to.
  enum class Next : std::uint8_t { Expression, Break, Verdict, Undecided };
  struct Target {
    ruleset::VerdictCode code = ruleset::VerdictCode::Continue;
    std::uint32_t chain = Program::kNone;
    bool rejects = false;
    bool stolen = false;  // NF_STOLEN: reason_ says where the packet went instead
  };
  // Where a key was found.
  struct Hit {
    enum class Place : std::uint8_t { Nowhere, Element, Added, CatchAll } place = Place::Nowhere;
    std::uint32_t element = 0;
    const DynamicElement* added = nullptr;
  };

  // What is known of a value that is not.
  struct Unknown {
    std::string name;
    Format format = Format::Hex;
    std::optional<std::uint32_t> never = std::nullopt;  // a number that it is not, all the same
    struct Bounds {
      std::uint32_t least = 0;
      std::uint32_t most = 0;
    };
    std::optional<Bounds> within = std::nullopt;  // a number of 32 bits that is one of these
  };

  Next run_rule(const Program::Rule& now, const Options& options, std::size_t& expression);
  Next execute(const ruleset::Expr& expr, std::uint32_t operand);
  Next undecided(std::string reason);
  Next go_on_unmodelled(const ruleset::Expr& expr);
  void record(HookResult& hook, const Options& options, std::uint32_t chain, std::uint32_t rule,
              Next next, std::size_t expression) const;
  ChainResult give_up(std::uint32_t chain, std::uint32_t rule, const std::string& reason) const;

  // --- registers whose value the kernel knows and the question does not say ---
  Next store_unknown(const ruleset::Expr& load, std::string name, Format format);
  Next store_unknown(ruleset::Register first, std::size_t size, std::string name,
                     Format format = Format::Hex);
  void mark(ruleset::Register first, std::size_t size, std::uint16_t unknown);
  // Of the first unknown one among them: its number; 0 where all are known.
  std::uint16_t unknown_among(ruleset::Register first, std::size_t size) const;
  const std::string& unknown_name(std::uint16_t unknown) const {
    return unknowns_[unknown - 1].name;
  }
  // What comes of an expression that reads one; std::nullopt where it reads none.
  std::optional<Next> run_on_unknown(const ruleset::Expr& expr, std::uint32_t operand);
  Next look_up_unknown(const ruleset::Lookup& lookup, const Program::Set& set,
                       std::uint16_t unknown);

  Next run_byteorder(const ruleset::Byteorder& op);
  Next run_payload(const ruleset::Payload& load);
  Next run_meta(const ruleset::Meta& load);
  Next run_ct(const ruleset::Ct& load);
  Next run_ct_entry(const ruleset::Ct& load);
  std::uint8_t chosen_direction();
  Next run_meta_set(const ruleset::MetaSet& set);
  Next run_ct_set(const ruleset::CtSet& set);
  Next run_lookup(const ruleset::Lookup& lookup, const Program::Set& set);
  Next take_hit(const ruleset::Lookup& lookup, const Program::Set& set, const Hit& hit);
  Next take_nat(NatAnswer answer);
  Next run_dynset(const ruleset::Dynset& dynset, const Program::Set& set);
  // The rule that runs asks what the kernel has counted since it was loaded, and no dump says.
  void assume_unspent(std::string_view what);
  Next run_limit(const ruleset::Limit& limit, CellIndex cell);
  bool run_quota(const ruleset::Quota& quota, CellIndex cell);
  static constexpr std::uint64_t kLargestPacket = 0xffff;
  // `in_set`: it counts in an element, and the set looks by itself, too.
  Next run_connlimit(const ruleset::Connlimit& connlimit, CellIndex cell, bool in_set = false);
  bool has_ended(const CountedFlow& counted, bool in_set);
  bool has_ended(const Program::Set& set, std::uint32_t element);
  bool collect(ConnectionCount& count, const std::vector<bool>& ended, const FlowEntry* entry,
               const CountedFlow& own, bool adds);
  Next run_payload_write(const ruleset::PayloadWrite& write);
  std::size_t choose(const std::string& about, std::span<const std::string> answers);
  bool choose_whether(const std::string& about);
  std::size_t choose_unworded(std::size_t answers);
  bool only_notes() const;
  // `compared`: with the device that its own way goes by, where it is passed on.
  Routes routes_asked_for(const net::Address& asked, std::string_view compared,
                          bool by_mark = false);
  std::string chosen_hop(const ruleset::Route& route, const net::Address& to);
  Next draw(ruleset::Register to, const std::string& about, std::uint32_t modulus,
            std::uint32_t offset);
  Next run_numgen(const ruleset::Numgen& numgen, CellIndex cell);
  Next run_fib(const ruleset::Fib& fib);
  Next run_fib_type(const ruleset::Fib& fib);
  // RTN_*; 0: of no type.
  std::uint32_t type_of_address(const net::Address& asked, bool on_device, std::string_view device);
  Next run_fib_device(const ruleset::Fib& fib);
  Next store_device(const ruleset::Fib& fib, std::string_view device);
  Next run_rt(const ruleset::Rt& rt);
  void note_given(bool is_set, bool& was_read, std::string_view what);
  Next run_socket(const ruleset::Socket& socket);
  bool has_no_transparent_socket() const;

  // The expression takes every SYN and ACK, iptables' target those without another flag beside.
  enum class SynproxyOf : std::uint8_t { Nft, Iptables };

  // --- matches and targets of iptables (interpreter_xt.cc, interpreter_xt_target.cc) ---
  Next run_xt_match(const ruleset::XtMatch& match, const Program::XtMatch& ready);
  std::optional<bool> xt_match_holds(const ruleset::XtMatch& match, const Program::XtMatch& ready,
                                     XtPacket& packet);
  // Absent: undecided.
  bool xt_asks(const ruleset::XtState& match) const;
  std::optional<bool> xt_asks(const ruleset::XtConntrack& match);
  bool xt_asks(const ruleset::XtMark& match);
  bool xt_asks(const ruleset::XtConnbytes& match);
  bool xt_asks(const ruleset::XtConnlabel& match);
  Next run_xt_connlimit(const ruleset::XtConnlimit& match, CellIndex cell);
  bool xt_asks(const ruleset::XtHelper& match);
  bool xt_asks(const ruleset::XtAddrtype& match);
  bool xt_is_of_type_ipv6(const ruleset::XtAddrtype& match, bool source, std::uint16_t types);
  bool xt_asks(const ruleset::XtRpfilter& match);
  bool xt_asks(const ruleset::XtMac& match);
  bool xt_asks(const ruleset::XtOwner& match);
  bool xt_asks(const ruleset::XtCgroup& match);
  bool xt_asks(const ruleset::XtDevgroup& match);
  bool xt_asks(const ruleset::XtPhysdev& match);
  bool xt_asks(const ruleset::XtTime& match);
  std::optional<bool> xt_asks(const ruleset::XtSocket& match);
  bool xt_asks(const ruleset::XtLimit& match, CellIndex cell);
  Clock ticking_clock() const;
  // Absent: the clock's error decides. spend_limit() with the same clock is to follow.
  std::optional<bool> is_within_ticking_limit(const ruleset::Limit& limit, CellIndex cell);
  bool xt_asks(const ruleset::XtHashlimit& match, const Program::XtMatch& ready, XtPacket& packet);
  std::optional<std::string> hashlimit_entry(const ruleset::XtHashlimit& match,
                                             XtPacket& packet) const;
  // Absent: it counts otherwise than packets, or its numbers are too large.
  static std::optional<ruleset::Limit> as_limit(const ruleset::XtHashlimit& match);
  bool xt_asks(const ruleset::XtQuota& match, CellIndex cell);
  bool xt_asks(const ruleset::XtStatistic& match, CellIndex cell);
  bool xt_asks(const ruleset::XtRecent& match, const Program::XtMatch& ready);
  struct RecentHits {
    std::uint64_t certain = 0;
    std::uint64_t possible = 0;
  };
  RecentHits recent_hits(const ruleset::XtRecent& match,
                         std::span<const std::uint64_t> stamps) const;
  // Whether a program of this host sends it, as far as the question says.
  bool has_local_sender();
  // Whether it has come to the socket of an open connection before its rules are asked.
  bool has_early_socket();
  Next run_xt_target(const ruleset::XtTargetMeaning& target);
  Next run_xt_target(const ruleset::XtCt& target);
  Next run_xt_target(const ruleset::XtNat& target);
  Next run_xt_target(const ruleset::XtConnmarkTarget& target);
  Next run_xt_target(const ruleset::XtSetMss& target);
  Next run_xt_target(const ruleset::XtStripOptions& target);
  Next run_xt_target(const ruleset::XtSetTos& target);
  Next run_xt_target(const ruleset::XtSetTtl& target);
  Next run_xt_target(const ruleset::XtSetEcn& target);
  Next run_xt_target(const ruleset::XtTproxyTarget& target);
  Next run_xt_target(const ruleset::XtQueue& target);
  Next run_xt_target(const ruleset::XtSetTarget& target);
  Next xt_drops();

  // --- sets of ip_set (interpreter_ipset.cc) ---
  enum class IpsetAnswer : std::uint8_t { No, Yes, Excluded, Unknown };
  bool xt_asks(const ruleset::XtSet& match, XtPacket& packet);
  IpsetAnswer ask_ipset(const ruleset::IpSet& set, const IpsetUse& use, XtPacket& packet,
                        const ruleset::IpSet::Element** found);
  IpsetAnswer ask_list(const ruleset::IpSet& list, const IpsetUse& use, XtPacket& packet);
  IpsetAnswer ask_keys(const ruleset::IpSet& set, const IpsetKeys& keys, const IpsetUse& use,
                       const ruleset::IpSet::Element** found);
  IpsetAnswer ask_devices(const ruleset::IpSet& set, const std::string& network,
                          std::string_view device, const IpsetUse& use,
                          const ruleset::IpSet::Element** found);
  IpsetAnswer ask_key(const ruleset::IpSet& set, const std::string& key,
                      const ruleset::IpSet::Element** found);
  IpsetAnswer ask_counted(const ruleset::IpSet& set, const std::string& key, const IpsetUse& use,
                          const ruleset::IpSet::Element** found);
  std::optional<bool> is_time_left(std::optional<std::uint32_t> seconds_left) const;
  IpsetKeys ipset_keys(const ruleset::IpSet& set, const IpsetUse& use, XtPacket& packet);
  std::optional<std::string> sender_or_receiver(bool source, bool& known) const;
  void change_ipset(const ruleset::XtSetTarget& target, bool adds, XtPacket& packet);
  Next map_by_ipset(const ruleset::XtSetTarget& target, XtPacket& packet);
  bool is_changed_unknown(const ruleset::IpSet& set);
  void change_unknown(const ruleset::IpSet& set);
  Next run_osf(const ruleset::Osf& osf);
  Next run_tunnel(const ruleset::Tunnel& tunnel);
  Next run_exthdr(const ruleset::Exthdr& load);
  // `unknown`: of what is written, or 0.
  Next run_exthdr_write(const ruleset::ExthdrWrite& write, std::uint16_t unknown = 0);
  Next store_loaded(ruleset::Register to, std::size_t start, std::size_t size);
  static std::optional<bool> holds_within_bounds(const Unknown& what, const ruleset::Cmp& cmp);
  static std::optional<bool> holds_within_bounds(const Unknown& what, const ruleset::Range& range);
  Next run_exthdr_reset(const ruleset::ExthdrReset& reset);
  Next run_tproxy(const ruleset::Tproxy& tproxy);
  Next run_synproxy(SynproxyOf whose);
  Next run_dup(const ruleset::Dup& dup);
  Next run_fwd(const ruleset::Fwd& fwd);
  Next run_object(std::uint32_t object);
  Next run_object_lookup(const ruleset::ObjectLookup& lookup, const Program::Set& set);
  Next run_ct_helper(const ruleset::CtHelper& helper);
  Next run_ct_timeout(const ruleset::CtTimeout& timeout);
  Next run_ct_expectation(const ruleset::CtExpectation& expectation);
  Next run_element(const std::vector<ruleset::StatefulExpr>& exprs, CellIndex first_cell);

  Hit find(const Program::Set& set, const std::uint8_t* key);
  Hit find_element(const Program::Set& set, const std::uint8_t* key);
  static void ask_for(PartialSet& set, std::string_view key);
  // Whether a packet's element finds no room.
  bool is_full(const Program::Set& set, std::uint32_t most,
               const std::vector<ruleset::StatefulExpr>& exprs);
  // Of an element that a rule updates.
  void renew(const Program::Set& set, const Hit& hit, const std::uint8_t* key,
             std::uint64_t timeout_ms);
  bool is_idle(const DynamicElement& element);
  bool chooses_whether_over(const Program::Set& set);
  void settle_end(const DynamicElement& element, const Program::Set& set, std::string_view key);
  std::uint64_t end_of(const Program::Set& set, std::size_t element) const;
  State::Ends ends_of(const Program::Set& set) const;

  std::uint8_t* at(ruleset::Register first) { return registers_.data() + std::size_t{first} * 4; }
  std::uint32_t word(ruleset::Register first) const;
  void store(ruleset::Register first, std::span<const std::uint8_t> bytes);
  void store_word(ruleset::Register first, std::uint32_t number);
  void store_byte(ruleset::Register first, std::uint8_t number);
  void store_name(ruleset::Register first, std::string_view name);
  Next store_index(ruleset::Register first, std::string_view device);

  const Program& program_;
  State& state_;
  const Routes& routes_;
  Choices choices_;

  // Of the chain that runs.
  const Program::Table* table_ = nullptr;
  std::uint32_t table_number_ = 0;
  std::uint32_t chain_now_ = 0;  // the rule that runs
  std::uint32_t rule_now_ = 0;
  std::optional<Ipsets> ipsets_;  // of the host, once they are asked for
  bool next_test_holds_ = false;  // what it reads is not known, and the rule is taken to match
  Frame* frame_ = nullptr;
  Clock clock_;
  Registers registers_{};
  std::vector<Unknown> unknowns_;
  std::array<std::uint16_t, ruleset::kRegisterCount> unknown_{};  // 0, or 1 + index of unknowns_
  bool chose_ = false;       // the expression's answer was chosen
  bool words_tests_ = true;  // Options::word_tests
  // What was not asked, since only_notes(): what its answer would be about.
  std::string left_open_;
  Target target_;
  std::string reason_;
};

}  // namespace rolewall::eval
