// What is wrong with the user's policy, said at the place where it is wrong. A stage reports all
// that it can find into Diagnostics and goes on; the next stage does not start if there are errors.
// Library folders never print: cli/ renders.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/source.h"

namespace rolewall {

enum class Severity { Note, Warning, Error };
std::string_view name_of(Severity severity);

struct DiagnosticNote {
  Span span;
  std::string message;
};

// `code` is a stable kebab-case word ("unknown-key"): tests and machines match it, never the text.
// `message` says what is wrong, `hint` what to do ("did you mean `management`?"); either may name
// values of the user's.
struct Diagnostic {
  Severity severity = Severity::Error;
  std::string code;
  Span span;
  std::string message;
  std::string hint;
  std::vector<DiagnosticNote> notes;
  // The table that it is about (a rule's, a host's), where `span` is elsewhere, or of a value in
  // it.
  Span subject = {};
};

class Diagnostics {
 public:
  // At most this many errors are kept, so that hostile input cannot exhaust memory; the rest are
  // counted. Of the others there are as many as a large site has: what the site makes of each
  // (policy/handling.h) is asked before anything may be left out.
  static constexpr std::size_t kLimit = 1000;
  static constexpr std::size_t kMostOthers = 100'000;

  // The reference is valid until the next call; use it to add notes.
  Diagnostic& error(std::string code, Span span, std::string message, std::string hint = "");
  Diagnostic& warning(std::string code, Span span, std::string message, std::string hint = "");
  Diagnostic& note(std::string code, Span span, std::string message, std::string hint = "");

  bool has_errors() const { return errors_ > 0; }
  std::size_t error_count() const { return errors_; }
  std::size_t warning_count() const { return warnings_; }
  std::size_t suppressed() const { return suppressed_; }
  const std::vector<Diagnostic>& all() const { return all_; }

  // By file, line and column; stages find things in other orders.
  void sort();

  // Keeps those for which `keep` returns true; it may change their severity. What was suppressed
  // stays counted as it was.
  void retain(const std::function<bool(Diagnostic&)>& keep);

 private:
  Diagnostic& add(Diagnostic diagnostic);
  void count(Severity severity, std::ptrdiff_t more);

  std::vector<Diagnostic> all_;
  Diagnostic overflow_;  // takes what comes after the limits
  std::size_t errors_ = 0;
  std::size_t warnings_ = 0;
  std::size_t suppressed_ = 0;
  std::size_t suppressed_errors_ = 0;
};

}  // namespace rolewall
