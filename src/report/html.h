// HTML in which text is always data. Names of elements and attributes are words of the program's
// own source; whatever else is written (a policy's names, comments, lines) goes through one
// function that escapes it. There is no way to put markup in as text.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

namespace rolewall::report {

// Text as it may stand in an element and in an attribute's quotes: markup's five characters become
// references; what is not UTF-8, a control character or a mark that turns the direction of writing
// becomes visible: "\u{202e}".
std::string escaped(std::string_view text);

// A name of an element or attribute: a literal, so that no data becomes one.
class Word {
 public:
  consteval Word(const char* name) : name_(name) {}
  std::string_view view() const { return name_; }

 private:
  std::string_view name_;
};

struct Attribute {
  Word name;
  std::string value;  // as data; empty ones are left out
};
using Attributes = std::initializer_list<Attribute>;

// The page's one style sheet, and its SHA-256 in base64, by which the page permits it. Both are
// written by the build, from style.css.
struct Sheet {
  std::string_view text;
  std::string_view hash;
};
extern const Sheet kSheet;

class Html {
 public:
  // Begins with the document's type.
  Html() : out_("<!DOCTYPE html>\n") {}

  // An element that is open until this ends.
  class [[nodiscard]] Element {
   public:
    ~Element() { html_.close(tag_); }
    Element(const Element&) = delete;
    Element& operator=(const Element&) = delete;

   private:
    friend class Html;
    Element(Html& html, Word tag) : html_(html), tag_(tag) {}
    Html& html_;
    Word tag_;
  };
  Element in(Word tag, Attributes attributes = {});

  // An element with this text alone; one that has no end (meta).
  void leaf(Word tag, std::string_view text, Attributes attributes = {});
  void lone(Word tag, Attributes attributes);
  void text(std::string_view text) { out_ += escaped(text); }
  void style(const Sheet& sheet);

  std::string take() { return std::move(out_); }

 private:
  void open(Word tag, Attributes attributes);
  void close(Word tag);
  std::string out_;
};

}  // namespace rolewall::report
