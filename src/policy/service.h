// Services: literals ("tcp/443"), the names that stand for lists of them, and limits.
#pragma once

#include <optional>
#include <string_view>

#include "policy/policy.h"
#include "policy/toml_file.h"

namespace rolewall::policy {

// "tcp/443", "udp/68 from 67", "icmpv6/echo-request", "protocol/112". What it is not is reported.
// `text` begins at `offset` within `place`.
std::optional<ServiceLiteral> parse_literal(std::string_view text, const Place& place,
                                            std::size_t offset, Diagnostics& diagnostics);

// Whether a text is a literal rather than a name: it begins with a protocol's keyword.
bool is_literal(std::string_view text);

// A name or a literal, appended to `list`; an unknown name is reported.
bool add_service(const Policy& policy, std::string_view text, const Place& place,
                 std::size_t offset, ServiceList& list, Diagnostics& diagnostics);

// A rule's `service`. REQUIRES: every value is a string.
ServiceList parse_services(const Policy& policy, const Value& value, Diagnostics& diagnostics);

// A [services] table: entries are added to `policy`; one that is there already stays (the site's
// come first, then what is shipped), but two blocks of one rank must agree.
void read_services(Policy& policy, const Value& table, bool shipped, bool of_block,
                   Diagnostics& diagnostics);

// "10/minute burst 5 per source". A rule's limit is per source where it does not say; a log's
// counts in all.
std::optional<Rate> parse_rate(const Value& value, bool per_source, Diagnostics& diagnostics);
// Its shortest form, with whom it counts.
std::string format_rate(const Rate& rate);

// A decimal number without sign or leading zeros, at most `most`.
std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t most);

}  // namespace rolewall::policy
