// Whether systemd's timer will still fire, by a manager of the test's own: it answers on a socket
// as systemd does behind its bus.
#include "apply/systemd.h"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <thread>

#include "unit/apply/machine.h"

namespace rolewall::apply {
namespace {

using test::Scratch;

// What it has of units, by their names: SubState, and when the timer elapses.
struct Units {
  std::map<std::string, std::string> states;
  std::uint64_t next_us = 1;
};

// A unit's path ends in what it is.
int answer(sd_bus_message* call, void* data, sd_bus_error*) {
  const Units& units = *static_cast<const Units*>(data);
  const std::string_view member = sd_bus_message_get_member(call);
  if (member == "Hello") return sd_bus_reply_method_return(call, "s", ":1.1");
  if (member == "GetUnit") {
    const char* name = nullptr;
    if (sd_bus_message_read(call, "s", &name) < 0) return -EINVAL;
    if (!units.states.contains(name)) {
      return sd_bus_reply_method_errorf(call, "org.freedesktop.systemd1.NoSuchUnit", "none");
    }
    const bool is_timer = std::string_view(name).ends_with(".timer");
    return sd_bus_reply_method_return(call, "o", is_timer ? "/unit/timer" : "/unit/service");
  }
  if (member != "Get") return 0;
  const char* interface = nullptr;
  const char* property = nullptr;
  if (sd_bus_message_read(call, "ss", &interface, &property) < 0) return -EINVAL;
  if (std::string_view(property) == "NextElapseUSecMonotonic") {
    return sd_bus_reply_method_return(call, "v", "t", units.next_us);
  }
  const std::string_view path = sd_bus_message_get_path(call);
  const std::string kind = path.ends_with("timer") ? "timer" : "service";
  return sd_bus_reply_method_return(call, "v", "s",
                                    units.states.at("rolewall-rollback-T." + kind).c_str());
}

void serve(int connection, Units& units) {
  sd_bus* bus = nullptr;
  REQUIRE(sd_bus_new(&bus) >= 0);
  REQUIRE(sd_bus_set_fd(bus, connection, connection) >= 0);
  sd_id128_t id{};
  id.bytes[0] = 1;
  REQUIRE(sd_bus_set_server(bus, 1, id) >= 0);
  REQUIRE(sd_bus_add_filter(bus, nullptr, answer, &units) >= 0);
  REQUIRE(sd_bus_start(bus) >= 0);
  while (true) {
    const int done = sd_bus_process(bus, nullptr);
    if (done < 0 || (done == 0 && sd_bus_wait(bus, UINT64_MAX) < 0)) break;
  }
  sd_bus_close_unref(bus);
}

class Manager {
 public:
  Manager() {
    std::filesystem::create_directories(scratch_.state());
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    const std::string path = scratch_.state() + "/bus";
    std::strncpy(at.sun_path, path.c_str(), sizeof at.sun_path - 1);
    listening_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(::bind(listening_, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
    REQUIRE(::listen(listening_, 4) == 0);
    ::setenv("DBUS_SYSTEM_BUS_ADDRESS", ("unix:path=" + path).c_str(), 1);
    thread_ = std::thread([this] {
      for (int each = 0; (each = ::accept(listening_, nullptr, nullptr)) >= 0;) serve(each, units);
    });
  }
  ~Manager() {
    ::shutdown(listening_, SHUT_RDWR);
    thread_.join();
    ::close(listening_);
    ::unsetenv("DBUS_SYSTEM_BUS_ADDRESS");
  }
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;

  Units units;  // while nobody asks

 private:
  Scratch scratch_;
  int listening_ = -1;
  std::thread thread_;
};

TEST_CASE("a timer that is there fires only while it waits and has a time") {
  const std::string timer = "rolewall-rollback-T.timer";
  const std::string service = "rolewall-rollback-T.service";
  Manager manager;
  CHECK_FALSE(timer_will_fire("T"));
  manager.units.states = {{timer, "waiting"}};
  CHECK(timer_will_fire("T"));
  CHECK_FALSE(timer_will_fire("U"));
  for (const std::uint64_t never : {std::uint64_t{0}, UINT64_MAX}) {
    manager.units.next_us = never;
    CHECK_FALSE(timer_will_fire("T"));
  }
  manager.units.next_us = 1;
  for (const char* state : {"dead", "failed", "elapsed"}) {
    manager.units.states = {{timer, state}};
    CHECK_FALSE(timer_will_fire("T"));
  }
  // What it has started is at work, or is tried again.
  for (const auto& [state, goes_on] : {std::pair("start", true), std::pair("auto-restart", true),
                                       std::pair("dead", false), std::pair("failed", false)}) {
    manager.units.states = {{timer, "elapsed"}, {service, state}};
    CHECK(timer_will_fire("T") == goes_on);
  }
}

TEST_CASE("where systemd does not answer, nothing will fire") {
  ::setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent", 1);
  CHECK_FALSE(timer_will_fire("T"));
  ::unsetenv("DBUS_SYSTEM_BUS_ADDRESS");
}

}  // namespace
}  // namespace rolewall::apply
