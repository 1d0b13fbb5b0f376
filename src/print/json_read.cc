// JSON to a snapshot. The text is not trusted: every value's type and range is checked as it is
// read, every key must be known and be there once, and the ruleset as a whole must be valid
// (ruleset/verify.h) before anybody gets it. An error names the place as a path:
// "ruleset.tables[0].chains[2].rules[5].exprs[1].value".
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>
#include <variant>

#include "base/overloaded.h"
#include "base/visit.h"
#include "print/hex.h"
#include "print/print.h"
#include "print/snapshot_fields.h"
#include "ruleset/expressions.h"
#include "ruleset/names.h"
#include "ruleset/verify.h"

namespace rolewall::print {
namespace {

using namespace ruleset;  // NOLINT(google-build-using-namespace)
using Json = nlohmann::json;

// How deep brackets may stand in each other; a snapshot's own are ten deep.
constexpr std::size_t kMaxDepth = 32;

constexpr NumberForm kSize{sizeof(std::uint32_t), false};  // of Elements

std::string shown(std::string_view text) {
  constexpr std::size_t kShown = 60;
  return fmt::format("\"{}{}\"", text.substr(0, kShown), text.size() > kShown ? "..." : "");
}

// Reads into values; where that fails, `path` and `what` say where and why. The path is put
// together on the way out of a failure, so that success costs nothing.
class Reader {
 public:
  std::string path;
  std::string what;

  bool read_snapshot(const Json& json, Snapshot& snapshot) {
    if (!json.is_object()) return fails("not a snapshot: an object is expected");
    const auto kind = json.find("kind");
    if (kind == json.end() || *kind != kSnapshotKind) {
      return fails(fmt::format(R"(not a snapshot: "kind" is not "{}")", kSnapshotKind));
    }
    const auto version = json.find("version");
    if (version == json.end() || !version->is_number_integer()) {
      return fails_at("version", "a number is expected");
    }
    if (*version > Snapshot::kVersion) {
      return fails_at("version", fmt::format("{} is newer than this program, which reads up to {}",
                                             version->dump(), Snapshot::kVersion));
    }
    if (*version != Snapshot::kVersion) {
      return fails_at("version", fmt::format("there is no version {}", version->dump()));
    }
    return read_fields(json, snapshot_form(), &snapshot, {"kind", "version"});
  }

 private:
  bool fails(std::string reason) {
    what = std::move(reason);
    return false;
  }
  bool fails_at(std::string_view key, std::string reason) {
    path = fmt::format(".{}", key);
    return fails(std::move(reason));
  }
  bool within(std::string_view key) {
    path.insert(0, fmt::format(".{}", key));
    return false;
  }
  bool within(std::size_t index) {
    path.insert(0, fmt::format("[{}]", index));
    return false;
  }

  bool read(const Json& json, bool& value) {
    if (!json.is_boolean()) return fails("true or false is expected");
    value = json.get<bool>();
    return true;
  }

  bool read(const Json& json, std::string& text) {
    if (json.is_string()) {
      text = json.get_ref<const std::string&>();
      return true;
    }
    if (json.is_object() && json.size() == 1 && json.contains("hex") && json["hex"].is_string() &&
        append_unhexed(text, json["hex"].get_ref<const std::string&>())) {
      return true;
    }
    return fails("a string is expected");
  }

  bool read(const Json& json, Comment& comment) {
    std::string text;
    if (!json.is_null() && !read(json, text)) return false;
    comment = json.is_null() ? Comment::written("") : Comment(std::move(text));
    return true;
  }

  // The digits of a text of hexadecimal digits; "" is no bytes.
  bool read(const Json& json, Bytes& bytes) {
    if (json.is_string() && append_unhexed(bytes, json.get_ref<const std::string&>())) return true;
    return fails("bytes in hexadecimal digits (0-9, a-f) are expected");
  }

