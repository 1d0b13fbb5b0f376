// [kinds]: what services are used for. Lint tells a database from a web server by these words,
// never by the name of a role.
#pragma once

#include <string>
#include <string_view>

#include "policy/keys.h"
#include "policy/policy.h"
#include "policy/toml_file.h"

namespace rolewall::policy {

std::string_view name_of(KindWord kind);  // as [kinds] has it

const Kind& kind_of(const Policy& policy, KindWord kind);

// A [kinds] table. Each word stays as it was first given: the site's come first. REQUIRES: the
// services are in `policy`.
void read_kinds(Policy& policy, const Value& table, Keys top, bool shipped,
                Diagnostics& diagnostics);

// Whether a rule names a service of the kind: a shipped service counts by its name, since several
// share a port; a literal, and what the site defines itself, by the ports: then by each kind that
// has a service there, since the rule admits whichever listens. Where no service is named it is
// false.
bool is_of_kind(const Policy& policy, const ServiceList& services, KindWord kind);
// Of the rule's services those that are so; of a rule for every service, the kind's own.
ServiceList services_of_kind(const Policy& policy, const ServiceList& services, KindWord kind);
// Where it is by a port: whose port that is. "tcp/9090 is a port of cockpit"; else "".
std::string port_of_kind(const Policy& policy, const ServiceList& services, KindWord kind);

// Whether both have a packet in common.
bool literals_meet(const ServiceLiteral& a, const ServiceLiteral& b);

// Whether a literal has a packet that is of the kind, whatever it is called.
bool meets_kind(const Policy& policy, const ServiceLiteral& literal, KindWord kind);

// Whether every packet of a literal is of one of the kind's.
bool is_within_kind(const Policy& policy, const ServiceLiteral& literal, KindWord kind);

}  // namespace rolewall::policy
