#include "cli/render.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <optional>
#include <sstream>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "cli/exit_status.h"

namespace rolewall::cli {
namespace {

// The longest line that is shown whole; of a longer one (a list in one line) the place is enough.
constexpr std::size_t kWidestLine = 200;
constexpr std::size_t kLargestSource = 4U << 20;

bool continues_character(char c) {
  return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
}

// The lines of the files that findings point into, each file read once.
class SourceText {
 public:
  explicit SourceText(const SourceFiles& sources) : sources_(sources) {}

  std::optional<std::string> line(const Span& span) {
    if (!span.known() || span.line == 0) return std::nullopt;
    const auto& lines = lines_of(span.file);
    if (span.line > lines.size()) return std::nullopt;
    const std::string& text = lines[span.line - 1];
    if (text.size() > kWidestLine) return std::nullopt;
    return in_place(text);
  }

 private:
  const std::vector<std::string>& lines_of(FileId file) {
    const auto [at, fresh] = lines_.try_emplace(file);
    if (fresh) {
      if (const auto text = read_file(sources_.path(file), kLargestSource)) {
        std::istringstream stream(*text);
        for (std::string line; std::getline(stream, line);) {
          if (line.ends_with('\r')) line.pop_back();
          at->second.push_back(std::move(line));
        }
      }
    }
    return at->second;
  }

  const SourceFiles& sources_;
  std::map<FileId, std::vector<std::string>> lines_;
};

// What stands before the caret: as wide as the text before it, tabs kept.
std::string indent_to(std::string_view line, std::uint32_t column) {
  std::string indent;
  std::uint32_t at = 0;
  for (const char c : line) {
    if (continues_character(c)) continue;
    if (++at >= column) break;
    indent += c == '\t' ? '\t' : ' ';
  }
  return indent;
}

void show_line(const Terminal& terminal, SourceText& text, const Span& span) {
  const auto line = text.line(span);
  if (!line) return;
  const std::string number = fmt::format("{:>5}", span.line);
  terminal.line(fmt::format("{} | {}", terminal.paint(Tone::Quiet, number), *line));
  if (span.column > 0) {
    terminal.line(fmt::format("      | {}{}", indent_to(*line, span.column),
                              terminal.paint(Tone::Strong, "^")));
  }
}

std::string label(const Terminal& terminal, Severity severity) {
  switch (severity) {
    case Severity::Note:
      return terminal.paint(Tone::Quiet, "note");
    case Severity::Warning:
      return terminal.paint(Tone::Warning, "warning");
    case Severity::Error:
      return terminal.paint(Tone::Bad, "error");
  }
  return {};
}

// As many as somebody reads, in their order; errors before warnings, and those before notes, where
// there are more.
std::vector<const Diagnostic*> worst_of(const Diagnostics& diagnostics, Severity least) {
  constexpr std::size_t kMostShown = 1000;
  std::size_t left = kMostShown;
  std::vector<bool> chosen(diagnostics.all().size());
  for (const Severity severity : {Severity::Error, Severity::Warning, Severity::Note}) {
    for (std::size_t i = 0; i < chosen.size() && left > 0; ++i) {
      if (severity < least || diagnostics.all()[i].severity != severity) continue;
      chosen[i] = true;
      --left;
    }
  }
  std::vector<const Diagnostic*> worst;
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    if (chosen[i]) worst.push_back(&diagnostics.all()[i]);
  }
  return worst;
}

std::string place(const SourceFiles& sources, const Span& span) {
  const std::string where = sources.format(span);
  return where.empty() ? "" : where + ": ";
}

}  // namespace

void render(const Terminal& terminal, const SourceFiles& sources, const Diagnostics& diagnostics,
            Severity least) {
  SourceText text(sources);
  const std::vector<const Diagnostic*> shown = worst_of(diagnostics, least);
  for (const Diagnostic* each : shown) {
    const Diagnostic& diagnostic = *each;
    terminal.line(fmt::format("{}{}: {} {}",
                              terminal.paint(Tone::Strong, place(sources, diagnostic.span)),
                              label(terminal, diagnostic.severity), printable(diagnostic.message),
                              terminal.paint(Tone::Quiet, fmt::format("[{}]", diagnostic.code))));
    show_line(terminal, text, diagnostic.span);
    if (!diagnostic.hint.empty()) {
      terminal.line(fmt::format("      = {}", printable(diagnostic.hint)));
    }
    for (const DiagnosticNote& note : diagnostic.notes) {
      terminal.line(fmt::format("{}{}: {}", place(sources, note.span),
                                label(terminal, Severity::Note), printable(note.message)));
      show_line(terminal, text, note.span);
    }
  }
  const auto asked_for = static_cast<std::size_t>(std::ranges::count_if(
      diagnostics.all(), [&](const Diagnostic& each) { return each.severity >= least; }));
  const std::size_t more = asked_for - shown.size() + diagnostics.suppressed();
  if (more > 0) terminal.line(fmt::format("and {} more", grouped(more)));
}

std::string summary(const Diagnostics& diagnostics) {
  const std::size_t errors = diagnostics.error_count();
  const std::size_t warnings = diagnostics.warning_count();
  const auto notes = static_cast<std::size_t>(
      std::count_if(diagnostics.all().begin(), diagnostics.all().end(),
                    [](const Diagnostic& finding) { return finding.severity == Severity::Note; }));
  std::string words;
  for (const auto& [count, noun] :
       {std::pair{errors, "error"}, std::pair{warnings, "warning"}, std::pair{notes, "note"}}) {
    if (count == 0) continue;
    words += (words.empty() ? "" : ", ") + counted(count, noun);
  }
  return words.empty() ? "no findings" : words;
}

int report(const Error& error) {
  std::string message = error.message;
  const bool may_not = error.os_errno == EACCES || error.os_errno == EPERM;
  if (may_not && ::geteuid() != 0 && message.find("as root") == std::string::npos) {
    message += " (run it as root)";
  }
  err().line(fmt::format("rolewall: {}", printable(message)));
  return exit_status_of(error.kind);
}

int report_usage(const std::string& message) {
  return report(Error{ErrorKind::Usage, message, 0, {}});
}

void render_notes(const std::vector<std::string>& notes) {
  for (const std::string& note : notes) err().line("rolewall: " + printable(note));
}

}  // namespace rolewall::cli
