#include "apply/systemd.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <systemd/sd-bus.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <thread>

namespace rolewall::apply {
namespace {

constexpr const char* kService = "org.freedesktop.systemd1";
constexpr const char* kManagerPath = "/org/freedesktop/systemd1";
constexpr const char* kManager = "org.freedesktop.systemd1.Manager";
constexpr std::uint64_t kPatienceUs = 10'000'000;

struct Unref {
  void operator()(sd_bus* bus) const { sd_bus_flush_close_unref(bus); }
  void operator()(sd_bus_message* message) const { sd_bus_message_unref(message); }
};
using Bus = std::unique_ptr<sd_bus, Unref>;
using Message = std::unique_ptr<sd_bus_message, Unref>;

std::unexpected<Error> refused(const char* what, int error, const char* said = nullptr) {
  return fail(ErrorKind::System,
              fmt::format("cannot set up the rollback (systemd: {}: {}): nothing was changed", what,
                          said != nullptr ? said : std::strerror(-error)),
              -error);
}

Result<Bus> connect() {
  sd_bus* bus = nullptr;
  int status = sd_bus_open_system(&bus);
  if (status < 0) {
    // No message bus is installed, or it does not run yet: as systemctl does it.
    status = sd_bus_new(&bus);
    if (status >= 0) status = sd_bus_set_address(bus, "unix:path=/run/systemd/private");
    if (status >= 0) status = sd_bus_start(bus);
  }
  Bus owned(bus);
  if (status < 0) return refused("no connection", status);
  return owned;
}

Result<Message> new_call(sd_bus& bus, const char* method) {
  sd_bus_message* message = nullptr;
  const int status =
      sd_bus_message_new_method_call(&bus, &message, kService, kManagerPath, kManager, method);
  if (status < 0) return refused(method, status);
  return Message(message);
}

Result<void> send(sd_bus& bus, sd_bus_message& message, const char* what) {
  sd_bus_error error{};
  const int status = sd_bus_call(&bus, &message, kPatienceUs, &error, nullptr);
  auto result = status < 0 ? Result<void>(refused(what, status, error.message)) : Result<void>{};
  sd_bus_error_free(&error);
  return result;
}

std::string unit_name(const std::string& token, const char* kind) {
  return fmt::format("rolewall-rollback-{}.{}", token, kind);
}

bool in_unit(pid_t process, const std::string& unit) {
  std::ifstream file(fmt::format("/proc/{}/cgroup", process));
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return text.find("/" + unit + "\n") != std::string::npos;
}

// The signatures are those of org.freedesktop.systemd1(5).
Result<void> make_scope(sd_bus& bus, pid_t process, const std::string& token) {
  const std::string name = unit_name(token, "scope");
  const auto call = new_call(bus, "StartTransientUnit");
  if (!call) return std::unexpected(call.error());
  const int status = sd_bus_message_append(
      call->get(), "ssa(sv)a(sa(sv))", name.c_str(), "fail", 4,                //
      "Description", "s", "rolewall: waits for the confirmation of an apply",  //
      "PIDs", "au", 1, static_cast<std::uint32_t>(process),                    //
      "CollectMode", "s", "inactive-or-failed",
      // It ignores SIGTERM, and must not hold up a shutdown.
      "TimeoutStopUSec", "t", std::uint64_t{500'000}, 0);
  if (status < 0) return refused("the scope's description", status);
  TRY(send(bus, **call, "StartTransientUnit of the scope"));
  // The answer says that it will be done.
  constexpr std::chrono::milliseconds kPause{10};
  for (int looks = 0; looks < 1'000; ++looks) {
    if (in_unit(process, name)) return {};
    std::this_thread::sleep_for(kPause);
  }
  return refused("the scope", -ETIMEDOUT);
}

// `state_directory`: absolute.
Result<void> make_timer(sd_bus& bus, const std::string& token, std::chrono::seconds within,
                        const std::string& state_directory) {
  std::error_code error;
  const std::string program = std::filesystem::read_symlink("/proc/self/exe", error).string();
  if (error) return refused("/proc/self/exe", -error.value());
  const std::uint64_t after = static_cast<std::uint64_t>(std::chrono::microseconds(within).count());
  const std::string timer = unit_name(token, "timer");
  const std::string service = unit_name(token, "service");
  const auto call = new_call(bus, "StartTransientUnit");
  if (!call) return std::unexpected(call.error());
  const int status = sd_bus_message_append(
      call->get(), "ssa(sv)a(sa(sv))", timer.c_str(), "fail", 5,                      //
      "Description", "s", "rolewall: rolls back what is not confirmed",               //
      "TimersMonotonic", "a(st)", 1, "OnActiveSec", after,                            //
      "AccuracyUSec", "t", std::uint64_t{100'000},                                    //
      "RemainAfterElapse", "b", 0,                                                    //
      "CollectMode", "s", "inactive-or-failed",                                       //
      1, service.c_str(), 7,                                                          //
      "Description", "s", "rolewall: rolls back what was not confirmed",              //
      "Type", "s", "oneshot",                                                         //
      "CollectMode", "s", "inactive-or-failed",                                       //
      "Restart", "s", "on-failure", "StartLimitIntervalUSec", "t", std::uint64_t{0},  //
      "RestartUSec", "t", std::uint64_t{2'000'000},                                   //
      "ExecStart", "a(sasb)", 1, program.c_str(), 5, program.c_str(), "rollback",     //
      "--expired", "--state-dir", state_directory.c_str(), 0);
  if (status < 0) return refused("the timer's description", status);
  return send(bus, **call, "StartTransientUnit of the timer");
}

// Where systemd has the unit; "" where it has none of that name.
std::string path_of_unit(sd_bus& bus, const std::string& unit) {
  const auto call = new_call(bus, "GetUnit");
  if (!call || sd_bus_message_append(call->get(), "s", unit.c_str()) < 0) return "";
  sd_bus_message* answer = nullptr;
  const int status = sd_bus_call(&bus, call->get(), kPatienceUs, nullptr, &answer);
  const Message owned(answer);
  const char* path = nullptr;
  if (status < 0 || sd_bus_message_read(answer, "o", &path) < 0) return "";
  return path;
}

// SubState: what is of it beside active and inactive.
std::string state_of(sd_bus& bus, const std::string& path) {
  char* text = nullptr;
  const int status = sd_bus_get_property_string(
      &bus, kService, path.c_str(), "org.freedesktop.systemd1.Unit", "SubState", nullptr, &text);
  const std::string state = status < 0 ? "" : text;
  std::free(text);
  return state;
}

// A timer that systemd cannot compute a time for waits for ever.
bool has_time(sd_bus& bus, const std::string& path) {
  std::uint64_t next = 0;
  const int status =
      sd_bus_get_property_trivial(&bus, kService, path.c_str(), "org.freedesktop.systemd1.Timer",
                                  "NextElapseUSecMonotonic", nullptr, 't', &next);
  return status >= 0 && next != 0 && next != UINT64_MAX;
}

}  // namespace

bool timer_will_fire(const std::string& token) {
  const Result<Bus> bus = connect();
  if (!bus) return false;
  const std::string timer = path_of_unit(**bus, unit_name(token, "timer"));
  if (!timer.empty() && state_of(**bus, timer) == "waiting" && has_time(**bus, timer)) return true;
  const std::string service = path_of_unit(**bus, unit_name(token, "service"));
  if (service.empty()) return false;
  const std::string state = state_of(**bus, service);
  return state == "start" || state == "auto-restart";
}

bool systemd_runs_here() {
  struct stat there{};
  if (::lstat("/run/systemd/system", &there) != 0 || !S_ISDIR(there.st_mode)) return false;
  struct stat ours{};
  struct stat its{};
  return ::stat("/proc/self/ns/net", &ours) == 0 && ::stat("/proc/1/ns/net", &its) == 0 &&
         ours.st_dev == its.st_dev && ours.st_ino == its.st_ino;
}

Result<void> guard_by_systemd(pid_t process, const std::string& token, std::chrono::seconds within,
                              const std::string& state_directory) {
  const Result<Bus> bus = connect();
  if (!bus) return std::unexpected(bus.error());
  TRY(make_scope(**bus, process, token));
  return make_timer(**bus, token, within, state_directory);
}

void stop_timer(const std::string& token) {
  const Result<Bus> bus = connect();
  if (!bus) return;
  const auto call = new_call(**bus, "StopUnit");
  if (!call) return;
  if (sd_bus_message_append(call->get(), "ss", unit_name(token, "timer").c_str(), "replace") < 0) {
    return;
  }
  [[maybe_unused]] const auto done = send(**bus, **call, "StopUnit");
}

}  // namespace rolewall::apply
