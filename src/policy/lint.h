// Lint: what the parser and the resolver can tell of a policy that is right, and perhaps not what
// was meant. Warnings and notes alone, each with its code (codes.h).
#pragma once

#include <cstdint>
#include <optional>

#include "base/diagnostic.h"
#include "policy/policy.h"

namespace rolewall::policy {

// What a rule decides about, when all that comes before it has had its packets. By its words it may
// open what no packet comes to. Whoever can ask of all packets tells (ask/decided.h).
class DecidedPackets {
 public:
  struct Question {
    const Rule* rule = nullptr;  // in force on the host
    Index host = 0;
    std::optional<KindWord> kind;  // of the services of this kind, else of all
    bool sources = true;           // whether sources are the far ends, or destinations
    // Whether the far ends are those of internet_at_large() alone; then, where they are the
    // internet at large and (of all services) the ports nearly all, not each of them is told.
    bool at_large = false;
    auto operator<=>(const Question&) const = default;
  };
  struct Ends {
    net::AddressSet addresses;
    std::uint32_t tcp_ports = 0;  // how many ports of TCP the packets go to
  };
  virtual ~DecidedPackets() = default;
  virtual const Ends& ends(const Question& question) = 0;
};

// REQUIRES: `policy` was loaded without errors. `date` as for effective_policy(): rules that have
// expired are not looked at.
// `decided`: null where nobody can tell; then weak points go by words alone.
void lint(const Policy& policy, Date date, Diagnostics& diagnostics,
          DecidedPackets* decided = nullptr);

// Its parts: of rules (lint_rules.cc), of those that no packet comes to (lint_unmet.cc), of hosts,
// roles and networks (lint_site.cc), the site's weak points (lint_exposure.cc: what can be reached,
// lint_availability.cc: what fails or falls together), and what is left over or switched off
// (lint_hygiene.cc).
void lint_rules(const Policy& policy, Date date, Diagnostics& diagnostics);
void lint_unmet_rules(const Policy& policy, Date date, Diagnostics& diagnostics);
void lint_site(const Policy& policy, Diagnostics& diagnostics);
void lint_weak_points(const Policy& policy, Date date, DecidedPackets* decided,
                      Diagnostics& diagnostics);
void lint_hygiene(const Policy& policy, Date date, Diagnostics& diagnostics);

// So many ports that the rest would make no difference.
inline constexpr std::uint32_t kNearlyAllPorts = 60'000;

// Of an inbound or forward rule: whom it lets in, as far as `from` and `in` say.
net::AddressSet sources_by_words(const Policy& policy, const Rule& rule, Index host);
// Of an outbound or forward rule: where it leads, as far as `to` and `out` say.
net::AddressSet destinations_by_words(const Policy& policy, const Rule& rule, Index host);

// The internet without addresses that are somebody's own wherever they are.
net::AddressSet internet_at_large(const Policy& policy);
// Whether addresses are the internet at large: a whole /8 of it, or /16 of IPv6. No single
// organisation has so many.
bool holds_much_of_internet(const Policy& policy, const net::AddressSet& addresses);

}  // namespace rolewall::policy
