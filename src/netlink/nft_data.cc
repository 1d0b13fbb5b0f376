#include "netlink/nft_data.h"

#include <fmt/format.h>
#include <linux/netfilter/nf_tables.h>

#include "netlink/kernel_numbers.h"

namespace rolewall::netlink {

using ruleset::Value;
using ruleset::Verdict;

void put_value(Writer& writer, std::uint16_t type, View bytes) {
  const std::size_t nest = writer.begin_nest(type);
  writer.put(NFTA_DATA_VALUE, bytes);
  writer.end_nest(nest);
}

Value decode_value(Attributes& attributes, std::uint16_t type) {
  Attributes nest(attributes.bytes(type));
  const View bytes = nest.bytes(NFTA_DATA_VALUE);
  if (bytes.empty() || bytes.size() > Value::kMaxSize) {
    nest.problem(fmt::format("a value of {} bytes", bytes.size()));
  }
  if (std::string problem = nest.finish(); !problem.empty()) {
    attributes.problem(fmt::format("attribute {}: {}", type, problem));
    return {};
  }
  return Value(bytes);
}

void put_verdict(Writer& writer, std::uint16_t type, const Verdict& verdict) {
  const std::size_t data = writer.begin_nest(type);
  const std::size_t nest = writer.begin_nest(NFTA_DATA_VERDICT);
  writer.be32(NFTA_VERDICT_CODE, verdict_number(verdict));
  if (names_a_chain(verdict)) writer.text(NFTA_VERDICT_CHAIN, verdict.chain);
  writer.end_nest(nest);
  writer.end_nest(data);
}

Verdict decode_verdict(Attributes& attributes, std::uint16_t type) {
  Attributes nest(attributes.bytes(type));
  Attributes inner(nest.bytes(NFTA_DATA_VERDICT));
  Verdict verdict;
  const std::uint32_t number = inner.be32(NFTA_VERDICT_CODE);
  if (const auto known = verdict_of(number)) {
    verdict = *known;
    inner.ignore(NFTA_VERDICT_CHAIN_ID);
    if (names_a_chain(verdict)) verdict.chain = inner.text(NFTA_VERDICT_CHAIN);
  } else {
    inner.problem(fmt::format("verdict {} is unknown", static_cast<std::int32_t>(number)));
  }
  std::string problem = inner.finish();
  if (problem.empty()) problem = nest.finish();
  if (!problem.empty()) attributes.problem(problem);
  return verdict;
}

}  // namespace rolewall::netlink
