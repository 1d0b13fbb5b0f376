// rolewall schema: the TOML files as JSON Schema (draft-07, which taplo and the editors that use it
// read), from the tables of keys that the parser checks against.

#include <fmt/format.h>

#include <array>
#include <string_view>

#include "cli/exit_status.h"
#include "cli/json.h"
#include "cli/program.h"
#include "policy/codes.h"
#include "policy/keys.h"

namespace rolewall::cli {
namespace {

using policy::Key;
using policy::Keys;
using policy::KeyType;

struct SchemaOptions {
  std::string file = "any";
};

Json typed(std::string_view type) {
  return Json{{"type", type}};
}

Json words(std::initializer_list<std::string_view> list) {
  Json schema = typed("string");
  schema["enum"] = Json::array();
  for (const std::string_view word : list) schema["enum"].push_back(word);
  return schema;
}

// One value, or a list of such.
Json one_or_list(const Json& item, bool may_be_empty) {
  Json list = typed("array");
  list["items"] = item;
  if (!may_be_empty) list["minItems"] = 1;
  Json schema;
  schema["anyOf"].push_back(item);
  schema["anyOf"].push_back(std::move(list));
  return schema;
}

Json any_of(Json a, Json b) {
  Json schema;
  schema["anyOf"].push_back(std::move(a));
  schema["anyOf"].push_back(std::move(b));
  return schema;
}

// A table whose keys are names.
Json by_name(Json value) {
  Json schema = typed("object");
  schema["additionalProperties"] = std::move(value);
  return schema;
}

Json by_finding(const Json& value) {
  Json schema = typed("object");
  schema["properties"] = Json{};
  for (const policy::CodeRow& row : policy::code_table()) {
    if (!policy::may_be_silenced(row)) continue;
    Json entry = value;
    entry["description"] = row.meaning;
    schema["properties"][row.word] = std::move(entry);
  }
  schema["additionalProperties"] = false;
  return schema;
}

Json table_of(Keys keys);

// [networks]: a table has one of these.
Json network_table() {
  Json schema = table_of(policy::keys::kNetwork);
  for (const std::string_view key : {"file", "names", "addresses"}) {
    Json one;
    one["required"].push_back(key);
    schema["oneOf"].push_back(std::move(one));
  }
  return schema;
}

// What stands below a key that takes a table: the parser's readers, key by key.
Json nested(std::string_view key) {
  namespace k = policy::keys;
  const Json strings = one_or_list(typed("string"), false);
  if (key == "site") return table_of(k::kSite);
  if (key == "kinds") return table_of(k::kKinds);
  if (key == "lint") return table_of(k::kLint);
  if (key == "defaults") return table_of(k::kDefaults);
  if (key == "log") return table_of(k::kLog);
  if (key == "hosts") return by_name(table_of(k::kHost));
  if (key == "networks") return by_name(any_of(strings, network_table()));
  if (key == "services" || key == "names") return by_name(strings);
  if (key == "interfaces") return by_name(table_of(k::kInterface));
  if (key == "allow-finding") {
    Json reason = typed("string");
    reason["minLength"] = 1;
    return by_finding(reason);
  }
  if (key == "level") return by_finding(words({"error", "warning", "note", "off"}));
  if (key == "inbound") return table_of(k::kInbound);
  if (key == "outbound") return table_of(k::kOutbound);
  if (key == "forward") return table_of(k::kForward);
  if (key == "nat") return table_of(k::kNat);
  if (key == "test") return table_of(k::kTest);
  if (key == "never" || key == "always") return table_of(k::kLaw);
  return typed("object");
}

// Of a string that is one of few words.
Json string_of(Keys table, std::string_view key) {
  const bool is_default = table.data() == policy::keys::kDefaults.data();
  if (key == "action" || (is_default && key != "mode")) return words({"accept", "drop", "reject"});
  if (key == "mode") return words({"enforce", "audit"});
  return typed("string");
}

Json value_of(Keys table, const Key& key) {
  switch (key.type) {
    case KeyType::String:
      return string_of(table, key.name);
    case KeyType::Strings:
      return one_or_list(typed("string"), false);
    case KeyType::StringsOrNone:
      return one_or_list(typed("string"), true);
    case KeyType::StringsOrTable:
      return any_of(one_or_list(typed("string"), false),
                    by_name(one_or_list(typed("string"), false)));
    case KeyType::Boolean:
      return typed("boolean");
    case KeyType::Integer:
      return typed("integer");
    case KeyType::IntegerOrString:
      return any_of(typed("integer"), typed("string"));
    case KeyType::LocalDate: {
      Json date = typed("string");
      date["format"] = "date";
      return date;
    }
    case KeyType::Table:
      return nested(key.name);
    case KeyType::Tables:
      return one_or_list(nested(key.name), true);
  }
  return Json{};
}

Json table_of(Keys keys) {
  Json schema = typed("object");
  Json required = Json::array();
  schema["properties"] = Json{};
  for (const Key& key : keys) {
    schema["properties"][key.name] = value_of(keys, key);
    if (key.required) required.push_back(key.name);
  }
  if (!required.elements().empty()) schema["required"] = std::move(required);
  schema["additionalProperties"] = false;
  return schema;
}

struct File {
  std::string_view word;
  const Keys& keys;
  std::string_view title;
};
const std::array<File, 5> kFiles = {{
    {"site", policy::keys::kSiteFile, "rolewall: site.toml"},
    {"role", policy::keys::kRoleFile, "rolewall: a role, NAME.toml beside site.toml"},
    {"block", policy::keys::kBlockFile, "rolewall: a block, rules/NAME.toml"},
    {"services", policy::keys::kServicesFile, "rolewall: rules/services.toml"},
    {"lock", policy::keys::kLockFile, "rolewall: rolewall.lock"},
}};

Json having(std::string_view key) {
  Json condition;
  condition["required"].push_back(key);
  return condition;
}

Json chosen(std::string_view key, Keys then, Json otherwise) {
  Json schema;
  schema["if"] = having(key);
  schema["then"] = table_of(then);
  schema["else"] = std::move(otherwise);
  return schema;
}

// A file says what it is: a role by `role`, a site by its hosts or [site], rules/services.toml by
// [kinds]. Without these it has what a block may have, too.
Json any_file() {
  namespace k = policy::keys;
  Json rest = chosen("kinds", k::kServicesFile, table_of(k::kBlockFile));
  rest = chosen("site", k::kSiteFile, std::move(rest));
  rest = chosen("hosts", k::kSiteFile, std::move(rest));
  return chosen("role", k::kRoleFile, std::move(rest));
}

int run(const SchemaOptions& options) {
  Json schema{{"$schema", "http://json-schema.org/draft-07/schema#"}};
  Json body = any_file();
  std::string_view title = "rolewall: a site's files";
  for (const File& file : kFiles) {
    if (file.word != options.file) continue;
    body = table_of(file.keys);
    title = file.title;
  }
  schema["title"] = title;
  for (const std::string_view key :
       {"type", "properties", "required", "additionalProperties", "if", "then", "else"}) {
    if (const Json* part = body.find(key)) schema[key] = *part;
  }
  print(schema);
  return kDone;
}

}  // namespace

void add_schema(Program& program) {
  Verb verb = program.add_verb(kToolVerbs, "schema",
                               "print the JSON Schema of the policy files, for editors",
                               "  rolewall schema > rolewall.schema.json\n"
                               "  rolewall schema site > site.schema.json");
  auto options = std::make_shared<SchemaOptions>();
  verb.add_option("KIND", options->file, "which file; `any` tells roles, sites and blocks apart")
      .one_of({"any", "site", "role", "block", "services", "lock"})
      .type_name("KIND");
  program.on_choice(verb, options, run);
}

}  // namespace rolewall::cli
