#include "observe/resolvers.h"

#include <sstream>
#include <string>

#include "base/file.h"
#include "net/address.h"

namespace rolewall::observe {

std::vector<net::Address> resolvers() {
  constexpr std::size_t kLargest = 65536;
  std::vector<net::Address> found;
  for (const char* path : {"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"}) {
    const auto text = read_file(path, kLargest);
    if (!text) continue;
    std::istringstream lines(*text);
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::string key;
      std::string value;
      words >> key >> value;
      const auto address = net::parse_address(value.substr(0, value.find('%')));
      if (key == "nameserver" && address && !net::is_loopback(*address)) found.push_back(*address);
    }
  }
  return found;
}

}  // namespace rolewall::observe
