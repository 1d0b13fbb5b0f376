// Whether other tables see what an expression does: the part of its effects that decides whether a
// program's chain may be passed over when one asks what ours do. A closed visit of its own, so that
// a new expression does not compile until somebody has said it.
#include <algorithm>
#include <array>
#include <string_view>

#include "base/one_of.h"
#include "base/overloaded.h"
#include "base/visit.h"
#include "ruleset/effects.h"
#include "ruleset/expr.h"
#include "ruleset/xt_effects.h"

namespace rolewall::ruleset {
namespace {

// By the kernel's name of the expression, whatever its attributes: it loads, tests, counts, logs or
// rejects. A load that can also write (meta, ct, payload, exthdr) is not among them, nor what may
// lead to any chain (immediate, lookup).
bool is_seen(const Unsupported& expr) {
  constexpr std::array<std::string_view, 21> kUnseen{
      "bitwise", "byteorder", "cmp",    "connlimit", "counter", "dup",    "fib",
      "hash",    "inner",     "last",   "limit",     "log",     "numgen", "osf",
      "quota",   "range",     "reject", "rt",        "socket",  "tunnel", "xfrm"};
  return std::ranges::find(kUnseen, expr.name) == kUnseen.end();
}

bool is_seen(const Effects& effects) {
  return effects.translates || effects.untracks || effects.writes_packet ||
         effects.memory == Memory::Flow || effects.memory == Memory::Unknown ||
         effects.ending == Ending::OtherDevice || effects.ending == Ending::Unknown;
}

}  // namespace

bool is_seen_elsewhere(const Expr& expr, const TableIndex& table) {
  return visit_closed(
      Overloaded{
          [](const Unsupported& unsupported) { return is_seen(unsupported); },
          [](const MetaSet& set) { return set.key != MetaKey::NfTrace; },
          [](const OneOf<XtMatch, XtTarget> auto& xt) { return is_seen_elsewhere(xt); },
          // The socket that it gives to the packet.
          [](const Tproxy&) { return true; },
          // Their effects say all that they do.
          [&](const OneOf<Payload, Meta, Ct, Exthdr, Fib, Rt, Socket, Osf, Numgen, JenkinsHash,
                          SymmetricHash, Tunnel, Xfrm, Immediate, BitwiseMask, BitwiseShift,
                          BitwiseRegisters, Byteorder, Cmp, Range, Lookup, Counter, Limit,
                          Connlimit, Quota, Last, Dynset, ImmediateVerdict, CtSet, PayloadWrite,
                          ExthdrWrite, ExthdrReset, Log, Reject, Notrack, Nat, Masquerade, Redirect,
                          Synproxy, Dup, Fwd, ObjectRef, ObjectLookup> auto&) {
            return is_seen(effects_of(expr, table));
          },
      },
      expr);
}

}  // namespace rolewall::ruleset
