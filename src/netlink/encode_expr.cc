#include <fmt/format.h>

#include "base/visit.h"
#include "netlink/expr_codec.h"
#include "ruleset/expr.h"

namespace rolewall::netlink {
namespace {

using namespace ruleset;

std::unexpected<Error> encode(const Unsupported& unsupported) {
  return fail(ErrorKind::Usage,
              fmt::format("`{}` was not read completely ({}), so it cannot be written",
                          unsupported.name, unsupported.reason));
}

}  // namespace

// Every alternative has its own encode(): one that lacks it does not compile.
Result<Message> encode_expr(const Expr& any) {
  return visit_closed([](const auto& expr) -> Result<Message> { return encode(expr); }, any);
}

}  // namespace rolewall::netlink
