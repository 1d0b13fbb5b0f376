// A compiler that is right gives nobody a counterexample to look at: what one would look like.
#include "cli/render_validation.h"

#include <doctest/doctest.h>

#include <array>
#include <cstdio>
#include <string>

namespace rolewall::cli {
namespace {

ask::Validation refuted() {
  ask::Validation validation;
  validation.host = "web-01";
  validation.outcome = ask::Validation::Outcome::Refuted;
  validation.not_covered = {"the `mss` of web.forward.out"};
  ask::Validation::Counterexample example;
  example.packet = "tcp/443 192.0.2.1 > web-01";
  example.bytes = "4500";
  example.where = {"it is over the limit of web.inbound.app"};
  example.policy.verdict = ask::Verdict::Reject;
  example.policy.decided_by.rule = "web.inbound.app";
  example.policy.decided_by.file = "web.toml";
  example.policy.decided_by.line = 7;
  example.policy.told = "tcp reset";
  example.bytecode.verdict = ask::Verdict::Accept;
  example.bytecode.decided_by.rule = "web.inbound.rest";
  example.bytecode.translated = "to 10.0.0.3 port 443";
  validation.counterexample = std::move(example);
  return validation;
}

TEST_CASE("a packet that refutes it is shown with both sides") {
  ask::Validation open;
  open.host = "db-01";
  open.outcome = ask::Validation::Outcome::NotProven;
  open.why = "20000000 edges";
  const std::array all{refuted(), open};
  std::FILE* file = std::tmpfile();
  REQUIRE(file != nullptr);
  render(Terminal(file), all);
  std::rewind(file);
  std::string text(2000, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file));
  std::fclose(file);
  CHECK(text ==
        "refuted: web-01: this packet arrives and meets something else: please report it\n"
        "  tcp/443 192.0.2.1 > web-01\n"
        "  its bytes 4500\n"
        "  where it is over the limit of web.inbound.app\n"
        "  the policy:   reject web.inbound.app  web.toml:7, with tcp reset\n"
        "  the bytecode: accept web.inbound.rest: to 10.0.0.3 port 443\n"
        "  not covered: the `mss` of web.forward.out\n"
        "not proven: db-01: 20000000 edges\n"
        "0 of 2 hosts proven\n");
}

TEST_CASE("as JSON") {
  CHECK(to_json(std::array{refuted()}).dump() ==
        R"({"version":1,"verb":"compile","proven":false,"hosts":[{"host":"web-01",)"
        R"("outcome":"refuted","counterexample":{"packet":"tcp/443 192.0.2.1 > web-01",)"
        R"("arrives":true,"policy":{"verdict":"reject","rule":"web.inbound.app",)"
        R"("file":"web.toml","line":7,"told":"tcp reset"},"bytecode":{"verdict":"accept",)"
        R"("rule":"web.inbound.rest","translated":"to 10.0.0.3 port 443"},"bytes":"4500",)"
        R"("where":["it is over the limit of web.inbound.app"]},)"
        R"("not_covered":["the `mss` of web.forward.out"]}]})");
}

}  // namespace
}  // namespace rolewall::cli
