#include "base/source.h"

#include <fmt/format.h>

namespace rolewall {

std::string SourceFiles::format(const Span& span) const {
  if (!span.known()) return "";
  if (span.line == 0) return path(span.file);
  return fmt::format("{}:{}:{}", path(span.file), span.line, span.column);
}

}  // namespace rolewall