  bool read(const Json& json, Value& value) {
    Bytes bytes;
    if (!read(json, bytes)) return false;
    if (bytes.size() > Value::kMaxSize) {
      return fails(fmt::format("{} bytes, where at most {} fit", bytes.size(), Value::kMaxSize));
    }
    value = Value(bytes);
    return true;
  }

  bool read(const Json& json, Verdict& verdict) {
    std::string text;
    if (!read(json, text)) return false;
    const std::size_t space = text.find(' ');
    const auto code = from_name<VerdictCode>(std::string_view(text).substr(0, space));
    if (!code) return fails(shown(text) + " is not a verdict");
    verdict.code = *code;
    const std::string rest = space == std::string::npos ? "" : text.substr(space + 1);
    if (*code == VerdictCode::Jump || *code == VerdictCode::Goto) {
      verdict.chain = rest;
      return !rest.empty() || fails("a chain is expected after the verdict");
    }
    if (*code == VerdictCode::Queue) {
      const auto end = rest.data() + rest.size();
      const auto parsed = std::from_chars(rest.data(), end, verdict.queue);
      return (parsed.ec == std::errc{} && parsed.ptr == end) ||
             fails("a number is expected after queue");
    }
    return space == std::string::npos || fails("nothing is expected after the verdict");
  }

  bool read(const Json& json, net::Address& address) {
    if (json.is_string()) {
      if (const auto parsed = net::parse_address(json.get_ref<const std::string&>())) {
        address = *parsed;
        return true;
      }
    }
    return fails("an address is expected");
  }

  bool read(const Json& json, net::Prefix& prefix) {
    if (json.is_string()) {
      if (const auto parsed = net::parse_prefix(json.get_ref<const std::string&>())) {
        prefix = *parsed;
        return true;
      }
    }
    return fails("an address or a prefix is expected");
  }

  // Addresses, prefixes, and ranges "10.0.0.1-10.0.0.7".
  bool read(const Json& json, net::AddressSet& set) {
    if (!json.is_array()) return fails("a list of addresses is expected");
    std::vector<net::Interval<net::Ipv4>> ipv4;
    std::vector<net::Interval<net::Ipv6>> ipv6;
    for (std::size_t i = 0; i < json.size(); ++i) {
      std::string text;
      if (!read(json[i], text)) return within(i);
      const std::size_t dash = text.find('-');
      std::optional<net::Address> low;
      std::optional<net::Address> high;
      if (dash != std::string::npos) {
        low = net::parse_address(std::string_view(text).substr(0, dash));
        high = net::parse_address(std::string_view(text).substr(dash + 1));
      } else if (const auto prefix = net::parse_prefix(text)) {
        low = net::first(*prefix);
        high = net::last(*prefix);
      }
      if (!low || !high || low->index() != high->index() || *high < *low) {
        fails(shown(text) + " is not an address, prefix or range");
        return within(i);
      }
      if (net::is_ipv4(*low)) {
        ipv4.push_back({std::get<net::Ipv4>(*low), std::get<net::Ipv4>(*high)});
      } else {
        ipv6.push_back({std::get<net::Ipv6>(*low), std::get<net::Ipv6>(*high)});
      }
    }
    set.ipv4 = net::IntervalSet<net::Ipv4>::from(std::move(ipv4));
    set.ipv6 = net::IntervalSet<net::Ipv6>::from(std::move(ipv6));
    return true;
  }

  bool read(const Json& json, SourceMap& sources) {
    if (!json.is_object()) return fails("an object is expected");
    for (const auto& [rule, line] : json.items()) {
      if (!read(line, source_line_form(), &sources[rule])) return within(rule);
    }
    return true;
  }

