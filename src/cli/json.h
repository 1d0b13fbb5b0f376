// A JSON value, as verbs build it for --format json: docs/json.md has the shapes. nlohmann-json,
// which knows how text is escaped and read, is behind it, in json.cc alone: its headers cost each
// file that includes them three seconds and more to compile.
//
//   Json json{{"version", kJsonVersion}, {"verb", "bans"}, {"entries", Json::array()}};
//   json["entries"].push_back({{"kind", "ban"}, {"address", "192.0.2.7"}});
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace rolewall::cli {

// The version of the shapes: raised where a reader of the old one would misread the new one.
inline constexpr int kJsonVersion = 1;

class Json {
 public:
  struct Member;
  using Array = std::vector<Json>;
  using Object = std::vector<Member>;  // in the order in which its members were added

  // null, which its first member makes an object, and its first element an array.
  Json();
  Json(std::initializer_list<Member> members);
  static Json array();

  Json(std::string text);
  Json(std::string_view text);
  Json(const char* text);
  Json(const std::vector<std::string>& texts);
  // By their exact types: a pointer is no bool, and no number is cut short.
  Json(std::same_as<bool> auto value) : Json(Truth{value}) {}
  Json(std::signed_integral auto number) : Json(Signed{number}) {}
  template <std::unsigned_integral Number>
    requires(!std::same_as<Number, bool>)
  Json(Number number) : Json(Unsigned{number}) {}

  Json(const Json&);
  Json(Json&&) noexcept;
  Json& operator=(const Json&);
  Json& operator=(Json&&) noexcept;
  ~Json();

  // The member of this name, added behind the others where there is none. REQUIRES: an object, or
  // null.
  Json& operator[](std::string_view name);
  // REQUIRES: an array, or null.
  void push_back(Json element);

  // For reading: null or empty where there is none, or where it is of another kind.
  const Json* find(std::string_view name) const;
  std::string text(std::string_view name) const;
  std::optional<std::uint64_t> number(std::string_view name) const;
  bool is_true(std::string_view name) const;
  const Array& elements() const;

  // On one line. Bytes that are not UTF-8 are replaced.
  std::string dump() const;

 private:
  // What holds Members is made where Member is known: in json.cc.
  struct Truth {
    bool value;
  };
  struct Signed {
    std::int64_t number;
  };
  struct Unsigned {
    std::uint64_t number;
  };
  explicit Json(Truth truth);
  explicit Json(Signed number);
  explicit Json(Unsigned number);

  void dump_to(std::string& line) const;

  std::variant<std::monostate, bool, std::int64_t, std::uint64_t, std::string, Array, Object>
      value_;
};

struct Json::Member {
  std::string name;
  Json value;
};

// What dump() wrote; absent where `text` is no JSON.
std::optional<Json> parse_json(std::string_view text);

// On standard output, on one line.
void print(const Json& json);

}  // namespace rolewall::cli
