// What was given on the command line stands in the commands that are printed.
#include "cli/printed_commands.h"

#include <doctest/doctest.h>

namespace rolewall::cli {
namespace {

GivenOptions options() {
  GivenOptions options;
  options.given = {{"-p", "/srv/site"}, {"--host", "web-01"}, {"--state-dir", "/tmp/my state"}};
  options.taken["apply"] = {"-p", "--host", "--state-dir"};
  options.taken["rollback"] = {"--state-dir"};
  options.taken["bans"] = {};
  return options;
}

TEST_CASE("a printed command gets what its verb takes, and no other text does") {
  const GivenOptions given = options();
  CHECK(
      given.completed("(see `rolewall apply --confirm 2m`)") ==
      "(see `rolewall apply --confirm 2m -p /srv/site --host web-01 --state-dir '/tmp/my state'`)");
  CHECK(given.completed("undo it: sudo rolewall rollback    or not") ==
        "undo it: sudo rolewall rollback --state-dir '/tmp/my state'    or not");
  CHECK(
      given.completed("The way back: sudo rolewall rollback --to 3 (to generation 3)") ==
      "The way back: sudo rolewall rollback --to 3 --state-dir '/tmp/my state' (to generation 3)");
  CHECK(
      given.completed("sudo rolewall rollback, or `rolewall bans`.\n  sudo rolewall rollback\n.") ==
      "sudo rolewall rollback --state-dir '/tmp/my state', or `rolewall bans`.\n"
      "  sudo rolewall rollback --state-dir '/tmp/my state'\n.");
  // What is quoted ends no command.
  CHECK(
      given.completed("put it right: sudo rolewall rollback --to 'a (b); c'    or not") ==
      "put it right: sudo rolewall rollback --to 'a (b); c' --state-dir '/tmp/my state'    or not");
  for (const char* text : {"by rolewall rollback", "rolewall: nothing was changed",
                           "`rolewall eval -p x`", "sudo rolewall ", "no rolewall rollback here"}) {
    CHECK(given.completed(text) == text);
  }
}

TEST_CASE("twice is once, and nothing given is nothing added") {
  const GivenOptions given = options();
  const std::string once = given.completed("`rolewall apply`");
  CHECK(given.completed(once) == once);
  CHECK(GivenOptions().completed("`rolewall apply`") == "`rolewall apply`");
}

TEST_CASE("a word as a shell reads it back") {
  CHECK(quoted("/var/lib/rolewall") == "/var/lib/rolewall");
  CHECK(quoted("") == "''");
  CHECK(quoted("it's") == "'it'\\''s'");
  CHECK(quoted("$HOME") == "'$HOME'");
}

}  // namespace
}  // namespace rolewall::cli
