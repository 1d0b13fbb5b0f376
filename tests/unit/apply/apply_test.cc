// Applying to a kernel in a namespace, with a state directory of the test's own.
#include "apply/apply.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>
#include <utility>

#include "apply/state_directory.h"
#include "ruleset/expr.h"
#include "support/netns.h"
#include "unit/apply/table.h"

namespace rolewall::apply {
namespace {

namespace fs = std::filesystem;
using namespace test;
using rolewall::test::fresh_network;
using rolewall::test::load_nft;
using rolewall::test::output_of;

class Scratch {
 public:
  Scratch() {
    std::string pattern = (fs::temp_directory_path() / "rolewall-apply-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    root_ = pattern;
  }
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  std::string state() const { return (root_ / "lib" / "rolewall").string(); }

 private:
  fs::path root_;
};

Report applied(const Snapshot& snapshot, const Scratch& scratch) {
  const auto outcome = apply::apply(snapshot, scratch.state());
  if (!outcome) {
    FAIL(outcome.error().message);
    return {};
  }
  for (const netlink::Refusal& refusal : outcome->refusals) {
    FAIL_CHECK(refusal.what << ": " << refusal.explanation);
  }
  REQUIRE(outcome->report);
  return *outcome->report;
}

Status status_of(const Scratch& scratch) {
  const auto found = status(scratch.state());
  if (!found) {
    FAIL(found.error().message);
    return {};
  }
  return *found;
}

std::uint32_t kernel_generation() {
  auto kernel = netlink::Connection::open();
  REQUIRE(kernel);
  return *kernel->generation();
}

TEST_CASE("applied, recorded, and nothing to do the second time") {
  fresh_network();
  const Scratch scratch;
  CHECK_FALSE(last_applied(scratch.state())->has_value());
  CHECK_FALSE(status_of(scratch).table_present);
  CHECK_FALSE(fs::exists(scratch.state()));  // asking makes nothing

  const Snapshot snapshot = firewall();
  const Report first = applied(snapshot, scratch);
  CHECK(first.plan.first);
  CHECK_FALSE(first.plan.empty());
  CHECK(first.generation == 1);
  CHECK(first.rules == 5);
  CHECK(first.sets == 3);
  CHECK(first.elements == 2);
  CHECK(*last_applied(scratch.state()) == snapshot);

  const std::uint32_t before = kernel_generation();
  const Report second = applied(snapshot, scratch);
  CHECK(second.plan.empty());
  CHECK(second.plan.rules_kept == 5);
  CHECK(second.generation == 1);
  CHECK(second.rules == 5);
  CHECK(kernel_generation() == before);

  const Status status = status_of(scratch);
  CHECK(status.table_present);
  CHECK(status.generation == 1U);
  CHECK(status.host == "web-01");
  CHECK(status.same_boot == true);
  CHECK(status.drift.empty());
  CHECK(status.applied_at.size() == std::string("2026-01-01T00:00:00Z").size());
}

TEST_CASE("a moved line changes no rule and is recorded all the same") {
  fresh_network();
  const Scratch scratch;
  Snapshot snapshot = firewall();
  applied(snapshot, scratch);
  snapshot.sources["web.inbound.https"].line = 40;
  const std::uint32_t before = kernel_generation();
  const Report report = applied(snapshot, scratch);
  CHECK(report.plan.empty());
  CHECK(report.generation == 2);
  CHECK(kernel_generation() == before);
  CHECK((*last_applied(scratch.state()))->sources.at("web.inbound.https").line == 40);
}

TEST_CASE("what is recorded is believed only while nobody has changed anything") {
  fresh_network();
  const Scratch scratch;
  Snapshot snapshot = firewall();
  applied(snapshot, scratch);
  // Recorded: one address goes, one comes, and the kernel is told no more than that.
  Set& offices = own_table(snapshot).sets[2];
  offices.elements = {};
  add_address(offices, {192, 0, 2, 2});
  add_address(offices, {192, 0, 2, 9});
  const Report report = applied(snapshot, scratch);
  CHECK(report.plan.items.size() == 2);
  CHECK(report.plan.rules_kept == 5);
  CHECK(status_of(scratch).drift.empty());
  // Another hand's change shows, though the record says otherwise.
  REQUIRE(load_nft("delete element inet rolewall offices { 192.0.2.9 }\n") == "");
  add_address(offices, {192, 0, 2, 10});
  applied(snapshot, scratch);
  CHECK(status_of(scratch).drift.empty());
}

TEST_CASE("what came at run time is no change, and survives one") {
  fresh_network();
  const Scratch scratch;
  Snapshot snapshot = firewall();
  applied(snapshot, scratch);
  REQUIRE(load_nft("add element inet rolewall banned { 198.51.100.1 timeout 1h comment \"ssh\" }\n"
                   "add element inet rolewall banned { 198.51.100.2 }\n"
                   "add element inet rolewall sources { 198.51.100.3 }\n") == "");
  CHECK(applied(snapshot, scratch).plan.empty());
  CHECK(status_of(scratch).drift.empty());

  own_table(snapshot).chains[0].rules.pop_back();
  const Report report = applied(snapshot, scratch);
  CHECK_FALSE(report.plan.empty());
  CHECK(report.elements == 2);
  const std::string listed = output_of("nft list set inet rolewall banned");
  CAPTURE(listed);
  CHECK(listed.find("198.51.100.1 timeout 1h expires 59m") != std::string::npos);
  CHECK(listed.find("comment \"ssh\"") != std::string::npos);
  CHECK(listed.find("198.51.100.2") != std::string::npos);
  CHECK(output_of("nft list set inet rolewall sources").find("198.51.100.3") != std::string::npos);
}

// With a set of bans by its own name, and the chain that asks about them.
Snapshot firewall_that_bans() {
  Snapshot snapshot = firewall();
  Table& table = own_table(snapshot);
  table.sets[0].name = "banned/4";
  Chain banned;
  banned.name = "banned-input";
  banned.rules = {
      std::exchange(table.chains[0].rules[0],
                    rule("", {Ct{CtKey::State, {}, 0}, Cmp{CmpOp::Eq, 0, Value::host_u32(1)},
                              verdict(VerdictCode::Jump, "unusual")}))};
  std::get<Lookup>(banned.rules[0].exprs[1]).set = "banned/4";
  Chain unusual;
  unusual.name = "unusual";
  unusual.rules = {rule("(invalid)", {verdict(VerdictCode::Drop)})};
  table.chains.insert(table.chains.end(), {unusual, banned});
  return snapshot;
}

bool asks_about_bans() {
  const std::string listed = output_of("nft list chain inet rolewall input");
  const std::size_t unusual = listed.find("jump unusual\n");
  const std::size_t bans = listed.find("jump banned-input\n");
  REQUIRE(unusual != std::string::npos);
  CHECK((bans == std::string::npos || bans < unusual));
  CHECK(bans == listed.rfind("jump banned-input\n"));
  return bans != std::string::npos;
}

TEST_CASE("what leads to bans comes with the first and goes with the last and an apply") {
  fresh_network();
  const Scratch scratch;
  Snapshot snapshot = firewall_that_bans();
  applied(snapshot, scratch);
  CHECK_FALSE(asks_about_bans());

  // A ban written past us: nobody would ask about it.
  REQUIRE(load_nft("add element inet rolewall banned/4 { 198.51.100.1 timeout 1h }\n") == "");
  CHECK(status_of(scratch).drift.size() == 1);
  applied(snapshot, scratch);
  CHECK(asks_about_bans());
  CHECK(status_of(scratch).drift.empty());
  CHECK(applied(snapshot, scratch).plan.empty());

  // Another program's rule goes, the jump stays; and so it is where the policy changes.
  REQUIRE(load_nft("insert rule inet rolewall input accept\n") == "");
  CHECK(status_of(scratch).drift.size() == 1);
  applied(snapshot, scratch);
  CHECK(asks_about_bans());
  own_table(snapshot).chains[0].rules.pop_back();
  CHECK(applied(snapshot, scratch).plan.rules_kept == 6);
  CHECK(asks_about_bans());
  CHECK(status_of(scratch).drift.empty());

  // Nobody is banned any more: no drift, but no jump after the next apply.
  REQUIRE(load_nft("delete element inet rolewall banned/4 { 198.51.100.1 }\n") == "");
  CHECK(status_of(scratch).drift.empty());
  CHECK(asks_about_bans());
  const Plan plan = applied(snapshot, scratch).plan;
  CHECK(plan.rules_removed == 1);
  CHECK(plan.rules_added == 0);
  CHECK_FALSE(asks_about_bans());
  CHECK(applied(snapshot, scratch).plan.empty());
}

TEST_CASE("what leads to a ban that is over goes, though the kernel's generation is the same") {
  fresh_network();
  const Scratch scratch;
  const Snapshot snapshot = firewall_that_bans();
  applied(snapshot, scratch);
  REQUIRE(load_nft("add element inet rolewall banned/4 { 198.51.100.1 timeout 1s }\n") == "");
  applied(snapshot, scratch);
  CHECK(asks_about_bans());
  CHECK(applied(snapshot, scratch).plan.empty());
  std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  CHECK_FALSE(applied(snapshot, scratch).plan.empty());
  CHECK_FALSE(asks_about_bans());
}

TEST_CASE("what a rule has counted goes on when its verdict or its log changes") {
  fresh_network();
  const Scratch scratch;
  Snapshot snapshot = firewall();
  auto& rules = own_table(snapshot).chains[1].rules;
  const auto count = [](const char* rest) {
    return output_of("nft list chain inet rolewall web.inbound.https")
               .find(std::string("counter packets 7 bytes 420") + rest) != std::string::npos;
  };
  rules = {rule("web.inbound.https", {Counter{7, 420}, verdict(VerdictCode::Accept)})};
  applied(snapshot, scratch);
  REQUIRE(count(" accept"));
  rules = {rule("web.inbound.https", {Counter{}, verdict(VerdictCode::Drop)})};
  applied(snapshot, scratch);
  CHECK(count(" drop"));
  rules = {rule("web.inbound.https", {Counter{}}),
           rule("web.inbound.https", {verdict(VerdictCode::Accept)})};
  applied(snapshot, scratch);
  CHECK(count(" comment"));
  // A rule of another name is another rule.
  rules = {rule("web.inbound.other", {Counter{}, verdict(VerdictCode::Accept)})};
  applied(snapshot, scratch);
  CHECK_FALSE(count(""));
}

TEST_CASE("a ban keeps its time where the set's own time changes") {
  fresh_network();
  const Scratch scratch;
  Snapshot snapshot = firewall();
  own_table(snapshot).sets[0].timeout_ms = 3'600'000;
  applied(snapshot, scratch);
  REQUIRE(load_nft("add element inet rolewall banned { 198.51.100.1 }\n") == "");
  own_table(snapshot).sets[0].timeout_ms = 60'000;
  applied(snapshot, scratch);
  const std::string listed = output_of("nft list set inet rolewall banned");
  CAPTURE(listed);
  CHECK(listed.find("198.51.100.1 timeout 1h expires 59m") != std::string::npos);
}

TEST_CASE("refused: nothing is changed and nothing recorded") {
  fresh_network();
  const Scratch scratch;
  Snapshot snapshot = firewall();
  applied(snapshot, scratch);
  const std::string before = output_of("nft -s list ruleset");
  own_table(snapshot).chains[1].rules[1].exprs = {verdict(VerdictCode::Jump, "nowhere")};
  const auto outcome = apply::apply(snapshot, scratch.state());
  REQUIRE(outcome);
  CHECK_FALSE(outcome->report);
  REQUIRE(outcome->refusals.size() == 1);
  CHECK(outcome->refusals[0].rule_id == "web.inbound.https");
  CHECK(output_of("nft -s list ruleset") == before);
  CHECK(*last_applied(scratch.state()) == firewall());
  CHECK(status_of(scratch).drift.empty());
}

TEST_CASE("only our own table can be applied") {
  fresh_network();
  const Scratch scratch;
  Snapshot snapshot = firewall();
  own_table(snapshot).name = "filter";
  CHECK(apply::apply(snapshot, scratch.state()).error().kind == ErrorKind::Usage);
  snapshot.ruleset.tables.clear();
  CHECK(apply::apply(snapshot, scratch.state()).error().kind == ErrorKind::Usage);
}

TEST_CASE("drift in words") {
  fresh_network();
  const Scratch scratch;
  applied(firewall(), scratch);
  REQUIRE(load_nft("add chain inet rolewall intruder\n"
                   "add rule inet rolewall intruder counter\n"
                   "insert rule inet rolewall web.inbound.https drop comment \"by hand\"\n"
                   "add element inet rolewall offices { 192.0.2.3, 192.0.2.4 }\n"
                   "delete element inet rolewall offices { 192.0.2.1 }\n"
                   "add set inet rolewall more { type ipv4_addr; }\n"
                   "add chain inet rolewall input { policy accept; }\n") == "");
  const Status status = status_of(scratch);
  const auto has = [&](const char* line) {
    INFO(line);
    CHECK(std::find(status.drift.begin(), status.drift.end(), line) != status.drift.end());
  };
  has("chain intruder was added");
  has("rule by hand in chain web.inbound.https was added");
  has("192.0.2.1 in set offices is missing");
  has("192.0.2.3, 192.0.2.4 in set offices were added");
  has("set more was added");
  has("chain input (kernel: type filter hook input priority 0 policy accept; policy: type filter "
      "hook "
      "input priority 0 policy drop) was changed");
  CHECK(status.drift.size() == 6);
  CHECK_FALSE(applied(firewall(), scratch).plan.empty());
  CHECK(status_of(scratch).drift.empty());
}

TEST_CASE("drift: rules missing, changed, in another order; a table that is gone") {
  fresh_network();
  const Scratch scratch;
  const Snapshot wanted = firewall();
  applied(wanted, scratch);
  Snapshot other = wanted;
  auto& rules = own_table(other).chains[0].rules;
  rules[0].exprs.pop_back();
  rules.erase(rules.begin() + 1);
  std::swap(own_table(other).chains[1].rules[0], own_table(other).chains[1].rules[1]);
  auto kernel = netlink::Connection::open();
  REQUIRE(kernel->replace_table(own_table(other), std::nullopt)->committed);
  const std::vector<std::string> drift = status_of(scratch).drift;
  REQUIRE(drift.size() == 3);
  CHECK(drift[0].starts_with("rule (banned) in chain input (kernel: "));
  CHECK(drift[0].find(" drop") > drift[0].find("; policy: "));
  CHECK(drift[0].ends_with(") was changed"));
  CHECK(drift[1] == "rule web.inbound.https in chain input is missing");
  CHECK(drift[2] == "rule web.inbound.https in chain web.inbound.https was moved");
  REQUIRE(load_nft("flush ruleset\n") == "");
  const Status status = status_of(scratch);
  CHECK_FALSE(status.table_present);
  CHECK(status.drift == std::vector<std::string>{"table inet rolewall is not in the kernel"});
}

TEST_CASE("another boot or namespace is noticed") {
  const Scratch scratch;
  fresh_network();
  applied(firewall(), scratch);
  fresh_network();
  CHECK(status_of(scratch).same_namespace == false);
  CHECK_FALSE(applied(firewall(), scratch).plan.empty());
  CHECK(status_of(scratch).same_namespace == true);
}

TEST_CASE("disable: the table is gone, the next boot loads nothing, and once is enough") {
  fresh_network();
  const Scratch scratch;
  CHECK_FALSE(disable(scratch.state())->was_there);
  REQUIRE(load_nft("table inet other { }\n") == "");
  applied(firewall(), scratch);
  CHECK(disable(scratch.state())->was_there);
  CHECK(output_of("nft list tables") == "table inet other\n");
  CHECK_FALSE(last_applied(scratch.state())->has_value());
  CHECK_FALSE(disable(scratch.state())->was_there);
  // Numbers are not used twice.
  CHECK(applied(firewall(), scratch).generation == 2);
}

TEST_CASE("the directory: modes, a newer format, damage, old generations") {
  fresh_network();
  const Scratch scratch;
  applied(firewall(), scratch);
  struct stat entry{};
  REQUIRE(::stat(scratch.state().c_str(), &entry) == 0);
  CHECK((entry.st_mode & 0777) == 0700);
  REQUIRE(::stat((scratch.state() + "/current/snapshot.json").c_str(), &entry) == 0);
  CHECK((entry.st_mode & 0777) == 0600);

  Snapshot snapshot = firewall();
  for (std::size_t i = 0; i < kKeptGenerations + 5; ++i) {
    snapshot.sources["web.inbound.https"].line = static_cast<std::uint32_t>(100 + i);
    applied(snapshot, scratch);
  }
  const auto generations = [&] {
    return std::distance(fs::directory_iterator(scratch.state() + "/generations"),
                         fs::directory_iterator());
  };
  CHECK(generations() == static_cast<std::ptrdiff_t>(kKeptGenerations));

  // What a crash leaves behind is swept away.
  fs::create_directories(scratch.state() + "/generations/99.new");
  fs::create_symlink("generations/99", scratch.state() + "/current.new");
  snapshot.sources["web.inbound.https"].line = 1;
  applied(snapshot, scratch);
  CHECK(generations() == static_cast<std::ptrdiff_t>(kKeptGenerations));
  CHECK_FALSE(fs::exists(fs::symlink_status(scratch.state() + "/current.new")));
  CHECK(*last_applied(scratch.state()) == snapshot);

  std::ofstream(scratch.state() + "/current/snapshot.json") << "{ not JSON";
  CHECK_FALSE(last_applied(scratch.state()));
  CHECK(status_of(scratch).unreadable.find("is damaged") != std::string::npos);

  const std::string before = output_of("nft -s list ruleset");
  for (const auto& [format, by] : {std::pair("1\n", "an older rolewall (format 1"),
                                   std::pair("4\n", "a newer rolewall (format 4")}) {
    std::ofstream(scratch.state() + "/format") << format;
    const auto refused = apply::apply(firewall(), scratch.state());
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message.find(by) != std::string::npos);
    CHECK(refused.error().message.find("move the directory away") != std::string::npos);
    CHECK_FALSE(disable(scratch.state()));
    CHECK_FALSE(last_applied(scratch.state()));
    CHECK(output_of("nft -s list ruleset") == before);
    std::ifstream kept(scratch.state() + "/format");
    CHECK(std::string(std::istreambuf_iterator<char>(kept), {}) == format);
  }
}

// A set of so many addresses, in use.
Snapshot with_large_set(std::uint32_t count) {
  Snapshot snapshot = firewall();
  Set large = address_set("large");
  for (std::uint32_t i = 0; i < count; ++i) {
    add_address(large, {10, static_cast<std::uint8_t>(i >> 16), static_cast<std::uint8_t>(i >> 8),
                        static_cast<std::uint8_t>(i)});
  }
  snapshot.ruleset.tables[0].sets.push_back(std::move(large));
  snapshot.ruleset.tables[0].chains[0].rules.insert(
      snapshot.ruleset.tables[0].chains[0].rules.begin(),
      rule("(large)",
           {Payload{PayloadBase::Network, 12, 4, 0},
            Lookup{"large", 0, LookupResult::Membership, 0, false}, verdict(VerdictCode::Drop)}));
  return snapshot;
}

TEST_CASE("large sets lie beside the snapshot; damage is no empty set") {
  fresh_network();
  const Scratch scratch;
  const Snapshot snapshot = with_large_set(10'000);
  applied(snapshot, scratch);
  const std::string current = scratch.state() + "/current/";
  CHECK(fs::file_size(current + "elements-0") == 40'000);
  CHECK(fs::file_size(current + "snapshot.json") < 20'000);
  CHECK(*last_applied(scratch.state()) == snapshot);
  CHECK(status_of(scratch).drift.empty());

  // The same elements in the next generation are the same file.
  Snapshot moved = snapshot;
  moved.sources["web.inbound.https"].line = 7;
  CHECK(applied(moved, scratch).generation == 2);
  CHECK(fs::hard_link_count(current + "elements-0") == 2);
  CHECK(*last_applied(scratch.state()) == moved);
  CHECK(applied(with_large_set(10'001), scratch).plan.rules_added == 0);
  CHECK(fs::hard_link_count(current + "elements-0") == 1);
  CHECK(*last_applied(scratch.state()) == with_large_set(10'001));

  const auto spoil = [&](const char* file, auto how) {
    fs::copy(current + file, scratch.state() + "/kept");
    how(current + file);
    CHECK_FALSE(last_applied(scratch.state()));
    CHECK(status_of(scratch).unreadable.find(file) != std::string::npos);
    fs::remove(current + file);
    fs::rename(scratch.state() + "/kept", current + file);
    CHECK(last_applied(scratch.state()));
  };
  spoil("elements-0", [](const std::string& path) { fs::resize_file(path, 39'996); });
  spoil("elements-0", [](const std::string& path) {
    std::fstream(path, std::ios::in | std::ios::out | std::ios::binary).seekp(2000).put('\x7f');
  });
  spoil("elements-0", [](const std::string& path) { fs::remove(path); });
  spoil("elements.json", [](const std::string& path) { fs::remove(path); });
  spoil("elements.json", [](const std::string& path) { std::ofstream(path) << "[]"; });
}

TEST_CASE("a directory that cannot be written: nothing is applied") {
  fresh_network();
  const Scratch scratch;
  fs::create_directories(fs::path(scratch.state()).parent_path());
  std::ofstream(scratch.state()) << "a file";
  const auto outcome = apply::apply(firewall(), scratch.state());
  REQUIRE_FALSE(outcome);
  CHECK(outcome.error().kind == ErrorKind::Io);
  CHECK(output_of("nft list ruleset") == "");
}

TEST_CASE("in force and unrecorded is said") {
  fresh_network();
  const Scratch scratch;
  applied(firewall(), scratch);
  // A directory in the link's place cannot be renamed over.
  fs::remove(scratch.state() + "/current");
  Snapshot snapshot = firewall();
  snapshot.ruleset.tables[0].chains[0].rules.pop_back();
  fs::create_directories(scratch.state() + "/current.new/full");
  const auto outcome = apply::apply(snapshot, scratch.state());
  REQUIRE_FALSE(outcome);
  CHECK(outcome.error().message.find("in force, but not recorded") != std::string::npos);
  auto kernel = netlink::Connection::open();
  CHECK((*kernel->dump_table(kOwnFamily, kOwnTable))->chains[0].rules.size() == 2);
}

TEST_CASE("the lock is waited for") {
  fresh_network();
  const Scratch scratch;
  applied(firewall(), scratch);
  const int fd = ::open((scratch.state() + "/lock").c_str(), O_RDWR | O_CLOEXEC);
  REQUIRE(::flock(fd, LOCK_EX) == 0);
  std::atomic<bool> released = false;
  std::thread holder([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    released = true;
    ::close(fd);
  });
  CHECK(applied(firewall(), scratch).plan.empty());
  CHECK(released);
  holder.join();
}

TEST_CASE("a foreign writer never stops an apply, and is never overwritten") {
  fresh_network();
  const Scratch scratch;
  applied(firewall(), scratch);
  std::atomic<bool> stop = false;
  std::atomic<int> written = 0;
  std::thread writer([&] {
    auto kernel = netlink::Connection::open();
    Table table;
    table.name = "foreign";
    for (int i = 0; !stop; ++i) {
      table.chains = {Chain{.name = "c" + std::to_string(i), .handle = 0, .base = {}, .rules = {}}};
      if (!kernel->replace_table(table, std::nullopt)->committed) return;
      ++written;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  });
  Snapshot snapshot = firewall();
  for (std::uint8_t i = 0; i < 20; ++i) {
    add_address(own_table(snapshot).sets[2], {203, 0, 113, i});
    CHECK_FALSE(applied(snapshot, scratch).plan.empty());
  }
  stop = true;
  writer.join();
  CHECK(written > 5);
  CHECK(status_of(scratch).drift.empty());
  auto kernel = netlink::Connection::open();
  CHECK((*kernel->dump_table(Family::Inet, "foreign"))->chains[0].name ==
        "c" + std::to_string(written - 1));
}

}  // namespace
}  // namespace rolewall::apply
