// Which keys each table of the language takes, and of which type: the one list that the parser
// checks against. A Section is a table that was checked: what it hands out has the right type.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/diagnostic.h"
#include "policy/toml_file.h"

namespace rolewall::policy {

enum class KeyType : std::uint8_t {
  String,
  Strings,         // one, or a list that is not empty
  StringsOrNone,   // one, or a list
  StringsOrTable,  // one, or a list, or a table
  Boolean,
  Integer,
  IntegerOrString,
  LocalDate,
  Table,
  Tables,  // one, or a list
};

struct Key {
  std::string_view name;
  KeyType type;
  bool required = false;
};
using Keys = std::span<const Key>;

namespace keys {
extern const Keys kSiteFile;      // site.toml
extern const Keys kRoleFile;      // NAME.toml beside it
extern const Keys kBlockFile;     // rules/NAME.toml
extern const Keys kServicesFile;  // rules/services.toml
extern const Keys kLockFile;      // rolewall.lock
extern const Keys kSite;          // [site]
extern const Keys kKinds;         // [kinds], in the order of KindWord
extern const Keys kLint;          // [lint]
extern const Keys kInterface;     // [interfaces.NAME]
extern const Keys kHost;          // [hosts.NAME]
extern const Keys kDefaults;      // [defaults]
extern const Keys kLog;           // log = {} in [defaults]
extern const Keys kNetwork;       // NAME = {} in [networks]
extern const Keys kInbound;       // [[inbound]]
extern const Keys kOutbound;      // [[outbound]]
extern const Keys kForward;       // [[forward]]
extern const Keys kNat;           // [[nat]]
extern const Keys kTest;          // [[test]]
extern const Keys kLaw;           // [[never]], [[always]]
}  // namespace keys

// Reports a value that is not of the type, or an empty list where the type takes none.
bool check_type(const Value& value, KeyType type, std::string_view name, Diagnostics& diagnostics);

// The items of a list, or the one value that stands for a list of one.
std::span<const Value> items_of(const Value& value);

// "www.example.com", where a header wrote a name with dots without quotes, [hosts.www.example.com],
// which makes tables within a table: none of `known` stands there. "" where it did not.
std::string name_in_pieces(const Member& member, Keys known);

class Section {
 public:
  // Reports unknown keys, wrong types and missing keys. `what` names the table in messages
  // ("[site]"); `top` holds the keys of the file's top level, for the hint that a key has fallen
  // under the wrong table.
  Section(const Value& table, Keys known, std::string_view what, Keys top,
          Diagnostics& diagnostics);

  // Null where the key is left out, or was reported. `has`: it is there, in whatever form, so that
  // `find` may be null all the same.
  const Value* find(std::string_view name) const;
  bool has(std::string_view name) const { return table_.find(name) != nullptr; }
  // An unknown key was reported that reads like this one: that it is missing is no second finding.
  bool misspells(std::string_view name) const;
  Span span() const { return table_.span(); }

  std::string_view text(std::string_view name) const;  // "" where left out
  bool boolean(std::string_view name, bool otherwise) const;
  std::span<const Value> items(std::string_view name) const;

 private:
  const Value& table_;
  Keys known_;
  std::vector<std::string_view> wrong_;
  std::vector<std::string> misspelt_;  // the known keys that were meant
};

}  // namespace rolewall::policy
