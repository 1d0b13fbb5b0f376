// Writes one expression: its name, and its attributes within a nest. The counterpart of
// expr_attributes.h.
#pragma once

#include <linux/netfilter/nf_tables.h>

#include <optional>
#include <string_view>
#include <utility>

#include "netlink/encode.h"
#include "netlink/kernel_numbers.h"
#include "netlink/nft_data.h"

namespace rolewall::netlink {

class ExprWriter {
 public:
  explicit ExprWriter(std::string_view name) {
    writer_.text(NFTA_EXPR_NAME, name);
    nest_ = writer_.begin_nest(NFTA_EXPR_DATA);
  }

  ExprWriter& u8(std::uint16_t type, std::uint8_t value) {
    writer_.u8(type, value);
    return *this;
  }
  ExprWriter& be16(std::uint16_t type, std::uint16_t value) {
    writer_.be16(type, value);
    return *this;
  }
  ExprWriter& be32(std::uint16_t type, std::uint32_t value) {
    writer_.be32(type, value);
    return *this;
  }
  ExprWriter& be64(std::uint16_t type, std::uint64_t value) {
    writer_.be64(type, value);
    return *this;
  }
  ExprWriter& text(std::uint16_t type, std::string_view value) {
    writer_.text(type, value);
    return *this;
  }
  ExprWriter& bytes(std::uint16_t type, View value) {
    writer_.put(type, value);
    return *this;
  }
  template <class Enum>
  ExprWriter& number(std::uint16_t type, Enum value) {
    return be32(type, static_cast<std::uint32_t>(value));
  }
  ExprWriter& reg(std::uint16_t type, ruleset::Register index) {
    return be32(type, register_number(index));
  }
  ExprWriter& reg(std::uint16_t type, const std::optional<ruleset::Register>& index) {
    return index ? reg(type, *index) : *this;
  }
  // Left out where it is 0, as the kernel does.
  ExprWriter& flags(std::uint16_t type, std::uint32_t flags) {
    return flags == 0 ? *this : be32(type, flags);
  }
  ExprWriter& value(std::uint16_t type, const ruleset::Value& value) {
    put_value(writer_, type, {value.begin(), value.end()});
    return *this;
  }
  ExprWriter& verdict(std::uint16_t type, const ruleset::Verdict& verdict) {
    put_verdict(writer_, type, verdict);
    return *this;
  }
  ExprWriter& stateful(std::uint16_t single, std::uint16_t list,
                       const std::vector<ruleset::StatefulExpr>& exprs) {
    put_stateful(writer_, single, list, exprs);
    return *this;
  }

  Message finish() {
    writer_.end_nest(nest_);
    return std::move(bytes_);
  }

 private:
  Message bytes_;
  Writer writer_{bytes_};
  std::size_t nest_ = 0;
};

}  // namespace rolewall::netlink
