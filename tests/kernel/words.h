// A packet for a person to read: its headers in words, as far as they are there, and its bytes.
#pragma once

#include <string>

#include "generator.h"

namespace rolewall::kernel_judge {

std::string in_words(const Question& question);
std::string in_hex(const eval::Packet& packet);

}  // namespace rolewall::kernel_judge
