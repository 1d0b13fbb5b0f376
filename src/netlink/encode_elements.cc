#include <fmt/format.h>
#include <libnftnl/udata.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <algorithm>

#include "netlink/data_types.h"
#include "netlink/encode.h"
#include "netlink/kernel_numbers.h"
#include "netlink/nft_data.h"
#include "ruleset/stateful.h"

namespace rolewall::netlink {
namespace {

using namespace ruleset;

// Splits the stream of elements over messages.
class ElementStream {
 public:
  ElementStream(const Table& table, const Set& set, ElementVerb verb,
                const std::function<void(View)>& sink)
      : table_(table), set_(set), verb_(verb), sink_(sink), writer_(buffer_) {}

  // Writes one element with `content`, in a message that has room for it.
  template <class Content>
  void element(Content content) {
    if (buffer_.empty()) open();
    const std::size_t begin = writer_.begin_nest(NFTA_LIST_ELEM);
    content(writer_);
    writer_.end_nest(begin);
    if (writer_.size() - list_ > kMaxElementBytes) close();
  }

  // Writes one that is encoded already.
  void element(View encoded) {
    if (buffer_.empty()) open();
    buffer_.insert(buffer_.end(), encoded.begin(), encoded.end());
    if (writer_.size() - list_ > kMaxElementBytes) close();
  }

  void close() {
    if (buffer_.empty()) return;
    writer_.end_nest(list_);
    writer_.end_message(message_);
    sink_(buffer_);
    buffer_.clear();
  }

 private:
  void open() {
    const bool removes = verb_ == ElementVerb::Remove;
    const int type = removes ? NFT_MSG_DELSETELEM : NFT_MSG_NEWSETELEM;
    const int flags = removes ? 0 : NLM_F_CREATE | NLM_F_EXCL;
    message_ = writer_.begin_message(nfnetlink_type(NFNL_SUBSYS_NFTABLES, type),
                                     static_cast<std::uint16_t>(flags),
                                     static_cast<std::uint8_t>(table_.family));
    writer_.text(NFTA_SET_ELEM_LIST_TABLE, table_.name);
    writer_.text(NFTA_SET_ELEM_LIST_SET, set_.name);
    list_ = writer_.begin_nest(NFTA_SET_ELEM_LIST_ELEMENTS);
  }

  const Table& table_;
  const Set& set_;
  ElementVerb verb_;
  const std::function<void(View)>& sink_;
  std::vector<std::uint8_t> buffer_;
  Writer writer_;
  std::size_t message_ = 0;
  std::size_t list_ = 0;
};

// What an element has besides its key. `open`: nothing ends its interval.
void put_row(Writer& writer, SetKind kind, const Elements& elements, std::size_t row, bool open) {
  switch (kind) {
    case SetKind::Set:
      break;
    case SetKind::Map:
      put_value(writer, NFTA_SET_ELEM_DATA, elements.value(row));
      break;
    case SetKind::VerdictMap:
      put_verdict(writer, NFTA_SET_ELEM_DATA, elements.verdicts[row]);
      break;
    case SetKind::ObjectMap:
      writer.text(NFTA_SET_ELEM_OBJREF, elements.objects[row]);
      break;
  }
  if (!elements.timeouts_ms.empty() && elements.timeouts_ms[row] != 0) {
    const std::uint64_t timeout = elements.timeouts_ms[row];
    writer.be64(NFTA_SET_ELEM_TIMEOUT, timeout == ruleset::kNeverEnds ? 0 : timeout);
  }
  if (!elements.expirations_ms.empty() && elements.expirations_ms[row] != 0) {
    writer.be64(NFTA_SET_ELEM_EXPIRATION, elements.expirations_ms[row]);
  }
  UserData user_data;
  if (!elements.comments.empty() && elements.comments[row].exists()) {
    user_data.put_comment(NFTNL_UDATA_SET_ELEM_COMMENT, elements.comments[row]);
  }
  if (open) user_data.put_u32(NFTNL_UDATA_SET_ELEM_FLAGS, NFTNL_SET_ELEM_F_INTERVAL_OPEN);
  if (!user_data.bytes().empty()) writer.put(NFTA_SET_ELEM_USERDATA, user_data.bytes());
  if (!elements.exprs.empty())
    put_stateful(writer, NFTA_SET_ELEM_EXPR, NFTA_SET_ELEM_EXPRESSIONS, elements.exprs[row]);
}

// The least key above `key`; false where there is none.
bool successor(View key, std::vector<std::uint8_t>& next) {
  next.assign(key.begin(), key.end());
  for (std::size_t i = next.size(); i-- > 0;) {
    if (++next[i] != 0) return true;
  }
  return false;
}

// Elements that are keys and nothing else differ in their keys alone: of a million, one is encoded
// and the others are copies of it.
class KeyAlone {
 public:
  // `flags`: 0 or NFT_SET_ELEM_INTERVAL_END.
  KeyAlone(std::size_t key_size, std::uint32_t flags) {
    Writer writer(encoded_);
    const std::size_t begin = writer.begin_nest(NFTA_LIST_ELEM);
    if (flags != 0) writer.be32(NFTA_SET_ELEM_FLAGS, flags);
    put_value(writer, NFTA_SET_ELEM_KEY, std::vector<std::uint8_t>(key_size));
    writer.end_nest(begin);
    key_ = encoded_.size() - aligned(key_size);
  }

