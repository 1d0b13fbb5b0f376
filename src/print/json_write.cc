// A snapshot to JSON, written straight to the text: what is small stands on one line (an
// expression, an element), what is large has a line for each part, so that a diff of two files
// shows rules and elements.
#include <fmt/format.h>

#include <algorithm>
#include <concepts>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "print/hex.h"
#include "print/print.h"
#include "print/snapshot_fields.h"
#include "ruleset/expr.h"
#include "ruleset/names.h"

namespace rolewall::print {
namespace {

template <class T>
concept Described = requires { Fields<T>::kFields; };
template <class T>
concept Named = requires(T value) { ruleset::name_rows(value); };
template <class T>
constexpr bool kHasLines = requires { Fields<T>::kLines; };

class Writer {
 public:
  std::string take() {
    out_ += '\n';
    return std::move(out_);
  }

  void write_snapshot(const Snapshot& snapshot) {
    open('{', true);
    member("kind", kSnapshotKind);
    member("version", Snapshot::kVersion);
    write_fields(snapshot);
    close('}');
  }

 private:
  // --- layout ---

  void open(char bracket, bool lines) {
    out_ += bracket;
    scopes_.push_back({lines && (scopes_.empty() || scopes_.back().lines), true});
  }

  // Before each item of the innermost bracket.
  void next() {
    Scope& scope = scopes_.back();
    if (!scope.first) out_ += scope.lines ? "," : ", ";
    scope.first = false;
    if (scope.lines) new_line(scopes_.size());
  }

  void close(char bracket) {
    const Scope scope = scopes_.back();
    scopes_.pop_back();
    if (scope.lines && !scope.first) new_line(scopes_.size());
    out_ += bracket;
  }

  void new_line(std::size_t depth) {
    out_ += '\n';
    out_.append(depth, ' ');
  }

  template <class T>
  void member(std::string_view name, const T& value) {
    key(name);
    write(value);
  }

  void key(std::string_view name) {
    next();
    write(name);
    out_ += ": ";
  }

  // --- values ---

  void write(std::same_as<bool> auto value) { out_ += value ? "true" : "false"; }

  template <class Number>
    requires(std::is_integral_v<Number> && !std::is_same_v<Number, bool>)
  void write(Number value) {
    fmt::format_to(std::back_inserter(out_), "{}", value);
  }

