#include "cli/program.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <vector>

#include "base/suggest.h"
#include "cli/exit_status.h"
#include "cli/printed_commands.h"
#include "cli/render.h"
#include "cli/terminal.h"

namespace rolewall::cli {
namespace {

constexpr const char* kDescription =
    "rolewall: a host firewall with one policy for each role of server.\n"
    "It compiles TOML policies to nftables, applies them in one transaction, and tells on any\n"
    "machine what happens to a packet and which policy line decides.";

constexpr const char* kFooter =
    "Examples:\n"
    "  rolewall check policies                         find errors; for CI\n"
    "  rolewall eval 'https internet > lb-01'          what happens to this packet, and why\n"
    "  rolewall apply --sandbox policies --host lb-01  try it in a sandbox; changes nothing\n"
    "\n"
    "Exit status: 0 success or yes, 1 no, 2 wrong command line or unreadable files, 3 the system\n"
    "refused. `rolewall VERB --help` lists a verb's options and examples.";

// `rolewall help VERB`, `rolewall help` and `rolewall version`, as other programs have them.
std::vector<const char*> as_options(int argc, const char* const* argv) {
  std::vector<const char*> words(argv, argv + argc);
  const std::string_view first = argc > 1 ? argv[1] : "";
  if (first == "version" && argc == 2) return {argv[0], "--version"};
  if (first != "help" || argc > 3) return words;
  if (argc == 2) return {argv[0], "--help"};
  return {argv[0], argv[2], "--help"};
}

// What is neither a verb nor an option, in the place of the verb: CLI11 only says that it was not
// expected.
std::string unknown_verb(const CLI::App& app, int argc, const char* const* argv) {
  std::vector<std::string> verbs;
  for (const CLI::App* verb : app.get_subcommands(nullptr)) verbs.push_back(verb->get_name());
  if (argc < 2) return "";
  if (argv[1][0] == '-' && app.get_option_no_throw(argv[1]) == nullptr) {
    const auto* const verb = std::find_first_of(argv + 2, argv + argc, verbs.begin(), verbs.end());
    if (verb == argv + argc) return "";
    return fmt::format("options go behind the verb: `rolewall {} {} ...`", *verb, argv[1]);
  }
  if (argv[1][0] == '-' || argv[1][0] == '\0') return "";
  if (std::find(verbs.begin(), verbs.end(), argv[1]) != verbs.end()) return "";
  const std::string hint = did_you_mean(argv[1], verbs);
  return fmt::format("no verb `{}`: {}", argv[1],
                     hint.empty() ? "`rolewall --help` lists them" : hint);
}

// Where things are, and how it is said to each verb: as it was given, and as it is printed.
struct Place {
  const char* option;
  const char* printed;
  bool is_path;
};
constexpr std::array<Place, 3> kPlaces{{{"--policies", "-p", true},
                                        {"--host", "--host", false},
                                        {"--state-dir", "--state-dir", true}}};

// For printed_commands.h. Whoever runs them may be in another directory.
GivenOptions given_options(const CLI::App& app) {
  GivenOptions options;
  for (const auto& [option, printed, is_path] : kPlaces) {
    for (const CLI::App* verb : app.get_subcommands(nullptr)) {
      const CLI::Option* of_verb = verb->get_option_no_throw(option);
      if (of_verb == nullptr) continue;
      options.taken[verb->get_name()].insert(printed);
      if (!verb->parsed() || of_verb->count() == 0) continue;
      std::string value = of_verb->as<std::string>();
      std::error_code error;
      const auto whole = std::filesystem::absolute(value, error);
      if (is_path && !error) value = whole.lexically_normal().string();
      options.given.emplace_back(printed, value);
    }
  }
  return options;
}

// A script's empty variable (`--confirm "$TIME"`) must not count as an option that was not given.
CLI::Validator not_empty() {
  return {[](const std::string& value) {
            return value.empty() ? std::string("an empty value is none: name one or leave it out")
                                 : std::string();
          },
          ""};
}

// Of a word that is not the number that the option takes.
std::string in_plain_words(std::string_view library) {
  constexpr std::string_view kNoNumber = "Could not convert: ";
  if (!library.starts_with(kNoNumber)) return std::string(library);
  return fmt::format("{}: not a number that it takes", library.substr(kNoNumber.size()));
}

// What other programs have and a verb has otherwise; "" where nothing comes to mind.
std::string_view meant_by(std::string_view verb, int argc, const char* const* argv) {
  for (int i = 2; i < argc; ++i) {
    const std::string_view word = argv[i];
    const bool number = !word.empty() && word.find_first_not_of("0123456789") == word.npos;
    if (verb == "rollback" && number) return "a generation is named by --to: `rollback --to 3`";
    if (verb == "apply" && (word == "--dry-run" || word == "-n")) {
      return "`rolewall plan` shows what it would change; --sandbox tries it and changes nothing";
    }
  }
  return "";
}

}  // namespace

Option& Option::type_name(const std::string& name) {
  option_->type_name(name);
  return *this;
}

Option& Option::one_of(const std::vector<std::string>& words) {
  option_->check(CLI::IsMember(words));
  return *this;
}

Option& Option::show_default() {
  option_->capture_default_str();
  return *this;
}

Option& Option::one_at_a_time() {
  option_->allow_extra_args(false);
  return *this;
}

Option& Option::required() {
  option_->required();
  return *this;
}

Option& Option::excludes(const Option& other) {
  option_->excludes(other.option_);
  return *this;
}

Option& Option::needs(const Option& other) {
  option_->needs(other.option_);
  return *this;
}

Option Verb::add_option(const std::string& names, std::string& value, const std::string& help) {
  return Option(*app_->add_option(names, value, help)->check(not_empty()));
}

Option Verb::add_option(const std::string& names, std::vector<std::string>& value,
                        const std::string& help) {
  CLI::Option* option = app_->add_option(names, value, help)->check(not_empty());
  // One value each time: what follows it is the next word of the command line.
  if (names.starts_with('-')) option->allow_extra_args(false);
  return Option(*option);
}

Option Verb::add_option(const std::string& names, std::optional<std::uint32_t>& value,
                        const std::string& help) {
  return Option(*app_->add_option(names, value, help)->check(not_empty()));
}

Option Verb::add_flag(const std::string& names, bool& value, const std::string& help) {
  return Option(*app_->add_flag(names, value, help));
}

Program::Program() : app_(std::make_unique<CLI::App>(kDescription, "rolewall")) {
  app_->set_version_flag("--version", "rolewall " ROLEWALL_VERSION);
  app_->set_help_flag("-h,--help", "this help");
  app_->require_subcommand(0, 1);
  app_->footer(kFooter);
  const auto formatter = app_->get_formatter();  // every verb's as well
  formatter->column_width(26);
  formatter->label("SUBCOMMAND", "VERB");
  formatter->label("SUBCOMMANDS", "VERB");
  formatter->label("Subcommands", "Verbs");
}

Program::~Program() = default;

Verb Program::add_verb(std::string_view group, const std::string& name,
                       const std::string& description, const std::string& examples) {
  CLI::App* verb = app_->add_subcommand(name, description);
  verb->group(std::string(group));
  verb->footer("Examples:\n" + examples);
  verb->set_help_flag("-h,--help", "this help");
  return Verb(*verb);
}

void Program::call_on_choice(const Verb& verb, std::function<int()> run) {
  verb.app_->callback([this, run = std::move(run)] { run_ = run; });
}

int Program::run(int argc, const char* const* argv) {
  const std::vector<const char*> asked = as_options(argc, argv);
  argc = static_cast<int>(asked.size());
  argv = asked.data();
  if (const std::string message = unknown_verb(*app_, argc, argv); !message.empty()) {
    return report_usage(message);
  }
  try {
    app_->parse(argc, argv);
  } catch (const CLI::Success& asked_for_help) {
    return app_->exit(asked_for_help);
  } catch (const CLI::ParseError& error) {
    const auto verbs = app_->get_subcommands();
    const std::string help =
        verbs.empty() ? "rolewall --help" : fmt::format("rolewall {} --help", verbs[0]->get_name());
    const std::string_view meant =
        verbs.empty() ? std::string_view() : meant_by(verbs[0]->get_name(), argc, argv);
    return report_usage(fmt::format("{} ({})", in_plain_words(error.what()),
                                    meant.empty() ? fmt::format("see `{}`", help) : meant));
  }
  remember_given(given_options(*app_));
  return run_ ? run_() : begin();
}

void add_format_option(Verb& verb, std::string& format, const std::vector<std::string>& words) {
  verb.add_option("--format", format, fmt::format("{}", fmt::join(words, ", ")))
      .one_of(words)
      .type_name("FORMAT")
      .show_default();
}

}  // namespace rolewall::cli
