// The words for enumerators, once: nft's own where nft has one, so that text, JSON, bytecode and
// messages agree. name_of() and from_name() are inverse to each other.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "ruleset/actions.h"
#include "ruleset/host.h"
#include "ruleset/loads.h"
#include "ruleset/register_ops.h"
#include "ruleset/ruleset.h"

namespace rolewall::ruleset {

template <class Enum>
struct NameRow {
  Enum value;
  std::string_view name;
};

// Every enumerator that has a name; the argument only chooses the overload.
std::span<const NameRow<Family>> name_rows(Family);
std::span<const NameRow<Hook>> name_rows(Hook);
std::span<const NameRow<ChainType>> name_rows(ChainType);
std::span<const NameRow<DataType>> name_rows(DataType);
std::span<const NameRow<SetKind>> name_rows(SetKind);
std::span<const NameRow<VerdictCode>> name_rows(VerdictCode);
std::span<const NameRow<PayloadBase>> name_rows(PayloadBase);
std::span<const NameRow<MetaKey>> name_rows(MetaKey);
std::span<const NameRow<CtKey>> name_rows(CtKey);
std::span<const NameRow<CtDirection>> name_rows(CtDirection);
std::span<const NameRow<ShiftDirection>> name_rows(ShiftDirection);
std::span<const NameRow<ByteorderOp>> name_rows(ByteorderOp);
std::span<const NameRow<CmpOp>> name_rows(CmpOp);
std::span<const NameRow<LookupResult>> name_rows(LookupResult);
std::span<const NameRow<LimitUnit>> name_rows(LimitUnit);
std::span<const NameRow<DynsetOp>> name_rows(DynsetOp);
std::span<const NameRow<RejectType>> name_rows(RejectType);
std::span<const NameRow<ExthdrKind>> name_rows(ExthdrKind);
std::span<const NameRow<FibResult>> name_rows(FibResult);
std::span<const NameRow<RtKey>> name_rows(RtKey);
std::span<const NameRow<SocketKey>> name_rows(SocketKey);
std::span<const NameRow<NumgenKind>> name_rows(NumgenKind);
std::span<const NameRow<TunnelKey>> name_rows(TunnelKey);
std::span<const NameRow<TunnelMode>> name_rows(TunnelMode);
std::span<const NameRow<XfrmKey>> name_rows(XfrmKey);
std::span<const NameRow<XfrmDirection>> name_rows(XfrmDirection);
std::span<const NameRow<BitwiseOp>> name_rows(BitwiseOp);
std::span<const NameRow<ChecksumKind>> name_rows(ChecksumKind);
std::span<const NameRow<NatKind>> name_rows(NatKind);
std::span<const NameRow<RouteType>> name_rows(RouteType);
std::span<const NameRow<RouterPreference>> name_rows(RouterPreference);

// "second" to "week", the periods that a rate can be over; "" for any other.
std::string_view name_of_period(std::uint64_t seconds);

// "" where the value has no name (a DataType that is not ours to know).
template <class Enum>
std::string_view name_of(Enum value) {
  for (const NameRow<Enum>& row : name_rows(value)) {
    if (row.value == value) return row.name;
  }
  return {};
}

template <class Enum>
std::optional<Enum> from_name(std::string_view name) {
  for (const NameRow<Enum>& row : name_rows(Enum{})) {
    if (row.name == name) return row.value;
  }
  return std::nullopt;
}

}  // namespace rolewall::ruleset
