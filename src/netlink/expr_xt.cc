// Matches and targets of iptables: a name, a revision and a payload, which is carried as it is.
#include <fmt/format.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/x_tables.h>

#include "netlink/expr_codec.h"
#include "netlink/expr_writer.h"
#include "ruleset/expr.h"

namespace rolewall::netlink {
namespace {

using namespace ruleset;

// NFTA_TARGET_* are the same numbers.
static_assert(int{NFTA_MATCH_NAME} == int{NFTA_TARGET_NAME} &&
              int{NFTA_MATCH_REV} == int{NFTA_TARGET_REV} &&
              int{NFTA_MATCH_INFO} == int{NFTA_TARGET_INFO});

template <class Xt>
Expr decode_xt(Attributes& attributes) {
  Xt xt;
  xt.name = attributes.text(NFTA_MATCH_NAME);
  xt.revision = attributes.be32(NFTA_MATCH_REV);
  const View info = attributes.bytes(NFTA_MATCH_INFO);
  xt.info.assign(info.begin(), info.end());
  return xt;
}

template <class Xt>
Result<Message> encode_xt(std::string_view what, const Xt& xt) {
  constexpr std::size_t kMostInfo = 0xf000;  // of an attribute
  if (xt.name.empty() || xt.name.size() >= XT_EXTENSION_MAXNAMELEN ||
      xt.name.find('\0') != std::string::npos || xt.info.size() > kMostInfo) {
    return fail(ErrorKind::Usage, fmt::format("a {} of iptables with a name or payload that the "
                                              "kernel does not take",
                                              what));
  }
  return ExprWriter(what)
      .text(NFTA_MATCH_NAME, xt.name)
      .be32(NFTA_MATCH_REV, xt.revision)
      .bytes(NFTA_MATCH_INFO, xt.info)
      .finish();
}

}  // namespace

Expr decode_match(Attributes& attributes) {
  return decode_xt<XtMatch>(attributes);
}
Result<Message> encode(const XtMatch& match) {
  return encode_xt("match", match);
}

Expr decode_target(Attributes& attributes) {
  return decode_xt<XtTarget>(attributes);
}
Result<Message> encode(const XtTarget& target) {
  return encode_xt("target", target);
}

}  // namespace rolewall::netlink