  View with(View key) {
    std::ranges::copy(key, encoded_.begin() + static_cast<std::ptrdiff_t>(key_));
    return encoded_;
  }

 private:
  std::vector<std::uint8_t> encoded_;
  std::size_t key_ = 0;
};

// Whether the rows of a set are keys alone.
bool has_keys_alone(const Set& set, const Elements& elements) {
  return set.kind == SetKind::Set && elements.timeouts_ms.empty() &&
         elements.expirations_ms.empty() && elements.comments.empty() && elements.exprs.empty();
}

// As nft does it: an end at zero unless an interval begins there, then a start and, past the last
// key, an end for each. The end at zero comes with the set and stays: no lookup needs it.
void put_intervals(ElementStream& stream, const Set& set, const Elements& elements,
                   ElementVerb verb) {
  const std::vector<std::uint8_t> zero(elements.key_size, 0);
  const bool keys_alone = has_keys_alone(set, elements);
  KeyAlone start(elements.key_size, 0);
  KeyAlone past(elements.key_size, NFT_SET_ELEM_INTERVAL_END);
  if (verb == ElementVerb::Fill && elements.count() != 0 &&
      !std::ranges::equal(elements.key(0), zero)) {
    stream.element(past.with(zero));
  }
  std::vector<std::uint8_t> end;
  for (std::size_t row = 0; row < elements.count(); ++row) {
    const bool ends = successor(elements.key_end(row), end);
    if (keys_alone && ends) {
      stream.element(start.with(elements.key(row)));
    } else {
      stream.element([&](Writer& writer) {
        put_value(writer, NFTA_SET_ELEM_KEY, elements.key(row));
        if (verb != ElementVerb::Remove) put_row(writer, set.kind, elements, row, !ends);
      });
    }
    if (ends) stream.element(past.with(end));
  }
}

void put_singles(ElementStream& stream, const Set& set, const Elements& elements,
                 ElementVerb verb) {
  if (!set.interval && has_keys_alone(set, elements)) {
    KeyAlone element(elements.key_size, 0);
    for (std::size_t row = 0; row < elements.count(); ++row) {
      stream.element(element.with(elements.key(row)));
    }
    return;
  }
  for (std::size_t row = 0; row < elements.count(); ++row) {
    stream.element([&](Writer& writer) {
      put_value(writer, NFTA_SET_ELEM_KEY, elements.key(row));
      if (set.interval) put_value(writer, NFTA_SET_ELEM_KEY_END, elements.key_end(row));
      if (verb != ElementVerb::Remove) put_row(writer, set.kind, elements, row, false);
    });
  }
}

void put_catch_all(ElementStream& stream, const Set& set, const Elements& elements,
                   ElementVerb verb) {
  stream.element([&](Writer& writer) {
    writer.be32(NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_CATCHALL);
    if (verb == ElementVerb::Remove) return;
    if (set.kind == SetKind::VerdictMap)
      put_verdict(writer, NFTA_SET_ELEM_DATA, elements.catch_all_verdict);
    if (set.kind == SetKind::Map) {
      put_value(writer, NFTA_SET_ELEM_DATA, elements.catch_all_data);
    }
    if (set.kind == SetKind::ObjectMap) {
      writer.text(NFTA_SET_ELEM_OBJREF, elements.catch_all_object);
    }
    if (!elements.catch_all_comment.exists()) return;
    UserData user_data;
    user_data.put_comment(NFTNL_UDATA_SET_ELEM_COMMENT, elements.catch_all_comment);
    writer.put(NFTA_SET_ELEM_USERDATA, user_data.bytes());
  });
}

template <class T>
bool column_fits(const std::vector<T>& column, std::size_t rows, bool required) {
  return column.size() == rows || (column.empty() && !required);
}

// Why the columns do not make up elements of this set; "" if they do.
std::string misfit(const Set& set, const Elements& elements) {
  const std::size_t rows = elements.count();
  const bool map = set.kind == SetKind::Map;
  if (rows != 0 && elements.key_size != set.key_size()) return "its keys are of another size";
  if (elements.keys.size() != rows * elements.key_size) return "its keys are cut short";
  if (!column_fits(elements.key_ends, rows * elements.key_size, false)) {
    return "it has more or fewer interval ends than elements";
  }
  if (map && rows != 0 && elements.data_size != set.data.size) return "its data is of another size";
  if (!column_fits(elements.data, map ? rows * elements.data_size : 0, map) ||
      !column_fits(elements.verdicts, rows, set.kind == SetKind::VerdictMap) ||
      !column_fits(elements.objects, rows, set.kind == SetKind::ObjectMap) ||
      !column_fits(elements.timeouts_ms, rows, false) ||
      !column_fits(elements.expirations_ms, rows, false) ||
      !column_fits(elements.exprs, rows, false) || !column_fits(elements.comments, rows, false)) {
    return "its columns differ in length";
  }
  for (const Comment& comment : elements.comments) {
    if (comment.text().size() > kMaxComment) {
      return "an element's comment is too long: " + comment.text();
    }
  }
  for (const Verdict& verdict : elements.verdicts) {
    if (names_a_chain(verdict) && (verdict.chain.empty() || verdict.chain.size() > kMaxName)) {
      return "an element's chain has no name of 1 to 255 bytes: " + verdict.chain;
    }
  }
  for (const std::string& object : elements.objects) {
    if (object.empty() || object.size() > kMaxName) return "an element's object has no name";
  }
  for (const std::vector<StatefulExpr>& exprs : elements.exprs) {
    if (auto checked = check_stateful("an element", exprs); !checked) {
      return std::move(checked).error().message;
    }
  }
  return "";
}

}  // namespace

std::size_t encoded_size(const Elements& elements) {
  constexpr std::size_t kHeaders = 12;  // the element's, the key's nest and its value
  constexpr std::size_t kFlags = 8;     // of what ends a range
  constexpr std::size_t kMessage = 1024;
  const std::size_t one = kHeaders + aligned(elements.key_size);
  const std::size_t bytes =
      elements.count() * (elements.key_ends.empty() ? one : one + one + kFlags);
  return bytes + (bytes / kMaxElementBytes + 1) * kMessage;
}

Result<void> encode_elements(const Table& table, const Set& set, const Elements& elements,
                             ElementVerb verb, const std::function<void(View)>& sink) {
  if (std::string reason = misfit(set, elements); !reason.empty()) {
    return fail(ErrorKind::Usage, fmt::format("set {}: {}", set.name, reason));
  }
  ElementStream stream(table, set, verb, sink);
  if (set.interval && set.key.size() == 1) {
    put_intervals(stream, set, elements, verb);
  } else {
    put_singles(stream, set, elements, verb);
  }
  if (elements.has_catch_all) put_catch_all(stream, set, elements, verb);
  stream.close();
  return {};
}

}  // namespace rolewall::netlink
