// The command line as a whole: the verbs, in the groups in which the help lists them, and the one
// that was chosen.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace rolewall::cli {

// The help's groups, in its order.
inline constexpr std::string_view kPolicyVerbs = "policy";
inline constexpr std::string_view kAskVerbs = "ask";
inline constexpr std::string_view kServerVerbs = "server";
inline constexpr std::string_view kEmergencyVerbs = "emergency";

class Program {
 public:
  Program();

  // A verb with its examples, which stand at the end of its help. The caller adds the options.
  CLI::App& add_verb(std::string_view group, const std::string& name,
                     const std::string& description, const std::string& examples);

  // What the verb does when it is chosen: called with its options, after the whole command line was
  // read; returns the exit status.
  template <class Options>
  void on_choice(CLI::App& verb, std::shared_ptr<Options> options, int (*run)(const Options&)) {
    verb.callback([this, options = std::move(options), run] {
      run_ = [options, run] { return run(*options); };
    });
  }

  // Reads the command line and runs the verb. Never throws.
  int run(int argc, const char* const* argv);

 private:
  CLI::App app_;
  std::function<int()> run_;
};

// One function a verb, each in a file of the verb's name.
void add_check(Program& program);
void add_lint(Program& program);
void add_test(Program& program);
void add_compile(Program& program);
void add_lock(Program& program);
void add_eval(Program& program);
void add_explain(Program& program);
void add_plan(Program& program);
void add_apply(Program& program);
void add_confirm(Program& program);
void add_rollback(Program& program);
void add_history(Program& program);
void add_boot(Program& program);
void add_status(Program& program);
void add_bans(Program& program);
void add_disable(Program& program);
void add_dump(Program& program);

// `rolewall` alone: the status, or how to begin.
int begin();

// --format, with the words that a verb takes.
void add_format_option(CLI::App& verb, std::string& format, const std::vector<std::string>& words);

}  // namespace rolewall::cli
