// What lint's weak points are told from: each host's rules in force, and where a site can change
// them; whom a rule lets in. All of it goes by words (rules, [kinds], [site]) and addresses, never
// by the name of a role.
#pragma once

#include <bitset>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "base/diagnostic.h"
#include "policy/codes.h"
#include "policy/effective.h"
#include "policy/kinds.h"
#include "policy/lint.h"

namespace rolewall::policy {

class SiteFacts {
 public:
  // `decided`: as lint() has it.
  SiteFacts(const Policy& policy, Date date, DecidedPackets* decided);

  const Policy& policy() const { return policy_; }
  const HostPolicy& host(Index index) const { return hosts_[index]; }
  std::size_t host_count() const { return hosts_.size(); }

  // Where the site has the rule: its own line, or where a role names the shipped block.
  Span place_of(const EffectiveRule& rule, Index host) const;

  // By its words.
  bool is_from_internet(const Rule& rule, Index host);
  // By what it decides, too: of its services those of the kind, else all.
  bool lets_internet_in(const Rule& rule, Index host, std::optional<KindWord> kind);
  net::AddressSet lets_in(const Rule& rule, Index host, std::optional<KindWord> kind);
  // Of an outbound or forward rule: where what it decides about goes, as far as the words say.
  net::AddressSet lets_out(const Rule& rule, Index host, const net::AddressSet& words);
  // Whether it decides about nearly all ports of TCP, from the internet at large or to it.
  bool decides_any_port(const Rule& rule, Index host, bool from_internet);

  // REQUIRES: a rule of the policy's files.
  bool names_kind(const Rule& rule, KindWord kind) const;
  // Or is for every service, whatever listens.
  bool admits_kind(const Rule& rule, KindWord kind) const;
  // The first inbound rule that admits connections of the kind, by a service's name if there is
  // such; null: none does. A rule for every service makes no host a database but `writers` and
  // `replicas`.
  const EffectiveRule* taking(Index host, KindWord kind);
  // Whether the host bears an address of theirs.
  bool is_writer(Index host) const { return bears(writing_, host); }
  bool is_replica(Index host) const { return bears(replicating_, host); }
  net::AddressSet copies() const { return writing_ | replicating_; }

 private:
  const DecidedPackets::Ends* decided(const DecidedPackets::Question& question) {
    return decided_ == nullptr ? nullptr : &decided_->ends(question);
  }

  bool bears(const net::AddressSet& named, Index host) const {
    return !named.empty() && !(named & policy_.hosts[host].all_addresses()).empty();
  }

  const Policy& policy_;
  DecidedPackets* decided_;
  net::AddressSet writing_;
  net::AddressSet replicating_;
  std::vector<HostPolicy> hosts_;
  std::map<const Rule*, bool> from_internet_;  // of rules that mean the same on each host
  // By KindWord: many hosts have a rule, and each asks of what kind it is.
  std::unordered_map<const Rule*, std::bitset<std::tuple_size_v<decltype(Policy::kinds)>>> kinds_;
};

bool accepts(const Rule& rule);

// Says each thing about a rule once, though many hosts have it.
class RuleReporter {
 public:
  RuleReporter(SiteFacts& facts, Diagnostics& findings) : facts_(facts), findings_(findings) {}
  // `which`: of several findings of the code about one rule.
  void report(Code code, const EffectiveRule& rule, Index host, std::string message,
              std::string hint, std::string_view which = "");
  // At a value of [defaults], the site's or a role's.
  void report_once(Code code, Span span, std::string message, std::string hint);

 private:
  SiteFacts& facts_;
  Diagnostics& findings_;
  using Said = std::tuple<Code, const Rule*, FileId, std::uint32_t, std::uint32_t, std::string>;
  std::set<Said> said_;  // a shipped rule once for each role
};

// Where a default of the host's is written: in its role, or in site.toml. Unknown: it is not.
Span default_place(const Policy& policy, const Host& host, Span DefaultsPlaces::* which);

// Weak points: what can be reached that should not, and what fails or falls together.
void lint_exposure(SiteFacts& facts, Diagnostics& findings);
void lint_availability(SiteFacts& facts, Diagnostics& findings);

}  // namespace rolewall::policy
