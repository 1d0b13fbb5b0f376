// What a packet in words leaves open and a rule reads all the same (its DSCP, a TCP option, its
// data): the packet that is asked about has some value there, and the answer says which.
#pragma once

#include <string>
#include <vector>

#include "ask/sample.h"
#include "eval/eval.h"

namespace rolewall::ask {

// Of the fields that words never or seldom name, those that were read: "ttl=64", "no options". Of a
// group whether the host has joined it: "224.0.0.251 joined".
std::vector<std::string> what_was_open(const eval::Packet& packet, const eval::Journey& journey);

// Adds what the words of `sample` have not said, once.
void note_assumed(const std::vector<std::string>& open, const Sample& sample,
                  std::vector<std::string>& assumed);

}  // namespace rolewall::ask
