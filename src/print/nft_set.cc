#include "print/nft_set.h"

#include <fmt/format.h>

#include <vector>

#include "print/hex.h"
#include "print/nft_statement.h"
#include "print/nft_value.h"
#include "print/print.h"
#include "ruleset/expressions.h"
#include "ruleset/names.h"
#include "ruleset/registers.h"

namespace rolewall::print {
namespace {

using namespace ruleset;  // NOLINT(google-build-using-namespace)

Text key_text(const Set& set, const Elements& elements, std::size_t element) {
  std::string text;
  std::size_t at = 0;
  for (const KeyField& field : set.key) {
    const ByteSpan first = elements.key(element).subspan(at, field.size);
    const ByteSpan last = elements.key_end(element).subspan(at, field.size);
    // An interval set of one key holds numbers in network order, whatever their type's order is.
    const Order order = set.interval ? Order::Network : order_of(field.type);
    const Text value = range_text(field.type, order, first, last);
    if (!value) return value;
    if (at != 0) text += " . ";
    text += *value;
    at += padded_size(field.size);
  }
  return text;
}

Text element_text(const Set& set, std::size_t i) {
  const Elements& elements = set.elements;
  Text text = key_text(set, elements, i);
  if (!text) return text;
  if (!elements.exprs.empty()) {
    for (const StatefulExpr& expr : elements.exprs[i]) {
      const Text state = stateful_text(expr);
      if (!state) return state;
      *text += ' ' + *state;
    }
  }
  if (!elements.timeouts_ms.empty() && elements.timeouts_ms[i] != 0) {
    const std::uint64_t timeout = elements.timeouts_ms[i];
    *text += " timeout " + (timeout == kNeverEnds ? "never" : duration(timeout));
  }
  if (!elements.expirations_ms.empty() && elements.expirations_ms[i] != 0) {
    *text += " expires " + duration(elements.expirations_ms[i]);
  }
  if (!elements.comments.empty() && elements.comments[i].exists()) {
    const Text comment = in_quotes(elements.comments[i].text());
    if (!comment) return comment;
    *text += " comment " + *comment;
  }
  Text target = "";
  if (!elements.verdicts.empty()) target = verdict_text(elements.verdicts[i]);
  if (!elements.data.empty()) {
    target = value_text(set.data.type, order_of(set.data.type), elements.value(i));
  }
  if (!target) return target;
  if (!target->empty()) *text += " : " + *target;
  return text;
}

Text catch_all_text(const Set& set) {
  Text target = "";
  if (set.kind == SetKind::VerdictMap) target = verdict_text(set.elements.catch_all_verdict);
  if (set.kind == SetKind::Map) {
    target = value_text(set.data.type, order_of(set.data.type), set.elements.catch_all_data);
  }
  if (!target) return target;
  return target->empty() ? "*" : "* : " + *target;
}

// The elements, joined.
Text elements_text(const Set& set, std::string_view separator) {
  std::string text;
  const auto add = [&](const std::string& element) {
    if (!text.empty()) text += separator;
    text += element;
  };
  for (std::size_t i = 0; i < set.elements.count(); ++i) {
    const Text element = element_text(set, i);
    if (!element) return cannot(fmt::format("element {}: {}", i, element.error()));
    add(*element);
  }
  if (set.elements.has_catch_all) {
    const Text element = catch_all_text(set);
    if (!element) return element;
    add(*element);
  }
  return text;
}

Text type_name(const KeyField& field) {
  if (declared_size(field.type) == 0 || declared_size(field.type) != field.size) {
    const std::string_view name = name_of(field.type);
    return cannot(fmt::format(
        "nft cannot declare a set with the type {} of {} bytes",
        name.empty() ? fmt::to_string(static_cast<std::uint32_t>(field.type)) : std::string(name),
        field.size));
  }
  return std::string(name_of(field.type));
}

Text type_text(const Set& set) {
  std::string text;
  for (const KeyField& field : set.key) {
    const Text name = type_name(field);
    if (!name) return name;
    if (!text.empty()) text += " . ";
    text += *name;
  }
  switch (set.kind) {
    case SetKind::Set:
      return text;
    case SetKind::VerdictMap:
      return text + " : verdict";
    case SetKind::Map: {
      const Text name = type_name(set.data);
      return name ? text + " : " + *name : name;
    }
    case SetKind::ObjectMap:
      break;
  }
  return cannot("maps to named objects are not supported");
}

}  // namespace

Text inline_elements(const Set& set) {
  if (!set.exprs.empty()) return cannot("an anonymous set whose elements have state");
  const Text elements = elements_text(set, ", ");
  return elements ? fmt::format("{{ {} }}", *elements) : elements;
}

Text set_declaration(const Set& set) {
  if (!set.unsupported.empty()) return cannot(set.unsupported);
  const Text name = identifier(set.name);
  if (!name) return name;
  const Text type = type_text(set);
  if (!type) return type;
  std::string text = fmt::format("\t{} {} {{\n\t\ttype {}\n",
                                 set.kind == SetKind::Set ? "set" : "map", *name, *type);
  std::vector<std::string_view> flags;
  if (set.constant) flags.push_back("constant");
  if (set.dynamic) flags.push_back("dynamic");
  if (set.interval) flags.push_back("interval");
  if (set.has_timeout) flags.push_back("timeout");
  if (!flags.empty()) text += fmt::format("\t\tflags {}\n", fmt::join(flags, ","));
  if (set.size != 0) text += fmt::format("\t\tsize {}\n", set.size);
  if (set.saves_memory) text += "\t\tpolicy memory\n";
  if (set.timeout_ms != 0) text += fmt::format("\t\ttimeout {}\n", duration(set.timeout_ms));
  if (set.gc_interval_ms != 0) {
    text += fmt::format("\t\tgc-interval {}\n", duration(set.gc_interval_ms));
  }
  for (const StatefulExpr& expr : set.exprs) {
    const Text state = stateful_text(expr);
    if (!state) return state;
    text += fmt::format("\t\t{}\n", *state);
  }
  if (set.comment.exists()) {
    const Text comment = in_quotes(set.comment.text());
    if (!comment) return comment;
    text += fmt::format("\t\tcomment {}\n", *comment);
  }
  if (!set.elements.empty()) {
    const Text elements = elements_text(set, ",\n\t\t\t     ");
    if (!elements) return elements;
    text += fmt::format("\t\telements = {{ {} }}\n", *elements);
  }
  return text + "\t}\n";
}

std::string element_text(const Set& set, const Elements& elements, std::size_t row) {
  if (const Text text = key_text(set, elements, row)) return *text;
  std::string text = "0x";
  append_hex(text, elements.key(row));
  return text;
}

}  // namespace rolewall::print
