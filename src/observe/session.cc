#include "observe/session.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string_view>
#include <vector>

#include "net/mapped_address.h"
#include "observe/socket_owners.h"

namespace rolewall::observe {
namespace {

constexpr std::string_view kVariable = "SSH_CONNECTION=";

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> found;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (end != 0) found.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return found;
}

std::optional<std::uint16_t> port(std::string_view text) {
  std::uint16_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value == 0) return std::nullopt;
  return value;
}

// "192.0.2.7 40000 10.0.2.10 22"; a link-local address may bear its zone.
std::optional<SshConnection> parse(std::string_view text) {
  const auto parts = words(text);
  if (parts.size() != 4) return std::nullopt;
  const auto address = [](std::string_view word) -> std::optional<net::Address> {
    const auto found = net::parse_address(word.substr(0, word.find('%')));
    if (!found) return std::nullopt;
    return net::unmapped(*found);
  };
  const auto client = address(parts[0]);
  const auto client_port = port(parts[1]);
  const auto server = address(parts[2]);
  const auto server_port = port(parts[3]);
  if (!client || !client_port || !server || !server_port) return std::nullopt;
  const std::size_t zone = parts[0].find('%');
  return SshConnection{
      *client, *client_port, *server, *server_port,
      zone == std::string_view::npos ? "" : std::string(parts[0].substr(zone + 1))};
}

std::string file(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

}  // namespace

std::optional<SshConnection> ssh_connection() {
  const char* own = std::getenv("SSH_CONNECTION");
  if (own != nullptr) return parse(own);
  for (const unsigned process : ancestors()) {
    const std::string environment = file(fmt::format("/proc/{}/environ", process));
    for (std::size_t at = 0; at < environment.size();) {
      const std::string_view entry(environment.c_str() + at);
      if (entry.starts_with(kVariable)) return parse(entry.substr(kVariable.size()));
      at += entry.size() + 1;
    }
  }
  return std::nullopt;
}

}  // namespace rolewall::observe
