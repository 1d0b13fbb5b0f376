#include "netlink/dump_attempt.h"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <algorithm>
#include <utility>

#include "netlink/attributes.h"

namespace rolewall::netlink {

using namespace ruleset;

namespace {

constexpr std::uint16_t message_type(int message) {
  return nfnetlink_type(NFNL_SUBSYS_NFTABLES, message);
}

std::vector<std::uint8_t> elements_request(const Table& table, const Set& set) {
  std::vector<std::uint8_t> bytes;
  Writer writer(bytes);
  const std::size_t begin = writer.begin_message(message_type(NFT_MSG_GETSETELEM), NLM_F_DUMP,
                                                 static_cast<std::uint8_t>(table.family));
  writer.text(NFTA_SET_ELEM_LIST_TABLE, table.name);
  writer.text(NFTA_SET_ELEM_LIST_SET, set.name);
  writer.end_message(begin);
  return bytes;
}

}  // namespace

bool in_scope(const Scope& scope, const Answer& answer) {
  if (scope.table.empty()) return true;
  if (answer.family != scope.family) return false;
  Attributes attributes(answer.attributes);
  return attributes.has(NFTA_TABLE_NAME) && attributes.text(NFTA_TABLE_NAME) == scope.table;
}

std::vector<std::uint8_t> request(int message, std::uint16_t flags, const Scope& scope,
                                  std::uint16_t table_attribute) {
  std::vector<std::uint8_t> bytes;
  Writer writer(bytes);
  const std::size_t begin = writer.begin_message(message_type(message), flags, scope.family);
  if (table_attribute != 0 && !scope.table.empty()) writer.text(table_attribute, scope.table);
  writer.end_message(begin);
  return bytes;
}

std::vector<std::uint8_t> element_request(const Table& table, const Set& set, View key) {
  std::vector<std::uint8_t> bytes;
  Writer writer(bytes);
  const std::size_t begin = writer.begin_message(message_type(NFT_MSG_GETSETELEM), 0,
                                                 static_cast<std::uint8_t>(table.family));
  writer.text(NFTA_SET_ELEM_LIST_TABLE, table.name);
  writer.text(NFTA_SET_ELEM_LIST_SET, set.name);
  const std::size_t list = writer.begin_nest(NFTA_SET_ELEM_LIST_ELEMENTS);
  const std::size_t element = writer.begin_nest(NFTA_LIST_ELEM);
  if (key.empty()) {
    writer.be32(NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_CATCHALL);
  } else {
    const std::size_t nest = writer.begin_nest(NFTA_SET_ELEM_KEY);
    writer.put(NFTA_DATA_VALUE, key);
    writer.end_nest(nest);
  }
  writer.end_nest(element);
  writer.end_nest(list);
  writer.end_message(begin);
  return bytes;
}

DumpAttempt::DumpAttempt(Socket& socket, std::uint32_t generation)
    : socket_(socket), generation_(generation) {}

Result<std::optional<Ruleset>> DumpAttempt::read(const Scope& scope, bool with_elements) {
  using Handler = Result<void> (RulesetReader::*)(std::uint8_t, View);
  const auto part = [&](int message, std::uint16_t table_attribute,
                        Handler handler) -> Result<void> {
    return dump(request(message, NLM_F_DUMP, scope, table_attribute),
                [&](const Answer& answer) -> Result<void> {
                  // Every object of nf_tables has its table's name as attribute 1.
                  if (!in_scope(scope, answer)) return {};
                  return (reader_.*handler)(answer.family, answer.attributes);
                });
  };
  TRY(part(NFT_MSG_GETTABLE, 0, &RulesetReader::table));
  if (scope.contents && !reader_.ruleset().tables.empty()) {
    TRY(part(NFT_MSG_GETCHAIN, 0, &RulesetReader::chain));
    TRY(part(NFT_MSG_GETOBJ, NFTA_OBJ_TABLE, &RulesetReader::object));
    TRY(part(NFT_MSG_GETSET, NFTA_SET_TABLE, &RulesetReader::set));
    TRY(part(NFT_MSG_GETRULE, NFTA_RULE_TABLE, &RulesetReader::rule));
    if (with_elements) TRY(read_elements(scope));
  }
  if (interrupted_) return std::nullopt;
  return reader_.finish();
}

Result<void> DumpAttempt::dump(std::vector<std::uint8_t> request,
                               const std::function<Result<void>(const Answer&)>& visit) {
  if (interrupted_) return {};
  const auto end = socket_.dump(std::move(request), [&](const Answer& answer) -> Result<void> {
    // Dumps of elements do not set NLM_F_DUMP_INTR; each message carries the generation.
    if (answer.resource_id != static_cast<std::uint16_t>(generation_)) interrupted_ = true;
    if (interrupted_) return {};
    return visit(answer);
  });
  if (!end) return std::unexpected(end.error());
  if (*end == Socket::DumpEnd::Interrupted) interrupted_ = true;
  return {};
}

Result<void> DumpAttempt::read_elements(const Scope& scope) {
  for (const Table& table : reader_.ruleset().tables) {
    for (const Set& set : table.sets) {
      if (std::ranges::find(scope.but, set.name) != scope.but.end()) continue;
      bool too_many = false;
      const auto read =
          dump(elements_request(table, set), [&](const Answer& answer) -> Result<void> {
            TRY(reader_.elements(answer.family, answer.attributes));
            too_many = reader_.count(table, set) > scope.most;
            if (too_many) return fail(ErrorKind::System, "too many elements");
            return {};
          });
      if (!read && !too_many) return read;
      if (!too_many) continue;
      reader_.leave_out(table, set);
      too_large_.push_back(set.name);
    }
  }
  return {};
}

}  // namespace rolewall::netlink
