// Who reaches whom where there is too much to ask, and that what is not asked is nowhere open.
#include "ask/reach.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <vector>

#include "site_text.h"

namespace rolewall::ask {
namespace {

std::string in_words(const std::vector<Reach>& cells) {
  std::string words;
  for (const Reach& each : cells) {
    words +=
        fmt::format("{}{} {} > {}", words.empty() ? "" : ", ", each.service, each.from, each.to);
  }
  return words;
}

// Two roles, a service for each of them, and networks inside that may come to one.
policy::Policy site_of(std::size_t networks) {
  std::string internal;
  std::string networks_text;
  std::string data =
      "role = \"data\"\n[[inbound]]\nid = \"a\"\nservice = \"tcp/3306\"\nfrom = \"app\"\n";
  for (std::size_t i = 0; i < networks; ++i) {
    internal += fmt::format("{}\"net{}\"", i == 0 ? "" : ", ", i);
    networks_text += fmt::format("net{} = \"10.1.{}.0/24\"\n", i, i);
    data += fmt::format("[[inbound]]\nid = \"n{0}\"\nservice = \"tcp/{1}\"\nfrom = \"net{0}\"\n", i,
                        4000 + i);
  }
  return test::load_site(
      {{"site.toml", fmt::format("[site]\nname = \"s\"\ninternal = [{}]\n"
                                 "[hosts.a]\nrole = \"app\"\naddresses = \"10.0.0.1\"\n"
                                 "[hosts.d]\nrole = \"data\"\naddresses = \"10.0.0.2\"\n"
                                 "[networks]\n{}",
                                 internal, networks_text)},
       {"data.toml", data},
       {"app.toml",
        "role = \"app\"\n[[outbound]]\nid = \"o\"\nservice = \"tcp/3306\"\nto = \"data\"\n"}});
}

TEST_CASE("each service goes where the rules at both ends say, and nowhere else") {
  const policy::Policy policy = site_of(3);
  Site site(policy, test::kToday);
  const auto all = reach(policy, test::kToday, site, {});
  REQUIRE(all);
  CHECK(all->left_out.empty());
  CHECK(in_words(all->cells) ==
        "tcp/3306 app > data, tcp/4000 net0 > data, tcp/4001 net1 > data, tcp/4002 net2 > data");
}

TEST_CASE("where there is too much to ask, networks are left out by name") {
  const policy::Policy policy = site_of(20);
  Site site(policy, test::kToday);
  ReachQuestion question;
  question.most_packets = 20;
  const auto few = reach(policy, test::kToday, site, question);
  REQUIRE(few);
  CHECK(few->left_out.size() == 20);
  CHECK(in_words(few->cells) == "tcp/3306 app > data");
  question.from = few->left_out.front();
  const auto one = reach(policy, test::kToday, site, question);
  REQUIRE(one);
  CHECK(one->left_out.empty());
  CHECK(in_words(one->cells) == "tcp/4000 net0 > data");
  question = {};
  question.most_packets = 0;
  CHECK(!reach(policy, test::kToday, site, question));
}

}  // namespace
}  // namespace rolewall::ask
