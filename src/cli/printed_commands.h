// A command that is printed must work as it is printed, from another directory, too: what was given
// on the command line of where things are (--state-dir, the policies' directory, --host), the
// commands in our messages get as well, where their verbs take it.
//
// A command in a text is `rolewall VERB ...` in backticks, or stands behind "sudo " or ": " and
// ends with its line or a mark that no command has.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace rolewall::cli {

struct GivenOptions {
  // "--state-dir" with its value as given, in the order in which they are printed.
  std::vector<std::pair<std::string, std::string>> given;
  std::map<std::string, std::set<std::string>, std::less<>> taken;  // a verb: the options it takes

  std::string completed(std::string_view text) const;
};

// As a shell reads it back.
std::string quoted(const std::string& word);

// Those of this process. Once, before anything is printed.
void remember_given(GivenOptions options);
std::string with_given_options(std::string_view text);

}  // namespace rolewall::cli
