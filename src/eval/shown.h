// What a chain may see of a packet, written down so that two can be compared: where it is the same,
// and so is all that the chain was shown before, the chain does the same.
#pragma once

#include <string>

#include "eval/frame.h"
#include "eval/hook_plan.h"
#include "eval/other_tables.h"

namespace rolewall::eval {

// Appends it. `reads`: what of the connection the chain's table asks for.
void note_shown(const Stage& stage, const Frame& frame, TrackingRead reads, std::string& to);

// And what leaves in the end, which devices below are shown.
void note_left(Journey& journey);

}  // namespace rolewall::eval
