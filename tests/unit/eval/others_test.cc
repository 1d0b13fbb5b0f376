// Our table among others': their word is asked, left out but for what they do, or left out whole;
// rules that are not modelled are choices, and a choice can be given to another ruleset.
#include <doctest/doctest.h>

#include <algorithm>

#include "rules.h"
#include "ruleset/expr.h"

namespace rolewall::eval {
namespace {

using namespace ruleset;

constexpr const char* kTheirs = "theirs";

Table table_of(std::string name, std::vector<Chain> chains) {
  Table table;
  table.name = std::move(name);
  table.chains = std::move(chains);
  return table;
}

// Ours admits one port of tcp, and answers.
Table ours(std::uint16_t port) {
  return table_of(
      std::string(kOwnTable),
      {base_chain(
           {rule({load_ct(CtKey::State), is(Value::host_u32(ct_state::kEstablished)), accept()}),
            rule(then(destination_port_is(6, port), accept()))}),
       base_chain(
           {rule({load_ct(CtKey::State), is(Value::host_u32(ct_state::kEstablished)), accept()})},
           Hook::Output)});
}

Chain redirects(std::uint16_t from, std::uint16_t to, std::vector<Expr> first = {}) {
  std::vector<Expr> exprs = std::move(first);
  for (const Expr& expr : destination_port_is(6, from)) exprs.push_back(expr);
  exprs.push_back(Immediate{2, Value::be16(to)});
  Redirect redirect;
  redirect.port_min = 2;
  redirect.flags = 2;  // NF_NAT_RANGE_PROTO_SPECIFIED
  exprs.push_back(redirect);
  Chain chain = base_chain({rule(exprs)}, Hook::Prerouting, -100, VerdictCode::Accept);
  chain.base->type = ChainType::Nat;
  return chain;
}

Ruleset both(Table own, std::vector<Chain> theirs) {
  Ruleset rules{{std::move(own), table_of(kTheirs, std::move(theirs))}};
  const auto flaw = verify(rules);
  REQUIRE_MESSAGE(!flaw, flaw->path, ": ", flaw->what);
  return rules;
}

std::vector<Turn> syn_to(std::uint16_t port) {
  Turn syn{.packet = arriving(fields(6, port)), .direction = Direction::Arrive};
  Turn answer{.packet = build([&] {
                PacketFields turned = fields(6, port);
                std::swap(turned.source, turned.destination);
                std::swap(turned.source_port, turned.destination_port);
                turned.tcp_flags = 0x12;
                return turned;
              }()),
              .direction = Direction::Send};
  answer.packet.out_device = "eth0";
  return {syn, answer};
}

Options how(Others others) {
  return {.steps = false, .others = others, .unmodelled = Unmodelled::Chosen};
}

bool accepts(const Course& course, std::size_t turns = 2) {
  return course.turns.size() == turns && course.turns.back().fate() == Fate::Accept;
}

// The first packet alone: where that is translated the answer is from elsewhere.
bool lets_in(const Course& course) {
  return course.turns.front().fate() == Fate::Accept;
}

Courses ask(const Ruleset& rules, std::uint16_t port, Others others,
            const Assignment* given = nullptr) {
  const Host on = host();
  return Evaluator(rules, on).converse(syn_to(port), how(others), given);
}

TEST_CASE("a conversation is remembered from packet to packet, and ends where one is denied") {
  const Ruleset rules = both(ours(22), {});
  const Courses in = ask(rules, 22, Others::Asked);
  REQUIRE_EQ(in.ways.size(), 1);
  CHECK(accepts(in.ways[0]));
  const Courses out = ask(rules, 23, Others::Asked);
  CHECK_EQ(out.ways[0].turns.size(), 1);
  CHECK_EQ(out.ways[0].turns[0].fate(), Fate::Drop);
}

TEST_CASE("others' verdicts let pass, and what they translate stays") {
  const Chain drops = base_chain({rule(then(destination_port_is(6, 22), drop()))}, Hook::Input, 5,
                                 VerdictCode::Accept);
  const Ruleset denied = both(ours(22), {drops});
  CHECK_FALSE(accepts(ask(denied, 22, Others::Asked).ways[0], 1));
  CHECK(accepts(ask(denied, 22, Others::LetPass).ways[0]));
  CHECK(accepts(ask(denied, 22, Others::Absent).ways[0]));

  const Ruleset moved = both(ours(22), {redirects(2022, 22)});
  CHECK(lets_in(ask(moved, 2022, Others::LetPass).ways[0]));
  CHECK_FALSE(lets_in(ask(moved, 2022, Others::Absent).ways[0]));
  const Host on = host();
  CHECK(Evaluator(denied, on).interfering_tables().empty());
  CHECK(Evaluator(moved, on).interfering_tables() == std::vector<std::uint32_t>{1});
}

TEST_CASE("a rule that is not modelled matches or does not, and the answer can be given on") {
  const Expr unknown = Expr(XtMatch{"bpf", 1, {}});
  const Ruleset after = both(ours(22), {redirects(22, 2022, {unknown})});
  const Courses courses = ask(after, 22, Others::LetPass);
  REQUIRE_EQ(courses.ways.size(), 2);
  CHECK(lets_in(courses.ways[0]));
  CHECK_FALSE(lets_in(courses.ways[1]));
  // The same answer to the same rule, beside another table of ours.
  const Ruleset before = both(ours(2022), {redirects(22, 2022, {unknown})});
  for (const Course& course : courses.ways) {
    const Courses then = ask(before, 22, Others::LetPass, &course.taken);
    REQUIRE_EQ(then.ways.size(), 1);
    CHECK_EQ(lets_in(then.ways[0]), !lets_in(course));
  }
}

TEST_CASE("what a test was taken to say is put into words or not, and the ways are the same") {
  const std::vector<Expr> draw{Numgen{NumgenKind::Random, 1000, 0, 1},
                               Cmp{CmpOp::Eq, 1, Value::host_u32(7)}};
  const Ruleset rules = both(ours(22), {redirects(22, 2022, draw)});
  const Host on = host();
  Evaluator evaluator(rules, on);
  Options options = how(Others::LetPass);
  const Courses worded = evaluator.converse(syn_to(22), options);
  options.word_tests = false;
  const Courses plain = evaluator.converse(syn_to(22), options);
  REQUIRE_EQ(worded.ways.size(), 2);
  REQUIRE_EQ(plain.ways.size(), 2);
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(plain.ways[i].taken == worded.ways[i].taken);
    CHECK_EQ(lets_in(plain.ways[i]), lets_in(worded.ways[i]));
    const auto tells = [&](const Courses& courses) {
      return std::ranges::any_of(courses.ways[i].turns[0].conditions, [](const Condition& each) {
        return each.about == "numgen random mod 1000 is 7";
      });
    };
    CHECK(tells(worded));
    CHECK_FALSE(tells(plain));
  }
}

std::string shown(const Ruleset& rules, std::uint16_t port) {
  const Host on = host();
  Options options = how(Others::LetPass);
  options.note_shown = true;
  std::string all;
  const Courses courses = Evaluator(rules, on).converse(syn_to(port), options);
  for (const Journey& journey : courses.ways[0].turns) all += journey.shown;
  return all;
}

TEST_CASE("what others are shown of a packet differs as ours translates it, or its tracking does") {
  Table translates = ours(22);
  translates.chains.push_back(redirects(2022, 22));
  const auto beside = [&](const Table& own, std::vector<Expr> first) {
    for (const Expr& expr : then(destination_port_is(6, 23), drop())) first.push_back(expr);
    return both(own, {base_chain({rule(first)}, Hook::Prerouting, 10, VerdictCode::Accept)});
  };
  CHECK(shown(beside(ours(22), {}), 22) == shown(beside(translates, {}), 22));
  CHECK(shown(beside(ours(22), {}), 2022) != shown(beside(translates, {}), 2022));
  // Without a table of ours nothing is tracked but for what asks for it.
  const Table none = table_of(std::string(kOwnTable), {});
  const std::vector<Expr> status{load_ct(CtKey::Status)};
  CHECK(shown(beside(none, {}), 22) == shown(beside(none, {}), 22));
  CHECK(shown(beside(none, status), 22) != shown(beside(none, {}), 22));
  // Nobody is asked to note it.
  const Host on = host();
  const Ruleset rules = beside(translates, {});
  const Courses plain = Evaluator(rules, on).converse(syn_to(22), how(Others::LetPass));
  CHECK(plain.ways[0].turns[0].shown.empty());
}

TEST_CASE("what only notes or writes something decides nothing") {
  for (const Expr& expr :
       {Expr(XtMatch{"comment", 0, Bytes(256)}), Expr(XtTarget{"LOG", 0, Bytes(32)}),
        Expr(XtTarget{"TTL", 0, {0, 64, 0, 0, 0, 0, 0, 0}}), Expr(XtTarget{"MARK", 2, Bytes(8)})}) {
    const Ruleset rules =
        both(ours(22), {base_chain({rule({expr})}, Hook::Input, 5, VerdictCode::Accept)});
    CHECK_EQ(ask(rules, 22, Others::Asked).ways.size(), 1);
  }
  const Ruleset rejects = both(ours(22), {base_chain({rule({XtTarget{"REJECT", 0, Bytes(8)}})},
                                                     Hook::Input, 5, VerdictCode::Accept)});
  const Courses courses = ask(rejects, 22, Others::Asked);
  REQUIRE_EQ(courses.ways.size(), 1);
  CHECK_EQ(courses.ways[0].turns.back().fate(), Fate::Reject);
}

TEST_CASE("what may change the packet for other chains interferes, known or not") {
  const auto interferes = [](Expr expr, auto change) {
    Ruleset rules = both(ours(22), {base_chain({}, Hook::Prerouting, -300, VerdictCode::Accept)});
    change(rules.tables[1]);
    rules.tables[1].chains[0].rules = {rule({std::move(expr)})};
    const auto flaw = verify(rules);
    REQUIRE_MESSAGE(!flaw, flaw->path, ": ", flaw->what);
    const Host on = host();
    return !Evaluator(rules, on).interfering_tables().empty();
  };
  const auto as_it_is = [](Table&) {};
  for (const char* name : {"nat", "redir", "masq", "notrack", "meta", "ct", "payload", "exthdr",
                           "fwd", "objref", "queue", "synproxy", "rule", "a new one"}) {
    CHECK_MESSAGE(interferes(Unsupported{name, "attribute 9 is unknown"}, as_it_is), name);
  }
  for (const char* name : {"cmp", "counter", "fib", "limit", "log", "reject"}) {
    CHECK_FALSE_MESSAGE(interferes(Unsupported{name, "attribute 9 is unknown"}, as_it_is), name);
  }
  for (const char* target : {"DNAT", "MARK", "NOTRACK", "SYNPROXY", "TTL", "of a later kernel"}) {
    CHECK_MESSAGE(interferes(XtTarget{target, 9, {}}, as_it_is), target);
  }
  for (const char* target : {"LOG", "NFLOG", "REJECT", "TRACE"}) {
    const std::size_t size = std::string_view(target) == "REJECT"  ? 8
                             : std::string_view(target) == "NFLOG" ? 80
                                                                   : 32;
    CHECK_FALSE_MESSAGE(interferes(XtTarget{target, 0, Bytes(size)}, as_it_is), target);
  }
  CHECK(interferes(XtTarget{"DNAT", 2, Bytes(48)}, as_it_is));
  CHECK(interferes(XtMatch{"connlabel", 0, Bytes(8)}, as_it_is));
  CHECK(interferes(XtMatch{"of a later kernel", 0, {}}, as_it_is));
  CHECK_FALSE(interferes(XtMatch{"recent", 1, Bytes(232)}, as_it_is));

  CHECK(interferes(MetaSet{MetaKey::Priority, 0}, as_it_is));
  CHECK_FALSE(interferes(MetaSet{MetaKey::NfTrace, 0}, as_it_is));
  CHECK(interferes(CtSet{CtKey::Labels, {}, 0}, as_it_is));
  CHECK(interferes(Synproxy{}, as_it_is));
  CHECK(interferes(ExthdrReset{ExthdrKind::TcpOption, 2}, as_it_is));
  const auto with_object = [](std::uint32_t type, ObjectBody body) {
    return [=](Table& table) { table.objects = {{"o", 0, type, body, ""}}; };
  };
  CHECK(interferes(ObjectRef{object_type::kCtHelper, "o"},
                   with_object(object_type::kCtHelper, CtHelper{})));
  CHECK(interferes(ObjectRef{object_type::kSynproxy, "o"},
                   with_object(object_type::kSynproxy, Synproxy{})));
  CHECK_FALSE(interferes(ObjectRef{object_type::kCounter, "o"},
                         with_object(object_type::kCounter, Counter{})));
  const auto unread = [](SetKind kind) {
    return [=](Table& table) {
      Set& set = table.sets.emplace_back();
      set.name = "m";
      set.kind = kind;
      set.unsupported = "attribute 9 is unknown";
      if (kind == SetKind::ObjectMap) set.object_type = object_type::kCtExpectation;
    };
  };
  CHECK(interferes(ObjectLookup{0, "m"}, unread(SetKind::ObjectMap)));
  CHECK(interferes(Lookup{"m", 0, LookupResult::Verdict, 0, false}, unread(SetKind::VerdictMap)));
  CHECK_FALSE(interferes(Lookup{.set = "m"}, unread(SetKind::Set)));
}

TEST_CASE("many undecided rules in chains that only give verdicts cost nothing") {
  std::vector<Rule> rules;
  for (int i = 0; i < 40; ++i) {
    rules.push_back(rule({XtMatch{"bpf", 1, {}}, drop()}));
  }
  const Ruleset many =
      both(ours(22), {base_chain(std::move(rules), Hook::Input, 5, VerdictCode::Accept)});
  const Courses courses = ask(many, 22, Others::LetPass);
  CHECK_EQ(courses.ways.size(), 1);
  CHECK(courses.complete);
  CHECK_FALSE(ask(many, 22, Others::Asked).ways.empty());
}

}  // namespace
}  // namespace rolewall::eval
