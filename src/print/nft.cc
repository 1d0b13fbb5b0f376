// Tables and chains in nft's syntax.
#include <fmt/format.h>

#include "net/protocol.h"
#include "print/nft_rule.h"
#include "print/nft_set.h"
#include "print/print.h"
#include "ruleset/expr.h"
#include "ruleset/names.h"
#include "ruleset/table_flags.h"

namespace rolewall::print {
namespace {

using namespace ruleset;  // NOLINT(google-build-using-namespace)

// NFTNL_UDATA_COMMENT_MAXLEN: what nft takes.
constexpr std::size_t kMaxComment = 128;

Text rule_line(const Table& table, const Rule& rule) {
  Text text = rule_statements(table, rule, Xt::NoForm);
  if (!text || !rule.comment.exists()) return text;
  if (rule.comment.text().size() > kMaxComment) {
    return cannot(fmt::format("nft allows comments of at most {} bytes", kMaxComment));
  }
  const Text comment = in_quotes(rule.comment.text());
  return comment ? fmt::format("{} comment {}", *text, *comment) : comment;
}

Text base_text(const BaseChain& base) {
  std::string devices;
  for (const std::string& device : base.devices) {
    const Text name = in_quotes(device);
    if (!name) return name;
    devices += fmt::format("{}{}", devices.empty() ? "" : ", ", *name);
  }
  if (base.devices.size() == 1) devices = " device " + devices;
  if (base.devices.size() > 1) devices = fmt::format(" devices = {{ {} }}", devices);
  return fmt::format("\t\ttype {} hook {}{} priority {}; policy {};\n", name_of(base.type),
                     name_of(base.hook), devices, base.priority, name_of(base.policy));
}

Text chain_text(const Table& table, const Chain& chain) {
  const Text name = identifier(chain.name);
  if (!name) return name;
  if (chain.bound) return cannot("it belongs to the rule that jumps to it");
  if (chain.offloaded) return cannot("its rules are offloaded to the device");
  std::string text = fmt::format("\tchain {} {{\n", *name);
  if (chain.comment.exists()) {
    const Text comment = in_quotes(chain.comment.text());
    if (!comment) return comment;
    text += fmt::format("\t\tcomment {}\n", *comment);
  }
  if (chain.base) {
    const Text base = base_text(*chain.base);
    if (!base) return base;
    text += *base;
  }
  for (std::size_t r = 0; r < chain.rules.size(); ++r) {
    const Text rule = rule_line(table, chain.rules[r]);
    if (!rule) return cannot(fmt::format("rule {}: {}", r + 1, rule.error()));
    text += fmt::format("\t\t{}\n", *rule);
  }
  return text + "\t}\n";
}

// Of named objects those that our compiler writes.
Text object_text(const Object& object) {
  const auto* helper = std::get_if<CtHelper>(&object.body);
  if (helper == nullptr) return cannot("of named objects only helpers are supported");
  const std::string_view protocol = net::protocol_name(helper->protocol);
  const std::string_view family = name_of(static_cast<Family>(helper->family));
  const Text name = identifier(object.name);
  const Text type = in_quotes(helper->helper);
  if (!name) return name;
  if (!type) return type;
  if (protocol.empty() || family.empty()) return cannot("its protocol or family has no nft syntax");
  return fmt::format("\tct helper {} {{\n\t\ttype {} protocol {}\n\t\tl3proto {}\n\t}}\n", *name,
                     *type, protocol, family);
}

Text table_text(const Table& table) {
  const Text name = identifier(table.name);
  if (!name) return name;
  const std::string whole = fmt::format("table {} {}", name_of(table.family), *name);
  std::string text;
  // Loading the file replaces our table, whatever was in it. (`delete` alone would fail where there
  // is none.) A table of somebody else's is not ours to delete.
  if (table.family == kOwnFamily && table.name == kOwnTable) {
    text += fmt::format("{0}\ndelete {0}\n\n", whole);
  }
  text += whole + " {\n";
  if ((table.flags & ~kTableDormant) != 0) {
    return cannot(fmt::format("the table's flags {:#x} have no nft syntax", table.flags));
  }
  if (table.flags == kTableDormant) text += "\tflags dormant\n\n";
  if (table.comment.exists()) {
    const Text comment = in_quotes(table.comment.text());
    if (!comment) return comment;
    text += fmt::format("\tcomment {}\n\n", *comment);
  }
  bool first = true;
  const auto separate = [&] {
    if (!first) text += '\n';
    first = false;
  };
  for (const Object& object : table.objects) {
    const Text declaration = object_text(object);
    if (!declaration) return cannot(fmt::format("object {}: {}", object.name, declaration.error()));
    separate();
    text += *declaration;
  }
  for (const Set& set : table.sets) {
    if (set.anonymous) continue;  // it stands in its rule
    const Text declaration = set_declaration(set);
    if (!declaration) return cannot(fmt::format("set {}: {}", set.name, declaration.error()));
    separate();
    text += *declaration;
  }
  for (const Chain& chain : table.chains) {
    const Text lines = chain_text(table, chain);
    if (!lines) return cannot(fmt::format("chain {}, {}", chain.name, lines.error()));
    separate();
    text += *lines;
  }
  return text + "}\n";
}

}  // namespace

Result<std::string> to_nft(const Ruleset& ruleset) {
  std::string text;
  for (const Table& table : ruleset.tables) {
    const Text block = table_text(table);
    if (!block) {
      return fail(ErrorKind::Usage,
                  fmt::format("this cannot be written in nft's syntax: table {} {}, {}",
                              name_of(table.family), table.name, block.error()));
    }
    if (!text.empty()) text += '\n';
    text += *block;
  }
  return text;
}

std::string rule_text(const Table& table, const Rule& rule, IpsetNumbers sets) {
  if (const Text text = rule_statements(table, rule, Xt::InWords, sets)) return *text;
  std::string text;
  for (const Expr& expr : rule.exprs) {
    text += (text.empty() ? "" : " ") + bytecode(expr, table.family);
  }
  return text;
}

}  // namespace rolewall::print
