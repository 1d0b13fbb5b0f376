#include "ruleset/expr_name.h"

#include "base/overloaded.h"
#include "base/visit.h"
#include "ruleset/expr.h"

namespace rolewall::ruleset {

std::string_view expr_name(const Expr& expr) {
  using Name = std::string_view;
  return visit_closed(Overloaded{[](const Payload&) -> Name { return "payload"; },
                                 [](const Meta&) -> Name { return "meta"; },
                                 [](const Ct&) -> Name { return "ct"; },
                                 [](const Exthdr&) -> Name { return "exthdr"; },
                                 [](const Fib&) -> Name { return "fib"; },
                                 [](const Rt&) -> Name { return "rt"; },
                                 [](const Socket&) -> Name { return "socket"; },
                                 [](const Osf&) -> Name { return "osf"; },
                                 [](const Numgen&) -> Name { return "numgen"; },
                                 [](const JenkinsHash&) -> Name { return "hash"; },
                                 [](const SymmetricHash&) -> Name { return "hash"; },
                                 [](const Tunnel&) -> Name { return "tunnel"; },
                                 [](const Xfrm&) -> Name { return "xfrm"; },
                                 [](const Immediate&) -> Name { return "immediate"; },
                                 [](const BitwiseMask&) -> Name { return "bitwise"; },
                                 [](const BitwiseShift&) -> Name { return "bitwise"; },
                                 [](const BitwiseRegisters&) -> Name { return "bitwise"; },
                                 [](const Byteorder&) -> Name { return "byteorder"; },
                                 [](const Cmp&) -> Name { return "cmp"; },
                                 [](const Range&) -> Name { return "range"; },
                                 [](const Lookup&) -> Name { return "lookup"; },
                                 [](const Counter&) -> Name { return "counter"; },
                                 [](const Limit&) -> Name { return "limit"; },
                                 [](const Connlimit&) -> Name { return "connlimit"; },
                                 [](const Quota&) -> Name { return "quota"; },
                                 [](const Last&) -> Name { return "last"; },
                                 [](const Dynset&) -> Name { return "dynset"; },
                                 [](const ImmediateVerdict&) -> Name { return "immediate"; },
                                 [](const MetaSet&) -> Name { return "meta"; },
                                 [](const CtSet&) -> Name { return "ct"; },
                                 [](const PayloadWrite&) -> Name { return "payload"; },
                                 [](const ExthdrWrite&) -> Name { return "exthdr"; },
                                 [](const ExthdrReset&) -> Name { return "exthdr"; },
                                 [](const Log&) -> Name { return "log"; },
                                 [](const Reject&) -> Name { return "reject"; },
                                 [](const Notrack&) -> Name { return "notrack"; },
                                 [](const Nat&) -> Name { return "nat"; },
                                 [](const Masquerade&) -> Name { return "masq"; },
                                 [](const Redirect&) -> Name { return "redir"; },
                                 [](const Tproxy&) -> Name { return "tproxy"; },
                                 [](const Synproxy&) -> Name { return "synproxy"; },
                                 [](const Dup&) -> Name { return "dup"; },
                                 [](const Fwd&) -> Name { return "fwd"; },
                                 [](const ObjectRef&) -> Name { return "objref"; },
                                 [](const ObjectLookup&) -> Name { return "objref"; },
                                 [](const XtMatch&) -> Name { return "match"; },
                                 [](const XtTarget&) -> Name { return "target"; },
                                 [](const Unsupported& e) -> Name { return e.name; }},
                      expr);
}

}  // namespace rolewall::ruleset