  // "c0000201" for a key; "c0000200-c00002ff" too, in a column of ranges.
  bool read_keys(const Json& json, bool ranges, Elements& elements) {
    if (!json.is_array()) return fails("a list is expected");
    elements.keys.reserve(json.size() * elements.key_size);
    for (std::size_t i = 0; i < json.size(); ++i) {
      const std::size_t begin = elements.keys.size();
      bool good = json[i].is_string();
      if (good) {
        const std::string_view text = json[i].get_ref<const std::string&>();
        const std::size_t dash = ranges ? text.find('-') : std::string_view::npos;
        good = append_unhexed(elements.keys, text.substr(0, dash));
        if (ranges) {
          const auto end = dash == std::string_view::npos ? text : text.substr(dash + 1);
          good = good && append_unhexed(elements.key_ends, end) &&
                 elements.key_ends.size() == elements.keys.size();
        }
        good = good && elements.keys.size() - begin == elements.key_size;
      }
      if (!good) {
        fails(fmt::format("a key of {} bytes in hexadecimal digits is expected{}",
                          elements.key_size, ranges ? ", or two joined by '-'" : ""));
        return within(i);
      }
    }
    return true;
  }

  bool read_data(const Json& json, Elements& elements) {
    if (!json.is_array()) return fails("a list is expected");
    for (std::size_t i = 0; i < json.size(); ++i) {
      const std::size_t begin = elements.data.size();
      if (!read(json[i], elements.data)) return within(i);
      if (elements.data.size() - begin != elements.data_size) {
        fails(fmt::format("a value of {} bytes is expected", elements.data_size));
        return within(i);
      }
    }
    return true;
  }

  bool read_catch_all(const Json& json, Elements& elements) {
    if (!json.is_object()) return fails("an object is expected");
    elements.has_catch_all = true;
    for (const auto& [key, value] : json.items()) {
      const bool good = key == "verdict"   ? read(value, elements.catch_all_verdict)
                        : key == "data"    ? read(value, elements.catch_all_data)
                        : key == "object"  ? read(value, elements.catch_all_object)
                        : key == "comment" ? read(value, elements.catch_all_comment)
                                           : fails("there is no such key");
      if (!good) return within(key);
    }
    return true;
  }

  bool read(const Json& json, Elements& elements) {
    if (!json.is_object()) return fails("an object is expected");
    if (const auto size = json.find("key_size"); size != json.end()) {
      if (!read(*size, kSize, &elements.key_size)) return within("key_size");
    }
    if (const auto size = json.find("data_size"); size != json.end()) {
      if (!read(*size, kSize, &elements.data_size)) return within("data_size");
    }
    if (elements.key_size > Value::kMaxSize) return fails_at("key_size", "more than 64 bytes");
    if (elements.data_size > Value::kMaxSize) return fails_at("data_size", "more than 64 bytes");
    if (json.contains("keys") && json.contains("ranges")) {
      return fails(R"(either "keys" or "ranges" is expected)");
    }
    for (const auto& [key, value] : json.items()) {
      if (key == "key_size" || key == "data_size") continue;
      const bool good = key == "keys"        ? read_keys(value, false, elements)
                        : key == "ranges"    ? read_keys(value, true, elements)
                        : key == "data"      ? read_data(value, elements)
                        : key == "catch_all" ? read_catch_all(value, elements)
                                             : read_column(key, value, elements);
      if (!good) return within(key);
    }
    return true;
  }

  bool read_column(std::string_view key, const Json& json, Elements& elements) {
    for (const Field& column : element_columns()) {
      if (column.name == key) return read(json, *column.form, writable(column.in(&elements)));
    }
    return fails("there is no such key");
  }

  // --- by form ---

  bool read(const Json& json, const Form& form, void* value) {
    return visit_closed(
        Overloaded{[&](Leaf leaf) { return read(json, leaf, value); },
                   [&](const NumberForm& number) { return read(json, number, value); },
                   [&](const NameForm& name) { return read(json, name, value); },
                   [&](const OptionalForm& optional) {
                     return read(json, *optional.item, optional.emplace(value));
                   },
                   [&](const ListForm& list) { return read(json, list, value); },
                   [&](const ObjectForm& object) {
                     if (!json.is_object()) return fails("an object is expected");
                     return read_fields(json, object, value, {});
                   },
                   [&](const ChoiceForm& choice) { return read(json, choice, value); }},
        static_cast<const Form::variant&>(form));
  }

