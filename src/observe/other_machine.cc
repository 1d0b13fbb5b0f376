#include "observe/other_machine.h"

#include <fmt/format.h>

#include <vector>

#include "net/address_set.h"

namespace rolewall::observe {
namespace {

net::AddressSet addresses_of(const ruleset::Host& host) {
  return net::AddressSet::from(host.addresses) | net::AddressSet::from(host.virtual_addresses);
}

}  // namespace

std::optional<Finding> other_machine(const ruleset::Host& host, const ruleset::Host& machine,
                                     std::string_view machine_name) {
  const std::string_view short_name = machine_name.substr(0, machine_name.find('.'));
  if (host.name == machine_name || host.name == short_name) return std::nullopt;
  if (!(addresses_of(host) & addresses_of(machine)).empty()) return std::nullopt;
  return Finding{
      Weight::Warning, Code::OtherMachine,
      fmt::format("this is the ruleset of {}, but this machine is called {} and has none "
                  "of its addresses",
                  host.name, machine_name),
      "`--host` says which host of the site this machine is"};
}

}  // namespace rolewall::observe