  // A name in the kernel is any bytes; those that are no text are written {"hex": ...}.
  void write(std::string_view text) {
    const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
      return c >= ' ' && c <= '~' && c != '"' && c != '\\';
    });
    if (plain) {
      out_ += '"';
      out_ += text;
      out_ += '"';
      return;
    }
    try {
      out_ += nlohmann::json(text).dump();
    } catch (const nlohmann::json::type_error&) {
      out_ += "{\"hex\": ";
      write_hex({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
      out_ += '}';
    }
  }
  void write(const std::string& text) { write(std::string_view(text)); }

  void write_hex(std::span<const std::uint8_t> bytes) {
    out_ += '"';
    append_hex(out_, bytes);
    out_ += '"';
  }
  void write(const Value& value) { write_hex({value.begin(), value.end()}); }
  void write(const Bytes& bytes) { write_hex(bytes); }

  template <Named Enum>
  void write(Enum value) {
    const std::string_view name = name_of(value);
    if (name.empty()) {
      write(static_cast<std::underlying_type_t<Enum>>(value));
    } else {
      write(name);
    }
  }

  void write(const Verdict& verdict) {
    std::string text{name_of(verdict.code)};
    if (!verdict.chain.empty()) {
      text += ' ';
      text += verdict.chain;
    } else if (verdict.code == VerdictCode::Queue) {
      text += fmt::format(" {}", verdict.queue);
    }
    write(text);
  }

  template <class T>
  void write(const std::optional<T>& value) {
    if (value) write(*value);  // write_fields leaves out what is absent
  }

  template <class T>
  void write(const std::vector<T>& items) {
    write_list(items, Described<T> && !std::is_same_v<T, KeyField>);
  }
  // A rule's expressions: a line for each. Expr is no Described, its alternatives are.
  void write(const std::vector<Expr>& items) { write_list(items, true); }

  template <class T>
  void write_list(const std::vector<T>& items, bool lines) {
    open('[', lines);
    for (const T& item : items) {
      next();
      write(item);
    }
    close(']');
  }

  template <class... Alternatives>
  void write(const std::variant<Alternatives...>& expr) {
    std::visit(
        [this]<class T>(const T& alternative) {
          open('{', false);
          member("type", Fields<T>::kType);
          write_fields(alternative);
          close('}');
        },
        expr);
  }

  void write(const net::Address& address) { write(net::format(address)); }
  void write(const net::Prefix& prefix) { write(net::format(prefix)); }

  void write(const net::AddressSet& set) {
    open('[', false);
    const auto write_intervals = [this](const auto& intervals) {
      for (const auto& interval : intervals) {
        next();
        write(net::format(interval));
      }
    };
    write_intervals(set.ipv4.intervals());
    write_intervals(set.ipv6.intervals());
    close(']');
  }

  void write(const SourceMap& sources) {
    open('{', true);
    for (const auto& [rule, line] : sources) {
      next();
      // A rule's id is a comment of ours, hence text.
      out_ += nlohmann::json(rule).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
      out_ += ": ";
      write(line);
    }
    close('}');
  }

  template <class T>
  void column(std::string_view name, const std::vector<T>& items) {
    if (items.empty()) return;
    key(name);
    write_list(items, true);
  }

  void write(const Elements& elements) {
    open('{', true);
    member("key_size", elements.key_size);
    if (elements.data_size != 0) member("data_size", elements.data_size);
    if (elements.count() > 0) {
      const bool ranges = !elements.key_ends.empty();
      key(ranges ? "ranges" : "keys");
      open('[', true);
      for (std::size_t i = 0; i < elements.count(); ++i) {
        next();
        out_ += '"';
        append_hex(out_, elements.key(i));
        if (ranges && !std::ranges::equal(elements.key(i), elements.key_end(i))) {
          out_ += '-';
          append_hex(out_, elements.key_end(i));
        }
        out_ += '"';
      }
      close(']');
    }
    if (!elements.data.empty()) {
      key("data");
      open('[', true);
      for (std::size_t i = 0; i < elements.count(); ++i) {
        next();
        write_hex(elements.value(i));
      }
      close(']');
    }
    column("verdicts", elements.verdicts);
    column("objects", elements.objects);
    column("timeouts_ms", elements.timeouts_ms);
    column("expirations_ms", elements.expirations_ms);
    column("exprs", elements.exprs);
    column("comments", elements.comments);
    if (elements.has_catch_all) {
      key("catch_all");
      open('{', false);
      member("verdict", elements.catch_all_verdict);
      member("data", elements.catch_all_data);
      if (!elements.catch_all_object.empty()) member("object", elements.catch_all_object);
      if (!elements.catch_all_comment.empty()) member("comment", elements.catch_all_comment);
      close('}');
    }
    close('}');
  }

  template <Described T>
  void write(const T& object) {
    open('{', kHasLines<T>);
    write_fields(object);
    close('}');
  }

  template <class T>
  void write_fields(const T& object) {
    [[maybe_unused]] static const T kDefault{};
    std::apply(
        [&]([[maybe_unused]] const auto&... field) {
          [[maybe_unused]] const auto write_field = [&](const auto& f) {
            if (f.required || object.*f.member != kDefault.*f.member) {
              member(f.name, object.*f.member);
            }
          };
          (write_field(field), ...);
        },
        Fields<T>::kFields);
  }

  struct Scope {
    bool lines;
    bool first;
  };
  std::string out_;
  std::vector<Scope> scopes_;
};

}  // namespace

std::string to_json(const Snapshot& snapshot) {
  Writer writer;
  writer.write_snapshot(snapshot);
  return writer.take();
}

}  // namespace rolewall::print