  bool read(const Json& json, Leaf leaf, void* value) {
    switch (leaf) {
      case Leaf::Boolean:
        return read(json, *static_cast<bool*>(value));
      case Leaf::Text:
        return read(json, *static_cast<std::string*>(value));
      case Leaf::Comment:
        return read(json, *static_cast<Comment*>(value));
      case Leaf::Bytes:
        return read(json, *static_cast<Bytes*>(value));
      case Leaf::Value:
        return read(json, *static_cast<Value*>(value));
      case Leaf::Verdict:
        return read(json, *static_cast<Verdict*>(value));
      case Leaf::Address:
        return read(json, *static_cast<net::Address*>(value));
      case Leaf::Prefix:
        return read(json, *static_cast<net::Prefix*>(value));
      case Leaf::AddressSet:
        return read(json, *static_cast<net::AddressSet*>(value));
      case Leaf::Sources:
        return read(json, *static_cast<SourceMap*>(value));
      case Leaf::Elements:
        return read(json, *static_cast<Elements*>(value));
    }
    return fails("this cannot be read");
  }

  bool read(const Json& json, const NumberForm& form, void* value) {
    const auto bits = static_cast<int>(form.size * 8 - (form.is_signed ? 1 : 0));
    const std::uint64_t high = ~std::uint64_t{0} >> (64 - bits);
    const std::int64_t low = form.is_signed ? -static_cast<std::int64_t>(high) - 1 : 0;
    if (json.is_number_unsigned()) {
      const auto number = json.get<std::uint64_t>();
      if (number <= high) return put(form, number, value);
    } else if (json.is_number_integer()) {
      const auto number = json.get<std::int64_t>();
      if (number >= low && std::cmp_less_equal(number, high)) {
        return put(form, static_cast<std::uint64_t>(number), value);
      }
    }
    return fails(fmt::format("a whole number from {} to {} is expected", low, high));
  }
  static bool put(const NumberForm& form, std::uint64_t number, void* value) {
    put_number(form, number, value);
    return true;
  }

  bool read(const Json& json, const NameForm& form, void* value) {
    if (form.open && json.is_number()) return read(json, form.number, value);
    if (json.is_string()) {
      const std::string& text = json.get_ref<const std::string&>();
      for (std::size_t i = 0; i < form.count(); ++i) {
        const NameForm::Row row = form.row(i);
        if (row.name == text) return put(form.number, row.number, value);
      }
    }
    std::string names;
    for (std::size_t i = 0; i < form.count(); ++i) {
      names += fmt::format("{}{}", names.empty() ? "" : ", ", form.row(i).name);
    }
    return fails("one of these is expected: " + names);
  }

  bool read(const Json& json, const ListForm& form, void* list) {
    if (!json.is_array()) return fails("a list is expected");
    form.resize(list, json.size());
    for (std::size_t i = 0; i < json.size(); ++i) {
      if (!read(json[i], *form.item, writable(form.at(list, i)))) return within(i);
    }
    return true;
  }

  bool read(const Json& json, const ChoiceForm& form, void* value) {
    if (!json.is_object()) return fails("an expression is expected");
    const auto type = json.find("type");
    if (type == json.end() || !type->is_string()) {
      return fails_at("type", "the expression's name is expected");
    }
    const std::string& name = type->get_ref<const std::string&>();
    for (const ChoiceForm::Alternative& alternative : form.alternatives) {
      if (alternative.type != name) continue;
      const bool may_have_words = name == "match" || name == "target";
      if (may_have_words && json.contains(kXtWords)) {
        return read_fields(json, *alternative.form, alternative.emplace(value), {"type", kXtWords});
      }
      return read_fields(json, *alternative.form, alternative.emplace(value), {"type"});
    }
    return fails_at("type", shown(name) + " is not an expression that is allowed here");
  }

