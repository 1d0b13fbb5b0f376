// What the other end answers to a packet that has reached it: enough of TCP, UDP and ICMP for a
// flow to become established, translations undone on the way back.
#pragma once

#include <optional>

#include "generator.h"
#include "ruleset/host.h"
#include "sandbox/observation.h"

namespace rolewall::corpus {

// Of a whole packet between two hosts that came through, as the kernel told of it in the end. None
// where there is nothing to answer to, or nobody to say it.
std::optional<kernel_judge::Question> answer_to(const kernel_judge::Question& said,
                                                const sandbox::Observation& seen);

}  // namespace rolewall::corpus
