// Strings of JSON (RFC 8259).
#pragma once

#include <string>
#include <string_view>

namespace rolewall::print {

// Appends `text` in quotation marks, escaped; false, with nothing appended, where it is no UTF-8.
bool append_quoted(std::string& out, std::string_view text);

// The same, with U+FFFD for each byte that is no UTF-8.
void append_quoted_text(std::string& out, std::string_view text);

}  // namespace rolewall::print
