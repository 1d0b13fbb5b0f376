#include "observe/log_fold.h"

#include <utility>

namespace rolewall::observe {
namespace {

// The rule, the devices, and of the packet all that a rule asks for but the source port.
void make_key(const LogLine& line, std::string& key) {
  key.assign(line.prefix);
  const auto put = [&](const void* bytes, std::size_t size) {
    key.append(static_cast<const char*>(bytes), size);
  };
  put(&line.hook, sizeof line.hook);
  key.append(line.in_device).push_back('/');  // which is in no name of a device
  key.append(line.out_device).push_back('/');
  const auto packet = packet_head(line.packet);
  if (!packet) return;
  for (const net::Address* address : {&packet->from, &packet->to}) {
    const std::vector<std::uint8_t> bytes = net::to_bytes(*address);
    put(bytes.data(), bytes.size());
  }
  put(&packet->protocol, sizeof packet->protocol);
  put(&packet->to_port, sizeof packet->to_port);
  key += static_cast<char>(packet->icmp_type.value_or(0));
}

}  // namespace

bool LogFold::is_new(const LogLine& line, Clock::time_point now) {
  if (time_.count() == 0) return true;
  make_key(line, key_);
  const auto seen = seen_.find(key_);
  if (seen != seen_.end()) {
    ++seen->second.times;
    return false;
  }
  if (seen_.size() >= kMost) {
    ++crowd_;
    return false;
  }
  const auto event = log_event(line);
  if (!event) return true;
  seen_.emplace(key_, Repeated{.event = *event, .times = 0, .since = now});
  return true;
}

void LogFold::finish(Clock::time_point now, bool all,
                     const std::function<void(const Repeated&)>& visit) {
  std::erase_if(seen_, [&](const auto& each) {
    if (!all && now - each.second.since < time_) return false;
    if (each.second.times != 0) visit(each.second);
    return true;
  });
}

std::uint64_t LogFold::take_crowd() {
  return std::exchange(crowd_, 0);
}

}  // namespace rolewall::observe
