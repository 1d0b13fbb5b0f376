// What was noted beside a table, chain, rule, set or object for people to read. A blank one (nft's
// `comment ""`) is one, too.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace rolewall::ruleset {

class Comment {
 public:
  Comment() = default;
  // Without text: none.
  Comment(std::string text) : text_(std::move(text)) {}
  Comment(std::string_view text) : text_(text) {}
  Comment(const char* text) : text_(text) {}
  // One that was read: blank where it has no text.
  static Comment written(std::string text) {
    Comment comment(std::move(text));
    comment.is_blank_ = comment.text_.empty();
    return comment;
  }

  bool exists() const { return is_blank_ || !text_.empty(); }
  bool empty() const { return text_.empty(); }  // none, or blank
  const std::string& text() const { return text_; }
  bool operator==(const Comment&) const = default;

 private:
  std::string text_;
  bool is_blank_ = false;
};

}  // namespace rolewall::ruleset
