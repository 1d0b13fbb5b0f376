#include "eval/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <span>
#include <utility>

#include "base/overloaded.h"
#include "base/visit.h"
#include "eval/render.h"
#include "ruleset/expr.h"
#include "ruleset/name_prefix.h"
#include "ruleset/names.h"
#include "ruleset/registers.h"
#include "ruleset/xt_match.h"
#include "ruleset/xt_target.h"

namespace rolewall::eval {
namespace {

using ruleset::CmpOp;
using ruleset::Expr;
using ruleset::kRegisterCount;

constexpr std::size_t kNameSize = 16;   // IFNAMSIZ
constexpr std::size_t kMostListed = 6;  // elements of a set, before "of 1000"

// What a register holds, as the rule's loads put it there.
struct Operand {
  Field field{"a register", Format::Hex};
  std::optional<ruleset::Bytes> mask;
  ruleset::Bytes whole;  // the value before a mask
  std::optional<ruleset::Payload> load{};
};
using Operands = std::array<Operand, kRegisterCount>;

ByteSpan value_at(ByteSpan registers, ruleset::Register first, std::size_t size) {
  const std::size_t at = std::size_t{first} * 4;
  return registers.subspan(at, std::min(size, registers.size() - at));
}

// Re-reads what a load gave, since a mask mostly overwrites it.
ruleset::Bytes loaded(const ruleset::Payload& load, const Frame& frame) {
  std::size_t start = load.offset;
  if (load.base == ruleset::PayloadBase::Transport) start += frame.dissection.transport;
  const bool plain =
      load.base == ruleset::PayloadBase::Network || load.base == ruleset::PayloadBase::Transport;
  if (!plain || !readable(frame.bytes, start, load.length)) return {};
  const ByteSpan bytes = frame.bytes.subspan(start, load.length);
  return {bytes.begin(), bytes.end()};
}

ruleset::Bytes host_order(std::uint32_t number) {
  ruleset::Bytes bytes(4);
  std::memcpy(bytes.data(), &number, 4);
  return bytes;
}

ruleset::Bytes loaded(const ruleset::Ct& load, const Frame& frame) {
  namespace ct_state = ruleset::ct_state;
  if (load.key != ruleset::CtKey::State) return {};
  switch (frame.flow.tracking) {
    case Tracking::None:
      return host_order(ct_state::kInvalid);
    case Tracking::Untracked:
      return host_order(ct_state::kUntracked);
    case Tracking::Entry:
      return host_order(frame.flow.state);
  }
  return {};
}

// As render(), and devices by their names, where the host knows them.
std::string shown(const Field& field, ByteSpan value, const Frame& frame) {
  if (field.format != Format::Device || value.size() != sizeof(std::uint32_t)) {
    return render(field, value);
  }
  std::uint32_t index = 0;
  std::memcpy(&index, value.data(), sizeof(index));
  if (index == 0) {  // its number is not known, or there is none
    const std::string_view device = field.name == "oif" ? frame.out_device : frame.in_device;
    return device.empty() ? "none" : std::string(device);
  }
  if (index == 1) return std::string(kLoopbackDevice);
  for (const ruleset::Interface& interface : frame.host->interfaces) {
    if (interface.index == index) return interface.device;
  }
  return fmt::format("the device of index {}", index);
}

bool all_zero(ByteSpan value) {
  return std::ranges::all_of(value, [](std::uint8_t byte) { return byte == 0; });
}

// Where the mask leaves one field of the loaded bytes: that field, without a mask.
void name_bits(Operand& operand, const ruleset::BitwiseMask& op, const Frame& frame) {
  if (!operand.load || !operand.mask || !all_zero({op.xor_with.begin(), op.length})) return;
  Field field = payload_field(*operand.load, *operand.mask, frame.ipv6, frame.dissection.protocol);
  if (field.name.starts_with('@')) return;
  operand.field = std::move(field);
  operand.mask.reset();
}

// Follows the rule's loads up to the expression that broke.
Operands follow(std::span<const Expr> exprs, const Frame& frame) {
  Operands operands;
  const auto name = [&](ruleset::Register to, const char* what, Format format = Format::Hex) {
    operands[to] = {{what, format}, std::nullopt, {}};
  };
  for (const Expr& expr : exprs) {
    visit_closed(
        Overloaded{
            [&](const ruleset::Payload& load) {
              operands[load.destination] = {
                  payload_field(load, {}, frame.ipv6, frame.dissection.protocol), std::nullopt,
                  loaded(load, frame), load};
            },
            [&](const ruleset::Meta& load) {
              operands[load.destination] = {meta_field(load.key), std::nullopt, {}};
            },
            [&](const ruleset::Ct& load) {
              operands[load.destination] = {ct_field(load.key, frame.ipv6), std::nullopt,
                                            loaded(load, frame)};
            },
            [&](const ruleset::Immediate& load) {
              operands[load.destination] = {{"a constant", Format::Hex}, std::nullopt, {}};
            },
            [&](const ruleset::BitwiseMask& op) {
              Operand operand = operands[op.source];
              operand.mask = ruleset::Bytes(op.mask.begin(), op.mask.begin() + op.length);
              name_bits(operand, op, frame);
              operands[op.destination] = operand;
            },
            [&](const ruleset::BitwiseShift& op) { operands[op.destination] = {}; },
            [&](const ruleset::Byteorder& op) {
              // From the host's order to the network's, for comparisons by size.
              Operand operand = operands[op.source];
              operand.field.format = in_network_order(operand.field.format);
              operands[op.destination] = operand;
            },
            [&](const ruleset::Lookup& lookup) {
              if (lookup.result == ruleset::LookupResult::Data) {
                operands[lookup.destination] = {
                    {fmt::format("the value of @{}", lookup.set), Format::Hex}, std::nullopt, {}};
              }
            },
            [](const ruleset::Cmp&) {},
            [](const ruleset::Range&) {},
            [](const ruleset::Counter&) {},
            [](const ruleset::Limit&) {},
            [](const ruleset::Connlimit&) {},
            [](const ruleset::Quota&) {},
            [](const ruleset::Last&) {},
            [](const ruleset::Dynset&) {},
            [](const ruleset::ImmediateVerdict&) {},
            [](const ruleset::MetaSet&) {},
            [](const ruleset::CtSet&) {},
            [](const ruleset::Log&) {},
            [](const ruleset::Reject&) {},
            [](const ruleset::Notrack&) {},
            [&](const ruleset::Exthdr& load) {
              operands[load.destination] = {exthdr_field(load), std::nullopt, {}};
            },
            [&](const ruleset::Fib& load) { name(load.destination, "fib"); },
            [&](const ruleset::Rt& load) { name(load.destination, "rt"); },
            [&](const ruleset::Socket& load) { name(load.destination, "socket"); },
            [&](const ruleset::Osf& load) { name(load.destination, "osf", Format::Name); },
            [&](const ruleset::Numgen& load) {
              name(load.destination, "numgen", Format::HostNumber);
            },
            [&](const ruleset::JenkinsHash& load) {
              name(load.destination, "jhash", Format::HostNumber);
            },
            [&](const ruleset::SymmetricHash& load) {
              name(load.destination, "symhash", Format::HostNumber);
            },
            [&](const ruleset::Tunnel& load) { name(load.destination, "tunnel"); },
            [&](const ruleset::Xfrm& load) { name(load.destination, "ipsec"); },
            [&](const ruleset::BitwiseRegisters& op) { operands[op.destination] = {}; },
            [](const ruleset::PayloadWrite&) {},
            [](const ruleset::ExthdrWrite&) {},
            [](const ruleset::ExthdrReset&) {},
            [](const ruleset::Nat&) {},
            [](const ruleset::Masquerade&) {},
            [](const ruleset::Redirect&) {},
            [](const ruleset::Tproxy&) {},
            [](const ruleset::Synproxy&) {},
            [](const ruleset::Dup&) {},
            [](const ruleset::Fwd&) {},
            [](const ruleset::ObjectRef&) {},
            [](const ruleset::ObjectLookup&) {},
            [](const ruleset::XtMatch&) {},
            [](const ruleset::XtTarget&) {},
            [](const ruleset::Unsupported&) {}},
        expr);
  }
  return operands;
}

// The prefix length of a mask that is one.
std::optional<unsigned> prefix_length(const ruleset::Bytes& mask) {
  unsigned length = 0;
  bool ended = false;
  for (const std::uint8_t byte : mask) {
    const auto ones = static_cast<unsigned>(std::countl_one(byte));
    if (static_cast<std::uint8_t>(byte << ones) != 0 || (ended && byte != 0)) return std::nullopt;
    length += ones;
    ended |= ones != 8;
  }
  return length;
}

std::string compared(const ruleset::Cmp& cmp, const Operand& operand, ByteSpan registers,
                     const Frame& frame) {
  const std::string& name = operand.field.name;
  const Format format = operand.field.format;
  const ByteSpan wanted(cmp.value.begin(), cmp.value.size);
  // A comparison with "eth*" looks at three bytes of a name, which is shown whole.
  const std::size_t size = format == Format::Name ? kNameSize : cmp.value.size;
  const ByteSpan is = value_at(registers, cmp.source, size);
  if (operand.mask && is_address(format) && !operand.whole.empty()) {
    if (const auto length = prefix_length(*operand.mask)) {
      return fmt::format("{} is {}, {}in {}/{}", name, render(format, operand.whole),
                         cmp.op == CmpOp::Eq ? "not " : "", render(format, wanted), *length);
    }
  }
  if (operand.mask && is_flags(format)) {
    if (cmp.op == CmpOp::Neq && all_zero(wanted)) {
      return fmt::format("{} is {}, not {}", name,
                         render(format, operand.whole.empty() ? is : ByteSpan(operand.whole)),
                         render(format, *operand.mask));
    }
    return fmt::format(
        "of {}, {} has {}, {}{}", render(format, *operand.mask), name, render(format, is),
        cmp.op == CmpOp::Eq ? "not " : "which is excluded: ", render(format, wanted));
  }
  // Likewise a prefix of whole bytes, with an address.
  if (is_address(format) && !operand.mask && operand.load &&
      (cmp.op == CmpOp::Eq || cmp.op == CmpOp::Neq)) {
    ruleset::Payload load = *operand.load;
    load.length = format == Format::Ipv4Address ? 4 : 16;
    const ruleset::Bytes address = loaded(load, frame);
    if (wanted.size() < load.length && !address.empty()) {
      return fmt::format("{} is {}, {}in {}", name, render(format, address),
                         cmp.op == CmpOp::Eq ? "not " : "", render(format, wanted));
    }
  }
  const std::string subject =
      operand.mask ? fmt::format("{} & {}", name, render(Format::Hex, *operand.mask)) : name;
  const std::string value = shown(operand.field, is, frame);
  const std::string bound = shown(operand.field, wanted, frame);
  switch (cmp.op) {
    case CmpOp::Eq:
      return fmt::format("{} is {}, not {}", subject, value, bound);
    case CmpOp::Neq:
      return fmt::format("{} is {}, which is excluded", subject, value);
    case CmpOp::Lt:
      return fmt::format("{} is {}, not below {}", subject, value, bound);
    case CmpOp::Lte:
      return fmt::format("{} is {}, above {}", subject, value, bound);
    case CmpOp::Gt:
      return fmt::format("{} is {}, not above {}", subject, value, bound);
    case CmpOp::Gte:
      return fmt::format("{} is {}, below {}", subject, value, bound);
  }
  return "";
}

std::string cannot_load(const ruleset::Payload& load, const Frame& frame) {
  const std::string name = payload_field(load, {}, frame.ipv6, frame.dissection.protocol).name;
  const bool needs_transport =
      load.base == ruleset::PayloadBase::Transport || load.base == ruleset::PayloadBase::Inner;
  if (needs_transport && !frame.dissection.has_protocol) {
    return fmt::format("{} cannot be read: the packet has no transport header", name);
  }
  if (needs_transport && frame.dissection.fragment_offset != 0) {
    return fmt::format("{} cannot be read: a later fragment has no transport header", name);
  }
  return fmt::format("{} cannot be read: the packet is too short", name);
}

std::string cannot_load(const ruleset::Meta& load) {
  if (load.key == ruleset::MetaKey::SkUid || load.key == ruleset::MetaKey::SkGid) {
    return fmt::format("{}: the packet has no local socket", meta_key_name(load.key));
  }
  return fmt::format("{} is not available here", meta_key_name(load.key));
}

std::string cannot_write(const ruleset::PayloadWrite& write, const Frame& frame) {
  if (write.base != ruleset::PayloadBase::Network && frame.dissection.fragment_offset != 0) {
    return "it cannot be written to: a later fragment has no transport header";
  }
  return "it cannot be written to: the packet is too short";
}

std::string no_entry(const ruleset::Ct& load, const Frame& frame) {
  std::string text = fmt::format("{}: the packet has no conntrack entry", ct_key_name(load.key));
  if (frame.flow.why[0] != '\0') text += fmt::format(" ({})", frame.flow.why);
  return text;
}

// A key, field by field: "ip saddr 192.0.2.7 . tcp dport 22".
std::string key_text(const ruleset::Set& set, ruleset::Register first, const Operands& operands,
                     ByteSpan registers, const Frame& frame) {
  std::string text;
  ruleset::Register at = first;
  for (const ruleset::KeyField& field : set.key) {
    if (!text.empty()) text += " . ";
    const Operand& operand = operands[at];
    text += fmt::format("{} {}", operand.field.name,
                        shown(operand.field, value_at(registers, at, field.size), frame));
    at = static_cast<ruleset::Register>(at + ruleset::registers_in(field.size));
  }
  return text;
}

std::string set_text(const ruleset::Set& set, const Operand& operand, const Frame& frame) {
  if (!set.anonymous) return "@" + set.name;
  const ruleset::Elements& elements = set.elements;
  if (set.key.size() != 1 || elements.count() > kMostListed) {
    return fmt::format("a set of {}", elements.count());
  }
  std::string text = "{ ";
  for (std::size_t i = 0; i < elements.count(); ++i) {
    if (i != 0) text += ", ";
    const ByteSpan first = elements.key(i);
    const ByteSpan last = elements.key_end(i);
    if (std::ranges::equal(first, last)) {
      text += shown(operand.field, first, frame);
    } else if (const auto prefix = ruleset::name_prefix(first, last);
               prefix && operand.field.format == Format::Name) {
      text += render(Format::Name, *prefix);
    } else {
      text += shown(operand.field, first, frame) + "-" + shown(operand.field, last, frame);
    }
  }
  return text + " }";
}

bool contains(const ruleset::Set& set, ByteSpan key) {
  const ruleset::Elements& elements = set.elements;
  for (std::size_t i = 0; i < elements.count(); ++i) {
    std::size_t offset = 0;
    const bool within = std::ranges::all_of(set.key, [&](const ruleset::KeyField& field) {
      const std::size_t at = std::exchange(offset, offset + ruleset::padded_size(field.size));
      return std::memcmp(key.data() + at, elements.key(i).data() + at, field.size) >= 0 &&
             std::memcmp(key.data() + at, elements.key_end(i).data() + at, field.size) <= 0;
    });
    if (within) return true;
  }
  return false;
}

std::string spent(const ruleset::StatefulExpr& expr) {
  return visit_closed(
      Overloaded{[](const ruleset::Counter&) { return std::string(); },
                 [](const ruleset::Limit& limit) {
                   const std::string_view period = ruleset::name_of_period(limit.per_seconds);
                   const std::string rate =
                       fmt::format("{}{}/{}", limit.rate,
                                   limit.unit == ruleset::LimitUnit::Bytes ? " bytes" : "",
                                   period.empty() ? fmt::format("{} seconds", limit.per_seconds)
                                                  : std::string(period));
                   return limit.over ? fmt::format("the rate is within {}", rate)
                                     : fmt::format("the limit of {} is spent", rate);
                 },
                 [](const ruleset::Connlimit& connlimit) {
                   return fmt::format("{} than {} connections are open",
                                      connlimit.over ? "no more" : "more", connlimit.count);
                 },
                 [](const ruleset::Quota& quota) {
                   return fmt::format("the quota of {} bytes is {}spent", quota.bytes,
                                      quota.over ? "not " : "");
                 },
                 [](const ruleset::Last&) { return std::string(); }},
      expr);
}

// Of several, the one that can break: counters never do.
std::string spent(const std::vector<ruleset::StatefulExpr>& exprs) {
  for (const ruleset::StatefulExpr& expr : exprs) {
    if (std::string text = spent(expr); !text.empty()) return text;
  }
  return "";
}

std::string not_found(const ruleset::Table& table, const ruleset::Lookup& lookup,
                      const Operands& operands, ByteSpan registers, const Frame& frame) {
  const ruleset::Set* set = ruleset::find_set(table, lookup.set);
  if (set == nullptr) return fmt::format("there is no set @{}", lookup.set);
  const std::string key = key_text(*set, lookup.source, operands, registers, frame);
  const std::string in = set_text(*set, operands[lookup.source], frame);
  if (lookup.inverted) return fmt::format("{} is in {}", key, in);
  if (contains(*set, value_at(registers, lookup.source, set->key_size()))) {
    const std::string limit = spent(set->exprs);
    return fmt::format("{} is in {}, but {}", key, in,
                       limit.empty() ? "the limit of its element stops the rule" : limit);
  }
  return fmt::format("{} is not in {}", key, in);
}

std::string spent(const ruleset::Object& object) {
  return visit_closed(
      Overloaded{[](const ruleset::Counter& body) { return spent(body); },
                 [](const ruleset::Quota& body) { return spent(body); },
                 [](const ruleset::Limit& body) { return spent(body); },
                 [](const ruleset::Connlimit& body) { return spent(body); },
                 [](const ruleset::CtHelper&) { return std::string(); },
                 [](const ruleset::CtTimeout&) { return std::string(); },
                 [](const ruleset::CtExpectation&) {
                   return std::string("the connection has no room for another expectation");
                 },
                 [](const ruleset::Secmark&) { return std::string(); },
                 [](const ruleset::Synproxy&) { return std::string("it is not TCP"); },
                 [](const ruleset::Unsupported&) { return std::string(); }},
      object.body);
}

std::string object_breaks(const ruleset::Table& table, const ruleset::ObjectRef& reference) {
  for (const ruleset::Object& object : table.objects) {
    if (object.type == reference.type && object.name == reference.name) {
      return fmt::format("{}: {}", object.name, spent(object));
    }
  }
  return "";
}

std::string not_added(const ruleset::Table& table, const ruleset::Dynset& dynset) {
  const ruleset::Set* set = ruleset::find_set(table, dynset.set);
  std::string limit = spent(dynset.exprs);
  if (limit.empty() && set != nullptr) limit = spent(set->exprs);
  return limit.empty() ? fmt::format("@{} is full", dynset.set)
                       : fmt::format("{} (or @{} is full)", limit, dynset.set);
}

ruleset::XtFamily xt_family_of(const Frame& frame) {
  return frame.ipv6 ? ruleset::XtFamily::Ipv6 : ruleset::XtFamily::Ipv4;
}

// What the packet has of that which the match asks for, where a few words say it.
std::string what_it_has(const ruleset::XtMatch& match, const Frame& frame) {
  if (match.name == "conntrack" || match.name == "state") {
    const ruleset::Ct state{.key = ruleset::CtKey::State, .direction = {}, .destination = 0};
    return fmt::format(": ct state is {}",
                       render(ct_field(state.key, frame.ipv6).format, loaded(state, frame)));
  }
  const bool by_ports = match.name == "tcp" || match.name == "udp" || match.name == "multiport";
  const Dissection& dissection = frame.dissection;
  if (by_ports && dissection.has_protocol && dissection.fragment_offset == 0 &&
      readable(frame.bytes, dissection.transport, 4)) {
    const std::uint8_t* ports = frame.bytes.data() + dissection.transport;
    return fmt::format(": its ports are {} and {}", be16(ports), be16(ports + 2));
  }
  return "";
}

}  // namespace

std::string why_it_broke(const ruleset::Table& table, const ruleset::Rule& rule,
                         std::size_t expression, ByteSpan registers, const Frame& frame) {
  const std::span<const Expr> exprs = rule.exprs;
  const Operands operands = follow(exprs.first(expression), frame);
  return visit_closed(
      Overloaded{
          [&](const ruleset::Payload& load) { return cannot_load(load, frame); },
          [&](const ruleset::Meta& load) { return cannot_load(load); },
          [&](const ruleset::Ct& load) { return no_entry(load, frame); },
          [&](const ruleset::Cmp& cmp) {
            return compared(cmp, operands[cmp.source], registers, frame);
          },
          [&](const ruleset::Range& range) {
            const Operand& operand = operands[range.source];
            const Field& field = operand.field;
            return fmt::format("{} is {}, {}{}-{}", field.name,
                               render(field, value_at(registers, range.source, range.from.size)),
                               range.negated ? "within " : "not within ",
                               render(field, {range.from.begin(), range.from.end()}),
                               render(field, {range.to.begin(), range.to.end()}));
          },
          [&](const ruleset::Lookup& lookup) {
            return not_found(table, lookup, operands, registers, frame);
          },
          [&](const ruleset::Dynset& dynset) { return not_added(table, dynset); },
          [](const ruleset::Limit& limit) { return spent(limit); },
          [](const ruleset::Connlimit& connlimit) { return spent(connlimit); },
          [](const ruleset::Quota& quota) { return spent(quota); },
          // These never break a rule.
          [](const ruleset::Immediate&) { return std::string(); },
          [](const ruleset::BitwiseMask&) { return std::string(); },
          [](const ruleset::BitwiseShift&) { return std::string(); },
          [](const ruleset::Byteorder&) { return std::string(); },
          [](const ruleset::Counter&) { return std::string(); },
          [](const ruleset::Last&) { return std::string(); },
          [](const ruleset::ImmediateVerdict&) { return std::string(); },
          [](const ruleset::MetaSet&) { return std::string(); },
          [](const ruleset::CtSet&) { return std::string(); },
          [](const ruleset::Log&) { return std::string(); },
          [](const ruleset::Reject&) { return std::string(); },
          [](const ruleset::Notrack&) { return std::string(); },
          [](const ruleset::Exthdr& load) {
            return fmt::format("{} is missing or too short", option_name(load.kind, load.type));
          },
          [](const ruleset::ExthdrWrite& write) {
            return fmt::format("{} is missing, or would have to grow",
                               option_name(write.kind, write.type));
          },
          [](const ruleset::ExthdrReset&) { return std::string("there is no TCP header"); },
          [&](const ruleset::PayloadWrite& write) { return cannot_write(write, frame); },
          [](const ruleset::Rt&) { return std::string("no route has been looked up yet"); },
          [](const ruleset::Socket&) { return std::string("the packet has no local socket"); },
          [](const ruleset::Osf&) { return std::string("osf: it is not a SYN"); },
          [](const ruleset::Tunnel&) { return std::string("it did not come through a tunnel"); },
          [](const ruleset::Xfrm&) { return std::string("it did not pass an IPsec transform"); },
          [](const ruleset::Tproxy&) { return std::string("it is neither TCP nor UDP"); },
          [](const ruleset::Synproxy&) { return std::string("it is not TCP"); },
          [](const ruleset::Fwd&) { return std::string("it is of the other family"); },
          [&](const ruleset::ObjectRef& reference) { return object_breaks(table, reference); },
          [&](const ruleset::ObjectLookup& lookup) {
            return fmt::format("no object of map {} lets it pass", lookup.set);
          },
          [](const ruleset::Fib&) { return std::string(); },
          [](const ruleset::Numgen&) { return std::string(); },
          [](const ruleset::JenkinsHash&) { return std::string(); },
          [](const ruleset::SymmetricHash&) { return std::string(); },
          [](const ruleset::BitwiseRegisters&) { return std::string(); },
          [](const ruleset::Nat&) { return std::string("it is of the other family"); },
          [](const ruleset::Masquerade&) { return std::string("it is of the other family"); },
          [](const ruleset::Redirect&) { return std::string("it is of the other family"); },
          [](const ruleset::Dup&) { return std::string(); },
          [&](const ruleset::XtMatch& match) {
            return fmt::format("{} does not match{}",
                               in_words(match, xt_family_of(frame), frame.host->ipset_numbers),
                               what_it_has(match, frame));
          },
          [&](const ruleset::XtTarget& target) {
            return fmt::format("{} does nothing with it",
                               in_words(target, xt_family_of(frame), frame.host->ipset_numbers));
          },
          [](const ruleset::Unsupported&) { return std::string(); }},
      exprs[expression]);
}

}  // namespace rolewall::eval
