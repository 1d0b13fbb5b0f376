// The rulesets of the corpus, each as the program that loads it takes it.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"

namespace rolewall::corpus {

// Whose rules: nft's own, iptables' translated to these, and iptables-nft's with its own matches.
enum class Origin { Native, Translated, Iptables };

struct Sample {
  std::string name;
  Origin origin = Origin::Native;
  std::vector<std::string> loader;    // a command that reads the text from its input
  std::string head;                   // what the commands need: tables, chains; or the whole text
  std::vector<std::string> commands;  // one line each; a sample can be cut in two between them
  std::vector<std::string> interfaces;

  // Of commands that add a rule each: the bytecode that the kernel is known to give back, in their
  // order; empty where it is not known.
  std::vector<std::vector<std::string>> bytecode;

  std::string text() const;
  // Its halves. REQUIRES: more than one command.
  std::pair<Sample, Sample> halves() const;
};

// All of them. An error where the folder does not hold what its README says.
Result<std::vector<Sample>> read_samples(const std::string& folder);

}  // namespace rolewall::corpus
