#include "base/diagnostic.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace rolewall {

Diagnostic& Diagnostics::add(Diagnostic diagnostic) {
  if (diagnostic.severity == Severity::Error) ++errors_;
  if (diagnostic.severity == Severity::Warning) ++warnings_;
  if (all_.size() >= kLimit) {
    ++suppressed_;
    overflow_ = std::move(diagnostic);
    return overflow_;
  }
  all_.push_back(std::move(diagnostic));
  return all_.back();
}

std::string_view name_of(Severity severity) {
  switch (severity) {
    case Severity::Error:
      return "error";
    case Severity::Warning:
      return "warning";
    case Severity::Note:
      return "note";
  }
  return "";
}

Diagnostic& Diagnostics::error(std::string code, Span span, std::string message, std::string hint) {
  return add({Severity::Error, std::move(code), span, std::move(message), std::move(hint), {}});
}

Diagnostic& Diagnostics::warning(std::string code, Span span, std::string message,
                                 std::string hint) {
  return add({Severity::Warning, std::move(code), span, std::move(message), std::move(hint), {}});
}

Diagnostic& Diagnostics::note(std::string code, Span span, std::string message, std::string hint) {
  return add({Severity::Note, std::move(code), span, std::move(message), std::move(hint), {}});
}

void Diagnostics::sort() {
  std::stable_sort(all_.begin(), all_.end(), [](const Diagnostic& a, const Diagnostic& b) {
    return std::tie(a.span.file, a.span.line, a.span.column) <
           std::tie(b.span.file, b.span.line, b.span.column);
  });
}

}  // namespace rolewall
