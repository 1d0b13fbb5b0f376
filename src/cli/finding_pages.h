// docs/findings/CODE.md: what can happen, how to mend it, when it is right as it is, of findings
// in policies also a bad and a good example. The table is written by
// packaging/reference/write_finding_pages.py.
#pragma once

#include <string_view>

namespace rolewall::cli {

// In Markdown, without its title; "" where there is no page.
std::string_view finding_page(std::string_view code);

}  // namespace rolewall::cli
