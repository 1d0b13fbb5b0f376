#include "base/diagnostic.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace rolewall {

Diagnostic& Diagnostics::add(Diagnostic diagnostic) {
  const bool is_error = diagnostic.severity == Severity::Error;
  const std::size_t kept_errors = errors_ - suppressed_errors_;
  const bool is_full = is_error ? kept_errors >= kLimit : all_.size() - kept_errors >= kMostOthers;
  count(diagnostic.severity, 1);
  if (is_full) {
    ++suppressed_;
    if (is_error) ++suppressed_errors_;
    overflow_ = std::move(diagnostic);
    return overflow_;
  }
  all_.push_back(std::move(diagnostic));
  return all_.back();
}

void Diagnostics::count(Severity severity, std::ptrdiff_t more) {
  if (severity == Severity::Error) errors_ += static_cast<std::size_t>(more);
  if (severity == Severity::Warning) warnings_ += static_cast<std::size_t>(more);
}

void Diagnostics::retain(const std::function<bool(Diagnostic&)>& keep) {
  std::vector<Diagnostic> kept;
  kept.reserve(all_.size());
  for (Diagnostic& each : all_) {
    count(each.severity, -1);
    if (!keep(each)) continue;
    count(each.severity, 1);
    kept.push_back(std::move(each));
  }
  all_ = std::move(kept);
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
  return add({Severity::Error, std::move(code), span, std::move(message), std::move(hint), {}, {}});
}

Diagnostic& Diagnostics::warning(std::string code, Span span, std::string message,
                                 std::string hint) {
  return add(
      {Severity::Warning, std::move(code), span, std::move(message), std::move(hint), {}, {}});
}

Diagnostic& Diagnostics::note(std::string code, Span span, std::string message, std::string hint) {
  return add({Severity::Note, std::move(code), span, std::move(message), std::move(hint), {}, {}});
}

void Diagnostics::sort() {
  std::stable_sort(all_.begin(), all_.end(), [](const Diagnostic& a, const Diagnostic& b) {
    return std::tie(a.span.file, a.span.line, a.span.column) <
           std::tie(b.span.file, b.span.line, b.span.column);
  });
}

}  // namespace rolewall
