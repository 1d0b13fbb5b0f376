#include "base/suggest.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace rolewall {

TEST_CASE("the nearest word, by slips of the finger") {
  const std::vector<std::string> words = {"dns", "ftps", "https", "mysql"};
  CHECK(nearest("mysl", words) == "mysql");
  CHECK(nearest("mylsq", words) == std::nullopt);  // two slips in five letters
  CHECK(nearest("dsn", words) == "dns");           // a swap is one
  CHECK(nearest("", words) == std::nullopt);
  CHECK(did_you_mean("mysql2", words) == "did you mean `mysql`?");
  CHECK(did_you_mean("smtp-relay", words).empty());
  CHECK(did_you_mean("msql", std::vector<std::string>{"mssql", "http", "mysql"}) ==
        "did you mean `mssql` or `mysql`?");
}

TEST_CASE("of words as near, the one that begins alike") {
  CHECK(nearest("htps", std::vector<std::string>{"ftps", "https"}) == "https");
  CHECK(nearest("htps", std::vector<std::string>{"https", "ftps"}) == "https");
  CHECK(nearest("xtps", std::vector<std::string>{"ftps", "https"}) == "ftps");
}

}  // namespace rolewall
