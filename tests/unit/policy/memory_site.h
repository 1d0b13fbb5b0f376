// A site in memory: what a test wants to say, over files that every test may leave out.
#pragma once

#include <fmt/format.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "policy/load.h"
#include "support/memory_files.h"

namespace rolewall::policy {

inline constexpr const char* kSiteToml = R"(
[site]
management = "office"
internal   = "office"

[networks]
office = ["198.51.100.0/24", "2001:db8:ff::/48"]

[hosts.web-01]
role      = "web"
addresses = ["10.0.2.10", "fd00::2:10"]

[hosts.web-02]
role      = "web"
addresses = ["10.0.2.11", "fd00::2:11"]
)";
inline constexpr const char* kServicesToml = R"(
[services]
http  = "tcp/80"
https = "tcp/443"
ssh   = "tcp/22"
mysql = "tcp/3306"
dns   = ["udp/53", "tcp/53"]
dhcp  = "udp/68 from 67"
ping  = ["icmp/echo-request", "icmpv6/echo-request"]
ndp   = ["icmpv6/router-solicitation", "icmpv6/neighbour-solicitation"]

[kinds]
plain-web  = "http"
tls-web    = "https"
database   = "mysql"
management = "ssh"
)";

struct MemorySite {
  static constexpr Date kToday{std::chrono::year(2026), std::chrono::month(6), std::chrono::day(1)};

  // "web.toml:3:1", without the directory of the site.
  std::string at(const Span& span) const {
    const std::string text = policy.sources.format(span);
    return text.starts_with("site/") ? text.substr(5) : text;
  }

  // All findings, a line each: "web.toml:3:1 unknown-key". For plain comparisons.
  std::vector<std::string> codes() const {
    std::vector<std::string> out;
    for (const Diagnostic& each : diagnostics.all()) {
      out.push_back(fmt::format("{} {}", at(each.span), each.code));
    }
    return out;
  }

  const RuleFile& file(std::string_view name) const {
    for (const RuleFile& each : policy.files) {
      if (each.name == name) return each;
    }
    throw std::string("no such file");
  }

  Diagnostics diagnostics;
  Policy policy;
};

// `files` are named as in a site ("web.toml", "rules/x.toml"), shipped blocks "shipped/x.toml".
// Left out: a site of two web servers, the role web without rules, some services.
inline MemorySite make_site(std::map<std::string, std::string> files, LoadOptions options = {}) {
  std::map<std::string, std::string> all = {{"site/site.toml", kSiteToml},
                                            {"site/web.toml", "role = \"web\"\n"},
                                            {"shipped/services.toml", kServicesToml}};
  for (auto& [name, text] : files) {
    all[name.starts_with("shipped/") ? name : "site/" + name] = std::move(text);
  }
  options.shipped_rules = "shipped";
  if (options.date == Date()) options.date = MemorySite::kToday;
  MemorySite site;
  site.policy = load("site", options, MemoryFiles(std::move(all)), site.diagnostics);
  return site;
}

}  // namespace rolewall::policy
