// The trace point's description, as kernels write it.
#include "observe/drop_reasons.h"

#include <doctest/doctest.h>

namespace rolewall::observe {
namespace {

constexpr const char* kFormat = R"(name: kfree_skb
ID: 2310
format:
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;

	field:void * skbaddr;	offset:8;	size:8;	signed:0;
	field:unsigned short protocol;	offset:32;	size:2;	signed:0;
	field:enum skb_drop_reason reason;	offset:36;	size:4;	signed:0;

print fmt: "skbaddr=%p reason: %s", REC->skbaddr, __print_symbolic(REC->reason, { 2, "NOT_SPECIFIED" }, { 12, "NETFILTER_DROP" }, { 16, "IP_RPFILTER" })
)";

TEST_CASE("where a drop's reason stands, and what its numbers mean") {
  const auto format = parse_drop_format(kFormat);
  REQUIRE(format);
  CHECK(format->id == 2310);
  CHECK(format->protocol_at == 32);
  CHECK(format->reason_at == 36);
  CHECK(format->names.size() == 3);
  CHECK(format->names.at(12) == "NETFILTER_DROP");
}

TEST_CASE("a trace point without a reason, or of other sizes, is none") {
  std::string older = kFormat;
  older.replace(older.find("enum skb_drop_reason"), 20, "enum something_else_");
  CHECK_FALSE(parse_drop_format(older));
  std::string wider = kFormat;
  wider.replace(wider.find("size:4"), 6, "size:8");
  CHECK_FALSE(parse_drop_format(wider));
  CHECK_FALSE(parse_drop_format(""));
}

}  // namespace
}  // namespace rolewall::observe
