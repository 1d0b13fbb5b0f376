// What a refusal of the kernel means.
//
// nf_tables answers a batch with a number (-errno), the sequence number of the message that it
// refused and, by extended acknowledgement, the offset of the attribute in it at fault
// (NL_SET_BAD_ATTR in net/netfilter/nf_tables_api.c); a text hardly ever. Three questions lead from
// there to words:
//
//   Which message? The batch remembers for each what it is about (Subject): a table, set or rule.
//   Which part of it? The offset is looked for in the bytes that were sent (entry_at()): the number
//   of the list's entry that holds it is the number of the expression in the rule; an element's key
//   is read out of the entry itself.
//   Which policy rule? A rule's comment is the id of the one that it was made for. Where a set,
//   element or chain is refused, it is the first rule that uses it.
//
// An errno means something else for each of them: ENOENT of a rule is a set or module that is not
// there, of an element a chain. So each subject has a switch of its own, and general_words() only
// what holds for all. They are by what nf_tables_api.c and the expressions' init functions return;
// an errno without words keeps the C library's, and no cause is guessed.
//
// The part that is named need not be the part that is wrong. What concerns the table as a whole
// (nft_table_validate(): loops, depth, the hooks in which an expression may stand) fails at the
// commit (nf_tables_validate()); the kernel then takes the batch once more and validates after each
// rule and element, so that it names the message that closed the circle and no attribute of it.
// Refusal::exact is set only where an offset named an expression of a rule.
#include "netlink/refusal.h"

#include <fmt/format.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <variant>

#include "net/address.h"
#include "netlink/nft_data.h"
#include "ruleset/effects.h"
#include "ruleset/expr.h"
#include "ruleset/expr_name.h"
#include "ruleset/names.h"

