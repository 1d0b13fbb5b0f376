// A key of a policy with its values as people wrote them: `from = ["lb", "!192.0.2.1"]`.
#pragma once

#include <string>
#include <vector>

namespace rolewall {

struct WrittenKey {
  std::string key;
  std::vector<std::string> values;
  bool operator==(const WrittenKey&) const = default;
};

}  // namespace rolewall
