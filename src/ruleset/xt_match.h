// What a match of iptables means: one plain struct each, by families (xt_*.h), in one closed
// variant. Of each match the revisions are known that iptables 1.8 to 1.8.11 writes on the kernels
// that rolewall supports; a payload of another size, or with flags that are not known, has no
// meaning here, and a rule that reaches it is undecided, by the match's name.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "base/error.h"
#include "ruleset/host.h"
#include "ruleset/xt.h"
#include "ruleset/xt_flow.h"
#include "ruleset/xt_header.h"
#include "ruleset/xt_host.h"
#include "ruleset/xt_ipv6.h"
#include "ruleset/xt_memory.h"
#include "ruleset/xt_ports.h"

namespace rolewall::ruleset {

using XtMatchMeaning =
    std::variant<XtComment, XtTcp, XtUdp, XtMultiport, XtSctp, XtDccp, XtIcmp, XtEsp, XtAh, XtMark,
                 XtState, XtConntrack, XtConnbytes, XtConnlabel, XtConnlimit, XtHelper, XtAddrtype,
                 XtIprange, XtLength, XtTos, XtTtl, XtEcn, XtTcpmss, XtU32, XtString, XtMac,
                 XtPkttype, XtOwner, XtCgroup, XtDevgroup, XtPhysdev, XtRealm, XtCpu, XtTime,
                 XtPolicy, XtRpfilter, XtSocket, XtSet, XtLimit, XtHashlimit, XtRecent, XtQuota,
                 XtStatistic, XtFrag, XtOptions, XtRouting, XtMobility, XtIpv6header, XtEui64>;

// The error says why it has none here: "revision 2 is not known".
Result<XtMatchMeaning> meaning_of(const XtMatch& match);

// "-m multiport --dports 22,80", as iptables-save has it; of one that is not known, its name.
// `sets`: without those of the host a set of ip_set has its number in brackets.
std::string in_words(const XtMatch& match, XtFamily family, IpsetNumbers sets = {});

}  // namespace rolewall::ruleset
