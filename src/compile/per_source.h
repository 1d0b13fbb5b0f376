// State that is kept for each source: an element of a dynamic set, made by the first packet.
#pragma once

#include <cstdint>
#include <string>

#include "compile/match.h"
#include "compile/table_builder.h"
#include "ruleset/expressions.h"
#include "ruleset/object.h"

namespace rolewall::compile {

// A set that is full takes no further source.
inline constexpr std::uint32_t kMaxSources = 65536;

// How long a source is remembered: until its bucket would be full again, and a fresh entry is the
// same. In milliseconds.
std::uint64_t memory_ms(const policy::Rate& rate);

// Appends what a packet passes that the state of its source lets on, and adds the set where it is
// not there yet. One IPv6 source is one /64: a host can have any address of its link's.
// `timeout_ms`: 0 for state that the kernel forgets by itself.
void per_source(TableBuilder& table, match::Exprs& exprs, match::IpVersion version,
                const std::string& set, ruleset::DynsetOp op, const ruleset::StatefulExpr& state,
                std::uint64_t timeout_ms);

}  // namespace rolewall::compile