namespace rolewall::netlink {
namespace {

using namespace ruleset;

constexpr std::size_t kMessageHeader = sizeof(nlmsghdr) + sizeof(nfgenmsg);

struct Found {
  std::size_t index = 0;
  View payload;
};

// Which entry of the list `list_type` in the message holds the byte at `offset`.
std::optional<Found> entry_at(View message, std::uint16_t list_type, std::uint32_t offset) {
  if (offset < kMessageHeader || offset >= message.size()) return std::nullopt;
  const std::uint8_t* fault = message.data() + offset;
  std::optional<Found> found;
  for_each_attribute(message.subspan(kMessageHeader), [&](std::uint16_t type, View list) {
    if (type != list_type) return;
    std::size_t index = 0;
    for_each_attribute(list, [&](std::uint16_t, View payload) {
      constexpr std::ptrdiff_t kHeader = 4;
      if (fault >= payload.data() - kHeader && fault < payload.data() + payload.size()) {
        found = Found{index, payload};
      }
      ++index;
    });
  });
  return found;
}

// The kernel's name, and what it is about.
std::string words_of(const Expr& expr) {
  if (const auto* lookup = std::get_if<Lookup>(&expr)) return "lookup in set " + lookup->set;
  if (const auto* dynset = std::get_if<Dynset>(&expr)) return "dynset on set " + dynset->set;
  if (const auto* object = std::get_if<ObjectRef>(&expr)) return "object " + object->name;
  if (const auto* lookup = std::get_if<ObjectLookup>(&expr)) return "objects of map " + lookup->set;
  if (const auto* immediate = std::get_if<ImmediateVerdict>(&expr)) {
    const Verdict& verdict = immediate->verdict;
    return verdict.chain.empty()
               ? "verdict " + std::string(name_of(verdict.code))
               : fmt::format("{} to chain {}", name_of(verdict.code), verdict.chain);
  }
  return std::string(expr_name(expr));
}

// As nft would write it, for the types that a policy's sets hold; others in hexadecimal.
std::string format_field(const KeyField& field, View bytes) {
  const auto is = [&](DataType type, std::size_t size) {
    return field.type == type && bytes.size() == size;
  };
  if (is(DataType::Ipv4Address, 4)) return net::format(net::ipv4_from_bytes(bytes.data()));
  if (is(DataType::Ipv6Address, 16)) return net::format(net::ipv6_from_bytes(bytes.data()));
  if (is(DataType::InetService, 2)) return fmt::format("{}", bytes[0] << 8 | bytes[1]);
  if (is(DataType::IfName, 16)) {
    return {bytes.begin(), std::find(bytes.begin(), bytes.end(), std::uint8_t{0})};
  }
  return fmt::format("0x{:02x}", fmt::join(bytes, ""));
}

std::string format_key(const Set& set, View key) {
  if (key.size() != set.key_size()) return "";
  std::string text;
  std::size_t offset = 0;
  for (const KeyField& field : set.key) {
    if (!text.empty()) text += " . ";
    text += format_field(field, key.subspan(offset, field.size));
    offset += aligned(field.size);
    if (offset > key.size()) break;
  }
  return text;
}

// The comment of the first rule for which `wanted` holds.
template <class Wanted>
std::string comment_of_first(const Table& table, Wanted wanted) {
  for (const Chain& chain : table.chains) {
    for (const Rule& rule : chain.rules) {
      if (!rule.comment.empty() && wanted(chain, rule)) return rule.comment.text();
    }
  }
  return "";
}

std::string rule_using(const Table& table, const Set& set) {
  const TableIndex names(table);
  return comment_of_first(table, [&](const Chain&, const Rule& rule) {
    return std::ranges::any_of(rule.exprs, [&](const Expr& expr) {
      const std::string* named = effects_of(expr, names).set;
      return named != nullptr && *named == set.name;
    });
  });
}

std::string rule_in(const Table& table, const std::string& name) {
  return comment_of_first(table,
                          [&](const Chain& chain, const Rule&) { return chain.name == name; });
}

// What ENOENT means for an expression: what it names is missing, or the kernel has no such thing.
std::string missing(const Expr& expr) {
  if (const auto* lookup = std::get_if<Lookup>(&expr)) {
    return fmt::format("there is no set {}", lookup->set);
  }
  if (const auto* dynset = std::get_if<Dynset>(&expr)) {
    return fmt::format("there is no set {}, or the kernel lacks `dynset`", dynset->set);
  }
  if (const auto* object = std::get_if<ObjectRef>(&expr)) {
    return fmt::format("there is no object {} of this type", object->name);
  }
  if (const auto* objects = std::get_if<ObjectLookup>(&expr)) {
    return fmt::format("there is no map {}", objects->set);
  }
  if (const auto* immediate = std::get_if<ImmediateVerdict>(&expr)) {
    return fmt::format("there is no chain {}", immediate->verdict.chain);
  }
  return fmt::format("the kernel does not have the expression `{}` (its module is missing)",
                     words_of(expr));
}

// What an errno means whatever it is about; "" where that depends.
std::string general_words(int error) {
  switch (error) {
    case EPERM:
      return "not permitted: this needs CAP_NET_ADMIN, and a table that no other program owns";
    case ENOMEM:
    case ENOBUFS:
      return "the kernel is out of memory";
    case ELOOP:
      return "the chains jump in a loop";
    case EMLINK:
      return "chains jump in a loop, or deeper than the kernel allows (16)";
    case EMFILE:
      return "it is used more often than the kernel can count";
    case ERANGE:
      return "a number is out of the kernel's range";
    case EBUSY:
      return "it is in use, or another element has the same key and other data";
    case ENOTEMPTY:
      return "its interval overlaps with another";
    case EPROTONOSUPPORT:
    case EAFNOSUPPORT:
      return "the kernel does not have this family of tables";
    default:
      return "";
  }
}

std::string table_words(int error) {
  switch (error) {
    case ERESTART:
      return "another program changed the firewall meanwhile";
    case EOPNOTSUPP:
      return "the kernel has no nf_tables, or lacks a part that the transaction needs";
    case EINVAL:
      return "the transaction is not valid: an expression is in a hook where it is not allowed, or "
             "a verdict map has a jump that is not allowed";
    case ENOENT:
      return "there is no such table";
    default:
      return "";
  }
}

std::string object_words(int error, const Object& object) {
  switch (error) {
    case EEXIST:
      return "there is already an object of this name and type";
    case ENOENT:
      return std::holds_alternative<CtHelper>(object.body)
                 ? fmt::format("the kernel has no connection tracking helper {}",
                               std::get<CtHelper>(object.body).helper)
                 : "the kernel does not have this type of object (its module is missing)";
    case EOPNOTSUPP:
      return "the kernel does not have this type of object, or not for this family or protocol";
    case EINVAL:
      return "its settings are not valid in a table of this family";
    default:
      return "";
  }
}

std::string set_words(int error) {
  switch (error) {
    case EEXIST:
      return "there is already a set of this name with other properties";
    case ENFILE:
      return "there is already a set of this name";
    case EOPNOTSUPP:
    case ENOENT:
      return "the kernel has no way to store a set of these flags, key and expressions";
    case EINVAL:
    case E2BIG:
      return "its key, data, flags or expressions do not fit together";
    default:
      return "";
  }
}

std::string element_words(int error, const Set& set) {
  switch (error) {
    case ENFILE:
    case ENOSPC:
      return fmt::format("the set is full (size {})", set.size);
    case EEXIST:
      return "the element exists already, or overlaps with another";
    case ENOENT:
      return "there is no such set, or no chain or object that the element names";
    case EINVAL:
      return "its key, data or timeout does not fit the set, or it makes a loop of jumps";
    case EOPNOTSUPP:
      return "the kernel does not support such an element here (a jump to a base chain, or an "
             "expression that is not the set's)";
    default:
      return "";
  }
}

std::string chain_words(int error) {
  switch (error) {
    case EEXIST:
      return "there is already a chain of this name, or at this hook and priority";
    case ENOENT:
      return "the kernel has no such chain type, or there is no such device";
    case EOPNOTSUPP:
      return "the kernel does not support this type of chain in this hook";
    case EINVAL:
      return "its hook, priority or device does not fit its type and family";
    default:
      return "";
  }
}

std::string rule_words(int error, const Expr* expr) {
  switch (error) {
    case ENOENT:
      return expr != nullptr ? missing(*expr) : "the chain of the rule does not exist";
    case EOPNOTSUPP:
      return "the kernel does not support this here (a jump to a base chain, a key in this family "
             "or hook, or a combination of options)";
    case EINVAL:
      return "the kernel does not take this value, register or length, or not in this hook or "
             "chain";
    case EOVERFLOW:
    case E2BIG:
      return "it is larger than the kernel allows";
    case EEXIST:
      return "it exists already";
    default:
      return "";
  }
}

void explain_rule(const Table& table, const Subject& subject, View message,
                  const KernelError& error, Refusal& refusal) {
  const Chain& chain = table.chains[subject.index];
  const Rule& rule = chain.rules[subject.rule];
  refusal.what = fmt::format("rule {} of chain {}", subject.rule + 1, chain.name);
  refusal.rule_id = rule.comment.empty() ? rule_in(table, chain.name) : rule.comment.text();
  const Expr* expr = nullptr;
  const auto entry = entry_at(message, NFTA_RULE_EXPRESSIONS, error.offset);
  if (entry && entry->index < rule.exprs.size()) {
    expr = &rule.exprs[entry->index];
    refusal.what += fmt::format(": {}", words_of(*expr));
  }
  // Validation of loops and hooks names the message in which it was found, which need not be the
  // rule that is wrong.
  refusal.exact = expr != nullptr && !rule.comment.empty();
  refusal.explanation = rule_words(error.os_errno, expr);
}

void explain_elements(const Table& table, const Subject& subject, View message,
                      const KernelError& error, Refusal& refusal) {
  const Set& set = table.sets[subject.index];
  refusal.what = fmt::format("set {}", set.name);
  refusal.rule_id = rule_using(table, set);
  refusal.explanation = element_words(error.os_errno, set);
  const auto entry = entry_at(message, NFTA_SET_ELEM_LIST_ELEMENTS, error.offset);
  if (!entry) return;
  Attributes element(entry->payload);
  if (!element.has(NFTA_SET_ELEM_KEY)) {
    refusal.what = fmt::format("element * of set {}", set.name);
    return;
  }
  const Value key = decode_value(element, NFTA_SET_ELEM_KEY);
  refusal.what =
      fmt::format("element {} of set {}", format_key(set, {key.begin(), key.end()}), set.name);
  if (element.has(NFTA_SET_ELEM_DATA) && set.kind == SetKind::VerdictMap) {
    const Verdict verdict = decode_verdict(element, NFTA_SET_ELEM_DATA);
    if (verdict.chain.empty()) return;
    refusal.what += fmt::format(" ({} to chain {})", name_of(verdict.code), verdict.chain);
    if (find_chain(table, verdict.chain) == nullptr && error.os_errno == ENOENT) {
      refusal.explanation = fmt::format("there is no chain {}", verdict.chain);
    }
    // A chain of ours belongs to one policy rule.
    if (std::string rule = rule_in(table, verdict.chain); !rule.empty()) {
      refusal.rule_id = std::move(rule);
    }
  }
}

}  // namespace

Refusal explain(const Table& table, const Batch& batch, const KernelError& error) {
  Refusal refusal;
  refusal.os_errno = error.os_errno;
  refusal.kernel_message = error.text;
  const Subject& subject = batch.subject(error.sequence);
  const View message = batch.message(error.sequence);
  switch (subject.kind) {
    case Subject::Kind::Batch:
      refusal.what = "the whole transaction";
      refusal.explanation = table_words(error.os_errno);
      break;
    case Subject::Kind::Table:
      refusal.what = fmt::format("table {} {}", name_of(table.family), table.name);
      refusal.explanation = table_words(error.os_errno);
      break;
    case Subject::Kind::Object:
      refusal.what = fmt::format("object {}", table.objects[subject.index].name);
      refusal.explanation = object_words(error.os_errno, table.objects[subject.index]);
      break;
    case Subject::Kind::Set:
      refusal.what = fmt::format("set {}", table.sets[subject.index].name);
      refusal.rule_id = rule_using(table, table.sets[subject.index]);
      refusal.explanation = set_words(error.os_errno);
      break;
    case Subject::Kind::Chain:
      refusal.what = fmt::format("chain {}", table.chains[subject.index].name);
      refusal.rule_id = rule_in(table, table.chains[subject.index].name);
      refusal.explanation = chain_words(error.os_errno);
      break;
    case Subject::Kind::Elements:
      explain_elements(table, subject, message, error, refusal);
      break;
    case Subject::Kind::Rule:
      explain_rule(table, subject, message, error, refusal);
      break;
    case Subject::Kind::Removal:
      refusal.what = "to remove what is no longer in the policy";
      break;
  }
  if (refusal.explanation.empty()) refusal.explanation = general_words(error.os_errno);
  if (refusal.explanation.empty()) refusal.explanation = std::strerror(error.os_errno);
  return refusal;
}

}  // namespace rolewall::netlink
