#include "cli/json.h"

#include <doctest/doctest.h>

namespace rolewall::cli {
namespace {

TEST_CASE(
    "members stay in the order in which they were added, and a second value takes the place") {
  Json json{{"version", kJsonVersion}, {"verb", "bans"}, {"entries", Json::array()}};
  json["entries"].push_back({{"kind", "ban"}, {"address", std::string("192.0.2.7")}});
  json["a"] = 1;
  json["verb"] = "ban";
  CHECK(json.dump() ==
        R"({"version":1,"verb":"ban","entries":[{"kind":"ban","address":"192.0.2.7"}],"a":1})");
}

TEST_CASE("what is nothing yet becomes what it is used as") {
  Json json;
  CHECK(json.dump() == "null");
  json["by"]["name"] = 3U;
  json["list"].push_back("x");
  CHECK(json.dump() == R"({"by":{"name":3},"list":["x"]})");
  CHECK(Json::array().dump() == "[]");
}

TEST_CASE("a value keeps its type: text is no bool, and the largest numbers are whole") {
  const char* text = "";
  const Json json{{"text", text},
                  {"yes", true},
                  {"least", std::int64_t{-9'223'372'036'854'775'807}},
                  {"most", std::uint64_t{18'446'744'073'709'551'615U}},
                  {"port", std::uint16_t{443}},
                  {"list", std::vector<std::string>{"a", "b"}}};
  CHECK(json.dump() == R"({"text":"","yes":true,"least":-9223372036854775807,)"
                       R"("most":18446744073709551615,"port":443,"list":["a","b"]})");
}

TEST_CASE("text is escaped, in names too, and what is not UTF-8 is replaced") {
  Json json;
  json["a\"b"] = "\\ \" \n \t \x1f \x7f caf\xc3\xa9 \xff\xc3(";
  CHECK(json.dump() ==
        "{\"a\\\"b\":\"\\\\ \\\" \\n \\t \\u001f \x7f caf\xc3\xa9 \xef\xbf\xbd\xef\xbf\xbd(\"}");
}

TEST_CASE("what was written is read back; of another kind or not there is empty") {
  const Json written{{"host", "web-01"},      {"handle", 7U},
                     {"below", -1},           {"chain_policy", true},
                     {"hops", Json::array()}, {"decided_by", {{"rule", "(default)"}}}};
  const auto read = parse_json(written.dump());
  REQUIRE(read);
  CHECK(read->dump() == written.dump());
  CHECK(read->text("host") == "web-01");
  CHECK(read->text("handle") == "");
  CHECK(read->number("handle") == 7);
  CHECK(!read->number("below"));
  CHECK(!read->number("none"));
  CHECK(read->is_true("chain_policy"));
  CHECK(!read->is_true("host"));
  REQUIRE(read->find("decided_by") != nullptr);
  CHECK(read->find("decided_by")->text("rule") == "(default)");
  CHECK(read->elements().empty());
  CHECK(!parse_json("{\"host\":"));
}

}  // namespace
}  // namespace rolewall::cli
