#include "compile/last_resort.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cerrno>
#include <map>
#include <string>

#include "compile/compile.h"
#include "policy/load.h"

namespace rolewall::compile {
namespace {

class CarriedFiles : public policy::Files {
 public:
  explicit CarriedFiles(std::map<std::string, std::string> files) : files_(std::move(files)) {}

  Result<std::string> read(const std::string& path, std::size_t /*limit*/) const override {
    const auto at = files_.find(path.substr(path.rfind('/') + 1));
    if (at != files_.end()) return at->second;
    return fail(ErrorKind::Io, path + ": not there", ENOENT);
  }
  bool is_below(const std::string& /*path*/, const std::string& /*directory*/) const override {
    return true;
  }
  Result<std::vector<std::string>> list(const std::string& directory) const override {
    if (directory.ends_with("/rules")) return fail(ErrorKind::Io, "not there", ENOENT);
    std::vector<std::string> names;
    for (const auto& [name, text] : files_) names.push_back(name);
    return names;
  }

 private:
  std::map<std::string, std::string> files_;
};

}  // namespace

Result<ruleset::Snapshot> last_resort(const std::vector<net::Prefix>& management) {
  std::vector<std::string> prefixes;
  for (const net::Prefix& prefix : management) prefixes.push_back(net::format(prefix));
  const std::string from =
      prefixes.empty() ? "\"any\"" : fmt::format("[\"{}\"]", fmt::join(prefixes, "\", \""));
  const CarriedFiles files({
      {"site.toml",
       "[site]\nname = \"minimal\"\n[defaults]\ninbound = \"drop\"\noutbound = \"accept\"\n"
       "[hosts.this]\nrole = \"minimal\"\naddresses = [\"192.0.2.1\"]\n"},
      {"minimal.toml",
       fmt::format("role = \"minimal\"\n[[inbound]]\nid = \"ssh\"\nservice = \"tcp/22\"\n"
                   "from = {}\n[[inbound]]\nid = \"icmp\"\nservice = [\"icmp\", "
                   "\"icmpv6\"]\nfrom = \"any\"\n",
                   from)},
  });
  Diagnostics diagnostics;
  const policy::Policy site = policy::load("built in", {}, files, diagnostics);
  const auto host = policy::find_host(site, "this");
  if (diagnostics.has_errors() || !host) {
    return fail(ErrorKind::System, "the built-in policy is broken");
  }
  return compile(site, *host, {});
}

}  // namespace rolewall::compile
