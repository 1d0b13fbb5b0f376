// A snapshot to JSON, written straight to the text: what is small stands on one line (an
// expression, an element), what is large has a line for each part, so that a diff of two files
// shows rules and elements.
#include <algorithm>
#include <string>
#include <variant>
#include <vector>

#include "base/overloaded.h"
#include "base/visit.h"
#include "print/hex.h"
#include "print/json_text.h"
#include "print/print.h"
#include "print/snapshot_fields.h"
#include "ruleset/expr.h"
#include "ruleset/names.h"
#include "ruleset/xt_match.h"
#include "ruleset/xt_target.h"

namespace rolewall::print {
namespace {

using namespace ruleset;  // NOLINT(google-build-using-namespace)

class Writer {
 public:
  std::string take() {
    out_ += '\n';
    return std::move(out_);
  }

  void write_snapshot(const Snapshot& snapshot) {
    open('{', true);
    key("kind");
    write(kSnapshotKind);
    key("version");
    write_number(Snapshot::kVersion);
    sets_ = snapshot.host.ipset_numbers;
    write_fields(snapshot_form(), &snapshot);
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

  void key(std::string_view name) {
    next();
    write(name);
    out_ += ": ";
  }

  // --- values ---

  void write(bool value) { out_ += value ? "true" : "false"; }

  template <class Number>
  void write_number(Number value) {
    out_ += std::to_string(value);
  }

  // A name in the kernel is any bytes; those that are no text are written {"hex": ...}.
  void write(std::string_view text) {
    if (append_quoted(out_, text)) return;
    out_ += "{\"hex\": ";
    write_hex({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
    out_ += '}';
  }
  void write(const std::string& text) { write(std::string_view(text)); }
  // In a list, "" is none: so a blank one is null.
  void write(const Comment& comment) {
    if (comment.exists() && comment.empty()) {
      out_ += "null";
    } else {
      write(comment.text());
    }
  }

  void write_hex(std::span<const std::uint8_t> bytes) {
    out_ += '"';
    append_hex(out_, bytes);
    out_ += '"';
  }
  void write(const Value& value) { write_hex({value.begin(), value.end()}); }
  void write(const Bytes& bytes) { write_hex(bytes); }

  void write(const Verdict& verdict) {
    std::string text{name_of(verdict.code)};
    if (!verdict.chain.empty()) {
      text += ' ';
      text += verdict.chain;
    } else if (verdict.code == VerdictCode::Queue) {
      text += ' ' + std::to_string(verdict.queue);
    }
    write(text);
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
      append_quoted_text(out_, rule);  // a rule's id is a comment of ours, hence text
      out_ += ": ";
      write(source_line_form(), &line);
    }
    close('}');
  }

  void write(const Elements& elements) {
    open('{', true);
    key("key_size");
    write_number(elements.key_size);
    if (elements.data_size != 0) {
      key("data_size");
      write_number(elements.data_size);
    }
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
    for (const Field& column : element_columns()) {
      const auto& form = std::get<ListForm>(*column.form);
      const void* list = column.in(&elements);
      if (form.size(list) == 0) continue;
      key(column.name);
      write_list(form, list, true);
    }
    if (elements.has_catch_all) {
      key("catch_all");
      open('{', false);
      key("verdict");
      write(elements.catch_all_verdict);
      key("data");
      write(elements.catch_all_data);
      if (!elements.catch_all_object.empty()) {
        key("object");
        write(elements.catch_all_object);
      }
      if (elements.catch_all_comment.exists()) {
        key("comment");
        write(elements.catch_all_comment);
      }
      close('}');
    }
    close('}');
  }

  // --- by form ---

  void write(const Form& form, const void* value) {
    visit_closed(Overloaded{[&](Leaf leaf) { write(leaf, value); },
                            [&](const NumberForm& number) { write(number, value); },
                            [&](const NameForm& name) { write(name, value); },
                            [&](const OptionalForm& optional) {
                              // write_fields leaves out what is absent.
                              if (const void* item = optional.get(value))
                                write(*optional.item, item);
                            },
                            [&](const ListForm& list) { write_list(list, value, list.lines); },
                            [&](const ObjectForm& object) {
                              open('{', object.lines);
                              write_fields(object, value);
                              close('}');
                            },
                            [&](const ChoiceForm& choice) { write(choice, value); }},
                 static_cast<const Form::variant&>(form));
  }

  void write(Leaf leaf, const void* value) {
    switch (leaf) {
      case Leaf::Boolean:
        return write(*static_cast<const bool*>(value));
      case Leaf::Text:
        return write(*static_cast<const std::string*>(value));
      case Leaf::Comment:
        return write(*static_cast<const Comment*>(value));
      case Leaf::Bytes:
        return write(*static_cast<const Bytes*>(value));
      case Leaf::Value:
        return write(*static_cast<const Value*>(value));
      case Leaf::Verdict:
        return write(*static_cast<const Verdict*>(value));
      case Leaf::Address:
        return write(*static_cast<const net::Address*>(value));
      case Leaf::Prefix:
        return write(*static_cast<const net::Prefix*>(value));
      case Leaf::AddressSet:
        return write(*static_cast<const net::AddressSet*>(value));
      case Leaf::Sources:
        return write(*static_cast<const SourceMap*>(value));
      case Leaf::Elements:
        return write(*static_cast<const Elements*>(value));
    }
  }

  void write(const NumberForm& form, const void* value) {
    if (form.is_signed) {
      write_number(signed_number(form, value));
    } else {
      write_number(unsigned_number(form, value));
    }
  }

  void write(const NameForm& form, const void* value) {
    const std::uint64_t number = unsigned_number(form.number, value);
    for (std::size_t i = 0; i < form.count(); ++i) {
      const NameForm::Row row = form.row(i);
      if (row.number == number) return write(row.name);
    }
    write(form.number, value);
  }

  void write_list(const ListForm& form, const void* list, bool lines) {
    open('[', lines);
    const std::size_t size = form.size(list);
    for (std::size_t i = 0; i < size; ++i) {
      next();
      write(*form.item, form.at(list, i));
    }
    close(']');
  }

  void write(const ChoiceForm& form, const void* value) {
    const ChoiceForm::Alternative& alternative = form.alternatives[form.index(value)];
    open('{', false);
    key("type");
    write(alternative.type);
    write_fields(*alternative.form, form.get(value));
    if (alternative.type == type_of<XtMatch>()) {
      write_words(*static_cast<const XtMatch*>(form.get(value)));
    } else if (alternative.type == type_of<XtTarget>()) {
      write_words(*static_cast<const XtTarget*>(form.get(value)));
    }
    close('}');
  }

  template <class Xt>
  static std::string_view type_of() {
    static const std::string_view kType = type_name(Expr(Xt()));
    return kType;
  }
  // For readers: the bytes in iptables' words. Nobody reads it again.
  template <class Xt>
  void write_words(const Xt& xt) {
    key(kXtWords);
    write(in_words(xt, family_ == Family::Ip6 ? XtFamily::Ipv6 : XtFamily::Ipv4, sets_));
  }

  void write_fields(const ObjectForm& form, const void* object) {
    for (const Field& field : form.fields) {
      const void* value = field.in(object);
      // A table's, which stands before its rules.
      const auto* name = std::get_if<NameForm>(&static_cast<const Form::variant&>(*field.form));
      if (name != nullptr && field.name == "family") {
        family_ = static_cast<Family>(unsigned_number(name->number, value));
      }
      if (!field.required() && field.same(value, field.in(form.usual))) continue;
      key(field.name);
      write(*field.form, value);
    }
  }

  struct Scope {
    bool lines;
    bool first;
  };
  std::string out_;
  std::vector<Scope> scopes_;
  Family family_ = Family::Ip;  // of the table that is being written
  ruleset::IpsetNumbers sets_;  // of the host
};

}  // namespace

std::string to_json(const Snapshot& snapshot) {
  Writer writer;
  writer.write_snapshot(snapshot);
  return writer.take();
}

}  // namespace rolewall::print
