// A value or a verdict within an attribute: the nest of NFTA_DATA_VALUE or NFTA_DATA_VERDICT that
// the kernel calls struct nft_data (nft_data_init() and nft_data_dump() of nf_tables_api.c).
// Expressions and elements hold them alike. What is wrong goes to `attributes` as its problem.
#pragma once

#include "netlink/attributes.h"
#include "ruleset/value.h"

namespace rolewall::netlink {

void put_value(Writer& writer, std::uint16_t type, View bytes);
ruleset::Value decode_value(Attributes& attributes, std::uint16_t type);

void put_verdict(Writer& writer, std::uint16_t type, const ruleset::Verdict& verdict);
ruleset::Verdict decode_verdict(Attributes& attributes, std::uint16_t type);

}  // namespace rolewall::netlink
