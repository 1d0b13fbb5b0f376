#include "site_text.h"

#include <doctest/doctest.h>

#include <cerrno>

#include "policy/files.h"
#include "policy/load.h"

namespace rolewall::test {
namespace {

constexpr const char* kDirectory = "site";

class MemoryFiles : public policy::Files {
 public:
  explicit MemoryFiles(const SiteFiles& files) {
    for (const auto& [name, text] : files) files_[std::string(kDirectory) + "/" + name] = text;
  }
  Result<std::string> read(const std::string& path, std::size_t) const override {
    const auto found = files_.find(path);
    if (found == files_.end()) return fail(ErrorKind::Io, path + ": no such file", ENOENT);
    return found->second;
  }
  Result<std::vector<std::string>> list(const std::string& directory) const override {
    std::vector<std::string> names;
    for (const auto& [path, text] : files_) {
      const auto slash = path.rfind('/');
      if (path.substr(0, slash) == directory) names.push_back(path.substr(slash + 1));
    }
    if (names.empty()) return fail(ErrorKind::Io, directory + ": no such directory", ENOENT);
    return names;
  }

 private:
  std::map<std::string, std::string> files_;
};

constexpr const char* kSite = R"(
[site]
name       = "small"
management = "office"
internal   = ["office", "inside"]

[networks]
office  = ["198.51.100.0/24", "2001:db8:ff::/48"]
inside  = ["10.0.0.0/16", "fd00:db8::/48"]
clocks  = ["10.0.0.123"]
abusers = { file = "abusers.txt" }

[services]
https = "tcp/443"
high  = "tcp/8000-8999"
dns   = ["udp/53", "tcp/53"]
lease = "udp/68 from 67"
ping  = ["icmp/8", "icmpv6/128"]
vrrp  = "protocol/112"

[interfaces.public]
device = "eth0"

[interfaces.private]
device = "eth1"
behind = "inside"

[hosts.lb-01]
role       = "lb"
addresses  = ["203.0.113.10", "2001:db8:1::10", "10.0.1.10", "fd00:db8:0:1::10"]
virtual    = ["203.0.113.9", "2001:db8:1::9"]
interfaces = ["public", "private"]

[hosts.lb-02]
role       = "lb"
addresses  = ["203.0.113.11", "2001:db8:1::11", "10.0.1.11", "fd00:db8:0:1::11"]
virtual    = ["203.0.113.9", "2001:db8:1::9"]
interfaces = ["public", "private"]

[hosts.web-01]
role      = "web"
addresses = ["10.0.2.10", "fd00:db8:0:2::10"]

[hosts.web-02]
role      = "web"
addresses = ["10.0.2.11", "fd00:db8:0:2::11"]

[hosts.db-01]
role      = "db"
tags      = "primary"
addresses = ["10.0.3.10"]

[hosts.batch]
role      = "web"
addresses = ["10.0.8.0/24"]
)";

constexpr const char* kLb = R"(
role = "lb"

[[inbound]]
service = "https"

[[outbound]]
service = "https"
to      = "web"
)";

constexpr const char* kWeb = R"(
role = "web"

[[inbound]]
id      = "app"
service = "https"
from    = "lb"

[[outbound]]
id      = "sql"
service = "tcp/3306"
to      = "primary"
)";

constexpr const char* kDb = R"(
role = "db"

[[inbound]]
id      = "sql"
service = "tcp/3306"
from    = "web"
)";

}  // namespace

SiteFiles small_site(const SiteFiles& extra) {
  SiteFiles files = {{"site.toml", kSite},
                     {"lb.toml", kLb},
                     {"web.toml", kWeb},
                     {"db.toml", kDb},
                     {"abusers.txt", "192.0.2.66\n203.0.113.128/25\n2001:db8:bad::/48\n"}};
  for (const auto& [name, text] : extra) files[name] = text;
  return files;
}

policy::Policy load_site(const SiteFiles& files) {
  using namespace std::chrono;
  Diagnostics diagnostics;
  const policy::LoadOptions options{"", year{2026} / 11 / 21, false, false};
  policy::Policy policy = policy::load(kDirectory, options, MemoryFiles(files), diagnostics);
  for (const Diagnostic& finding : diagnostics.all()) {
    if (finding.severity == Severity::Error) {
      FAIL((policy.sources.format(finding.span) + ": " + finding.message));
    }
  }
  return policy;
}

policy::PacketWords words(const policy::Policy& policy, const std::string& text, bool in_role) {
  Diagnostics diagnostics;
  const auto packet = policy::parse_packet(policy, text, {kNoFile, 1, 1}, in_role, diagnostics);
  if (!packet || diagnostics.has_errors()) {
    FAIL((text + ": " + (diagnostics.all().empty() ? "" : diagnostics.all()[0].message)));
  }
  return *packet;
}

policy::Index host(const policy::Policy& policy, const std::string& name) {
  const auto index = policy::find_host(policy, name);
  REQUIRE(index.has_value());
  return *index;
}

}  // namespace rolewall::test
