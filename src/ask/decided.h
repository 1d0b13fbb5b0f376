// What rules decide about, for lint's weak points: told by the analyser, once for hosts that are
// alike. Where it takes too long, words alone tell.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "analyze/site_rules.h"
#include "ask/alike.h"
#include "policy/lint.h"

namespace rolewall::ask {

class Decided : public policy::DecidedPackets {
 public:
  // Refers to all of them.
  Decided(const policy::Policy& policy, policy::Date date, const Alike& alike,
          analyze::SiteRules& rules)
      : policy_(policy),
        date_(date),
        alike_(alike),
        rules_(rules),
        at_large_(policy::internet_at_large(policy)) {}

  const Ends& ends(const Question& question) override;

 private:
  const policy::HostPolicy& effective(policy::Index host);

  const policy::Policy& policy_;
  policy::Date date_;
  const Alike& alike_;
  analyze::SiteRules& rules_;
  net::AddressSet at_large_;
  std::map<policy::Index, policy::HostPolicy> effective_;
  // Of one host of each kind; what moves from host to host is no part of the kind.
  std::map<std::pair<std::size_t, std::string>, policy::Index> hosts_;
  std::map<Question, Ends> known_;
};

}  // namespace rolewall::ask
