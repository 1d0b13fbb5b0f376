#include "cli/log_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "base/calendar.h"
#include "cli/json.h"
#include "cli/printed_commands.h"
#include "cli/shown_stats.h"
#include "cli/terminal.h"
#include "observe/advice.h"

namespace rolewall::cli {
namespace {

using observe::LogEvent;

std::string with_name(const observe::WrittenPolicy& policy, const net::Address& address) {
  const std::string name = policy.name_of(address);
  return name.empty() ? "" : fmt::format(" ({})", name);
}

// "02:10:33" by UTC, as all that we print.
std::string clock_of(const LogEvent& event) {
  const std::string moment = format_moment(event.time_ns);
  const std::size_t at = moment.find('T');
  return event.time_ns == 0 || at == std::string::npos ? "--:--:--" : moment.substr(at + 1, 8);
}

// "" where the packet's bytes do not say.
std::string service_of(const ShownEvent& shown) {
  const observe::PacketHead& packet = *shown.event.packet;
  if (packet.lacks_service) return "";
  return shown.policy.service_name(packet.protocol, packet.from_port, packet.to_port,
                                   packet.icmp_type);
}

// As packet_words() has it, with what each end and the service is called behind it.
std::string packet_of(const ShownEvent& shown) {
  const auto& packet = shown.event.packet;
  if (!packet) return "a packet that cannot be read";
  const std::string words = packet_words(*packet);
  const std::string service = service_of(shown);
  const std::string literal =
      observe::service_literal(packet->protocol, packet->to_port, packet->icmp_type);
  const std::size_t arrow = words.find(" > ");
  const std::size_t end = std::min(words.find(' ', arrow + 3), words.size());
  return fmt::format("{}{}{}{}{}{}", words.substr(0, arrow), with_name(shown.policy, packet->from),
                     words.substr(arrow, end - arrow), with_name(shown.policy, packet->to),
                     words.substr(end), service.empty() || service == literal ? "" : " " + service);
}

std::string by_whom(const ShownEvent& shown) {
  const LogEvent& event = shown.event;
  const std::string line = policy_line_of(shown.policy, event.name);
  return fmt::format("{} {} {}{}", event.fate, event.name, name_of(event.direction),
                     line.empty() ? "" : fmt::format(" {}", line));
}

std::string event_words(const ShownEvent& shown) {
  const LogEvent& event = shown.event;
  std::string text = fmt::format("{}: {}", by_whom(shown), packet_of(shown));
  if (!event.in_device.empty()) text += " in=" + event.in_device;
  if (!event.out_device.empty()) text += " out=" + event.out_device;
  if (event.user) text += fmt::format(" user={}", *event.user);
  if (shown.times != 0) {
    text += fmt::format(", {} in {} s", counted(shown.times, "more line"), shown.seconds);
  }
  return printable(text);
}

// A value with an end of a line in it needs the form with a length; ours are printable.
void add_field(std::string& fields, std::string_view name, const std::string& value) {
  if (!value.empty()) fields += fmt::format("{}={}\n", name, value);
}

}  // namespace

std::string log_text(const ShownEvent& shown) {
  std::string text = fmt::format("{} {}\n", clock_of(shown.event), event_words(shown));
  if (!shown.explains || shown.times != 0) return text;
  for (const std::string& line : admission_advice(shown.event, shown.policy)) {
    text += fmt::format("         = {}\n", with_given_options(printable(line)));
  }
  return text;
}

std::string log_json(const ShownEvent& shown) {
  const LogEvent& event = shown.event;
  Json json{{"version", kJsonVersion},
            {"verb", "log"},
            {"event", shown.times == 0 ? "packet" : "repeated"},
            {"rule", printable(event.name)},
            {"fate", printable(event.fate)},
            {"direction", name_of(event.direction)}};
  if (event.time_ns != 0) json["time"] = format_moment(event.time_ns);
  if (shown.times != 0) {
    json["times"] = shown.times;
    json["seconds"] = shown.seconds;
  }
  if (!event.in_device.empty()) json["in"] = printable(event.in_device);
  if (!event.out_device.empty()) json["out"] = printable(event.out_device);
  if (event.user) json["user"] = *event.user;
  if (const observe::WrittenRule* rule = shown.policy.rule(event.name)) {
    json["file"] = printable(rule->file);
    if (rule->line != 0) json["line"] = rule->line;
  } else if (const ruleset::Written* defaults = shown.policy.defaults();
             defaults != nullptr && event.name.starts_with('(')) {
    json["file"] = printable(defaults->file);
    if (defaults->line != 0) json["line"] = defaults->line;
  }
  if (const auto& packet = event.packet) {
    json["packet"] = packet_words(*packet);
    json["from"] = net::format(packet->from);
    json["to"] = net::format(packet->to);
    const std::string from = shown.policy.name_of(packet->from);
    const std::string to = shown.policy.name_of(packet->to);
    if (!from.empty()) json["from_name"] = printable(from);
    if (!to.empty()) json["to_name"] = printable(to);
    if (!packet->lacks_service) json["service"] = printable(service_of(shown));
  }
  if (shown.explains && shown.times == 0) {
    json["advice"] = Json::array();
    for (const std::string& line : admission_advice(event, shown.policy)) {
      json["advice"].push_back(with_given_options(printable(line)));
    }
  }
  return json.dump() + "\n";
}

std::string journal_fields(const ShownEvent& shown) {
  const LogEvent& event = shown.event;
  std::string fields = journal_message(event_words(shown), was_admitted(event) ? 6 : 5);
  add_field(fields, "ROLEWALL_RULE", printable(event.name));
  add_field(fields, "ROLEWALL_FATE", printable(event.fate));
  add_field(fields, "ROLEWALL_DIRECTION", std::string(name_of(event.direction)));
  add_field(fields, "ROLEWALL_IN", printable(event.in_device));
  add_field(fields, "ROLEWALL_OUT", printable(event.out_device));
  add_field(fields, "ROLEWALL_LINE", printable(policy_line_of(shown.policy, event.name)));
  if (shown.times != 0) add_field(fields, "ROLEWALL_TIMES", fmt::format("{}", shown.times));
  if (const auto& packet = event.packet) {
    add_field(fields, "ROLEWALL_PACKET", packet_words(*packet));
    add_field(fields, "ROLEWALL_FROM", net::format(packet->from));
    add_field(fields, "ROLEWALL_TO", net::format(packet->to));
    add_field(fields, "ROLEWALL_FROM_NAME", printable(shown.policy.name_of(packet->from)));
    add_field(fields, "ROLEWALL_TO_NAME", printable(shown.policy.name_of(packet->to)));
    add_field(fields, "ROLEWALL_SERVICE", printable(service_of(shown)));
  }
  return fields;
}

std::string journal_message(const std::string& message, int priority) {
  return fmt::format("MESSAGE={}\nPRIORITY={}\nSYSLOG_IDENTIFIER=rolewall\n", printable(message),
                     priority);
}

}  // namespace rolewall::cli
