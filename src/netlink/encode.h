// Our objects as messages of a batch. Tables, chains, rules and sets are built by libnftnl; their
// expressions (expr_codec.h) and elements, of which there can be a million, are written directly.
//
// Everything that the kernel would cut off or overflow silently is refused here, by name: lengths
// of names and comments, messages that outgrow an attribute's 64 KiB, expressions that could not be
// decoded and so cannot be written.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "netlink/attributes.h"
#include "ruleset/ruleset.h"

namespace rolewall::netlink {

// Whole messages, of sequence number 0: the batch numbers them.
using Message = std::vector<std::uint8_t>;

// An expression's NFTA_EXPR_NAME and NFTA_EXPR_DATA: the payload of an NFTA_LIST_ELEM. An error
// where it has no form that the kernel would take.
Result<Message> encode_expr(const ruleset::Expr& any);
Message encode_stateful(const ruleset::StatefulExpr& any);

// What a set, an element or dynset holds: nothing, one expression as the attribute `single`, or
// several as `list`. The counterpart of decode_stateful().
void put_stateful(Writer& writer, std::uint16_t single, std::uint16_t list,
                  const std::vector<ruleset::StatefulExpr>& exprs);

// Most bytes of a name of a table, chain or set (NFT_NAME_MAXLEN, without the NUL), of an
// interface's (IFNAMSIZ), and most expressions of a rule (NFT_RULE_MAXEXPRS) and of an element
// (NFT_SET_EXPR_MAX).
inline constexpr std::size_t kMaxName = 255;
inline constexpr std::size_t kMaxDeviceName = 15;
inline constexpr std::size_t kMaxExprs = 128;
inline constexpr std::size_t kMaxStateful = 2;
// A nested attribute's length has 16 bits.
inline constexpr std::size_t kMaxMessage = 65'000;

// Errors that say what is too long or too many.
Result<void> check_name(std::string_view what, std::string_view name);
Result<void> check_comment(std::string_view what, const ruleset::Comment& comment);
Result<void> check_size(std::string_view what, std::size_t message_size);
Result<void> check_stateful(std::string_view what, const std::vector<ruleset::StatefulExpr>& exprs);

Result<Message> encode_new_table(const ruleset::Table& table);
// Makes sure that the table exists and changes nothing of it if it does.
Message encode_ensure_table(ruleset::Family family, std::string_view name);
Message encode_delete_table(ruleset::Family family, std::string_view name);
Result<Message> encode_chain(const ruleset::Table& table, const ruleset::Chain& chain);
// `before`: the handle of the rule in front of which it goes; 0: at the chain's end.
Result<Message> encode_rule(const ruleset::Table& table, const ruleset::Chain& chain,
                            const ruleset::Rule& rule, std::uint64_t before = 0);
Result<Message> encode_object(const ruleset::Table& table, const ruleset::Object& object);
// `id` tells the sets of a batch apart.
Result<Message> encode_set(const ruleset::Table& table, const ruleset::Set& set, std::uint32_t id);

// Fill: all the elements of a set that is new. Add, Remove: some of a set that has others.
enum class ElementVerb : std::uint8_t { Fill, Add, Remove };

// About how many bytes these come to as messages: of keys and ranges, a little more than they do.
std::size_t encoded_size(const ruleset::Elements& elements);

// `elements` of `set` as one or more messages, each of at most kMaxElementBytes of elements; `sink`
// takes each.
inline constexpr std::size_t kMaxElementBytes = 60'000;
Result<void> encode_elements(const ruleset::Table& table, const ruleset::Set& set,
                             const ruleset::Elements& elements, ElementVerb verb,
                             const std::function<void(View)>& sink);

}  // namespace rolewall::netlink
