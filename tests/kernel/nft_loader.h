// Loads one ruleset by libnftables, as often as it is asked, in a process of its own: nft 1.0.6
// uses memory that it has freed, and what it spoils is to be its own. A process for all of a
// ruleset's loads, for the memory that a new one must first be given costs more than the load.
#pragma once

#include <string>

#include "base/error.h"
#include "sandbox/descriptor.h"

namespace rolewall::kernel_judge {

class NftLoader {
 public:
  explicit NftLoader(std::string text) : text_(std::move(text)) {}
  ~NftLoader();
  NftLoader(const NftLoader&) = delete;
  NftLoader& operator=(const NftLoader&) = delete;

  // Where nft dies of it, it is tried once more: a text that is loaded twice is as if loaded once.
  // What nft says against it goes to stderr where SHOW_REFUSALS is in the environment, else
  // nowhere; a refusal is of kind Usage.
  Result<void> load();

 private:
  Result<void> start();
  void stop();

  std::string text_;
  int process_ = -1;
  sandbox::Descriptor line_;  // to it; a byte each way for a load
};

}  // namespace rolewall::kernel_judge
