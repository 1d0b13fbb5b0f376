#include "network.h"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "process.h"
#include "sandbox/rtnetlink.h"
#include "sandbox/sandbox.h"

namespace rolewall::corpus {

namespace {

constexpr int kSkipped = 77;  // Meson's exit status for a test that cannot run here

}  // namespace

Result<void> fresh_network() {
  if (::unshare(CLONE_NEWNET) != 0) {
    return fail(ErrorKind::System, fmt::format("unshare: {}", std::strerror(errno)), errno);
  }
  auto links = sandbox::Rtnetlink::open();
  if (!links) return std::unexpected(links.error());
  return links->bring_up("lo");
}

Result<void> add_devices(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    const Finished made = run({"ip", "link", "add", name, "type", "ifb"}, "");
    if (made.status != 0) return fail(ErrorKind::System, name + ": " + made.output);
  }
  return {};
}

int where_networks_can_be_made(const std::function<int()>& body) {
  if (::geteuid() == 0 && ::unshare(CLONE_NEWNET) == 0) return body();
  if (const std::string reason = sandbox::unavailable(); !reason.empty()) {
    fmt::print("skipped: {}\n", reason);
    return kSkipped;
  }
  const auto status = sandbox::run(body);
  if (!status) fmt::print("{}\n", status.error().message);
  return status ? *status : 1;
}

}  // namespace rolewall::corpus
