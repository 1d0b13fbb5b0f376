// The command line as a whole: the verbs, in the groups in which the help lists them, and the one
// that was chosen. What a verb may say of its options is here; CLI11, which reads the command line
// and writes the help, is behind it, in program.cc alone: its headers cost each file that includes
// them five seconds to compile.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace rolewall::cli {

// What is said of an option beyond its name and its line in the help. Each returns the option, so
// that they follow one another. A handle: it may be copied, and belongs to the Program.
class Option {
 public:
  // What its value is called in the help: "DIR".
  Option& type_name(const std::string& name);
  // The only words that it takes; the help lists them.
  Option& one_of(const std::vector<std::string>& words);
  // The help shows the value that it has now.
  Option& show_default();
  Option& required();
  // Of a list: each of its values has the option's name before it.
  Option& one_at_a_time();
  // Never on a command line with `other`; not without `other`.
  Option& excludes(const Option& other);
  Option& needs(const Option& other);

 private:
  friend class Verb;
  explicit Option(CLI::Option& option) : option_(&option) {}
  CLI::Option* option_;
};

// A verb whose options are being declared. A handle, as an Option is. What the command line says is
// written to `value`, which must outlive the Program: Program::on_choice keeps it.
class Verb {
 public:
  // `names`: "-o,--output", or a word without dashes for what stands in a place of its own.
  // A std::vector takes as many words as there are.
  Option add_option(const std::string& names, std::string& value, const std::string& help);
  Option add_option(const std::string& names, std::vector<std::string>& value,
                    const std::string& help);
  Option add_option(const std::string& names, std::optional<std::uint32_t>& value,
                    const std::string& help);
  // There or not there.
  Option add_flag(const std::string& names, bool& value, const std::string& help);

 private:
  friend class Program;
  explicit Verb(CLI::App& app) : app_(&app) {}
  CLI::App* app_;
};

// The help's groups, in its order.
inline constexpr std::string_view kPolicyVerbs = "policy";
inline constexpr std::string_view kAskVerbs = "ask";
inline constexpr std::string_view kServerVerbs = "server";
inline constexpr std::string_view kEmergencyVerbs = "emergency";
inline constexpr std::string_view kToolVerbs = "tools";

class Program {
 public:
  Program();
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // A verb with its examples, which stand at the end of its help. The caller adds the options.
  Verb add_verb(std::string_view group, const std::string& name, const std::string& description,
                const std::string& examples);

  // What the verb does when it is chosen: called with its options, after the whole command line was
  // read; returns the exit status.
  template <class Options>
  void on_choice(const Verb& verb, std::shared_ptr<Options> options, int (*run)(const Options&)) {
    call_on_choice(verb, [options = std::move(options), run] { return run(*options); });
  }

  // Reads the command line and runs the verb. Never throws.
  int run(int argc, const char* const* argv);

 private:
  void call_on_choice(const Verb& verb, std::function<int()> run);

  std::unique_ptr<CLI::App> app_;
  std::function<int()> run_;  // of the verb that was chosen
};

// One function a verb, each in a file of the verb's name.
void add_check(Program& program);
void add_lint(Program& program);
void add_test(Program& program);
void add_compile(Program& program);
void add_lock(Program& program);
void add_eval(Program& program);
void add_prove(Program& program);
void add_diff(Program& program);
void add_explain(Program& program);
void add_reach(Program& program);
void add_refresh(Program& program);
void add_plan(Program& program);
void add_apply(Program& program);
void add_confirm(Program& program);
void add_rollback(Program& program);
void add_history(Program& program);
void add_boot(Program& program);
void add_status(Program& program);
void add_stats(Program& program);
void add_log(Program& program);
void add_trace(Program& program);
void add_bans(Program& program);
void add_openings(Program& program);
void add_disable(Program& program);
void add_dump(Program& program);
void add_schema(Program& program);
void add_report(Program& program);

// `rolewall` alone: the status, or how to begin.
int begin();

// --format, with the words that a verb takes.
void add_format_option(Verb& verb, std::string& format, const std::vector<std::string>& words);

}  // namespace rolewall::cli