  // REQUIRES: `json` is an object. `others`: keys that the caller has read.
  bool read_fields(const Json& json, const ObjectForm& form, void* object,
                   std::initializer_list<std::string_view> others) {
    std::size_t found = 0;
    for (const Field& field : form.fields) {
      const auto at = json.find(field.name);
      if (at == json.end()) {
        if (field.required()) return fails_at(field.name, "is missing");
        continue;
      }
      ++found;
      if (!read(*at, *field.form, writable(field.in(object)))) return within(field.name);
    }
    if (found + others.size() == json.size()) return true;
    for (const auto& [key, value] : json.items()) {
      if (std::ranges::find(form.fields, key, &Field::name) == form.fields.end() &&
          std::ranges::find(others, key) == others.end()) {
        return fails_at(key, "there is no such key");
      }
    }
    return true;
  }
};

// Puts the value together, and refuses what nlohmann's own parser lets pass: a key that stands
// twice, and depth without bounds. (Its parser with a callback, which could refuse them too, looks
// through the whole of an object or array again at the end of each of its members.)
class Builder final : public nlohmann::json_sax<Json> {
 public:
  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(number_integer_t value) override { return put(value); }
  bool number_unsigned(number_unsigned_t value) override { return put(value); }
  bool number_float(number_float_t value, const string_t& /*text*/) override { return put(value); }
  bool string(string_t& value) override { return put(std::move(value)); }
  bool binary(binary_t& value) override { return put(std::move(value)); }
  bool start_object(std::size_t /*size*/) override { return open(Json::object()); }
  bool start_array(std::size_t /*size*/) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    auto& members = open_.back()->get_ref<Json::object_t&>();
    const auto [at, is_new] = members.try_emplace(name);
    if (!is_new) return refuse(fmt::format("the key {} is twice in one object", shown(name)));
    member_ = &at->second;
    return true;
  }
  bool parse_error(std::size_t /*position*/, const std::string& /*token*/,
                   const nlohmann::detail::exception& error) override {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: ..."
    std::string_view message = error.what();
    if (const auto end = message.find("] "); end != std::string_view::npos) {
      message.remove_prefix(end + 2);
    }
    return refuse(std::string(message));
  }

  Json take() { return std::move(root_); }
  std::string take_problem() { return std::move(problem_); }

 private:
  bool put(Json value) {
    place() = std::move(value);
    return true;
  }
  bool open(Json value) {
    if (open_.size() >= kMaxDepth) {
      return refuse(fmt::format("brackets are nested more than {} deep", kMaxDepth));
    }
    Json& opened = place();
    opened = std::move(value);
    open_.push_back(&opened);
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }
  bool refuse(std::string problem) {
    problem_ = std::move(problem);
    return false;
  }
  // Where the next value belongs. What is open stays where it is: only the innermost grows.
  Json& place() {
    if (open_.empty()) return root_;
    if (open_.back()->is_object()) return *member_;
    return open_.back()->get_ref<Json::array_t&>().emplace_back();
  }

  Json root_;
  std::vector<Json*> open_;
  Json* member_ = nullptr;  // of the innermost object, after its key
  std::string problem_;
};

Result<Json> parse(std::string_view text) {
  Builder builder;
  if (Json::sax_parse(text.begin(), text.end(), &builder)) return builder.take();
  return fail(ErrorKind::Usage, builder.take_problem());
}

}  // namespace

Result<Snapshot> from_json(std::string_view text) {
  auto json = parse(text);
  if (!json) return std::unexpected(std::move(json).error());
  Reader reader;
  Snapshot snapshot;
  if (!reader.read_snapshot(*json, snapshot)) {
    const std::string_view path = reader.path;
    return fail(ErrorKind::Usage,
                path.empty() ? reader.what : fmt::format("{}: {}", path.substr(1), reader.what));
  }
  if (auto flaw = verify(snapshot.ruleset)) {
    return fail(ErrorKind::Usage, fmt::format("ruleset.{}: {}", flaw->path, flaw->what));
  }
  return snapshot;
}

}  // namespace rolewall::print
