#include "observe/absent_devices.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "ruleset/expr.h"
#include "ruleset/load_size.h"
#include "ruleset/own_table.h"
#include "ruleset/registers.h"

namespace rolewall::observe {
namespace {

namespace r = ruleset;

class Named {
 public:
  void take(const r::Table& table) {
    for (const r::Set& set : table.sets) take(set);
    for (const r::Chain& chain : table.chains) {
      for (const r::Rule& rule : chain.rules) take(rule);
    }
  }

  // Each with whether a source that is `behind` it is dropped elsewhere.
  const std::map<std::string, bool>& all() const { return all_; }

 private:
  // A name is padded with zeros; a pattern is cut where its '*' stands.
  void add(std::span<const std::uint8_t> bytes, bool spoofed) {
    const auto end = std::ranges::find(bytes, std::uint8_t{0});
    std::string name(bytes.begin(), end);
    if (name.empty()) return;
    if (end == bytes.end() && bytes.size() < r::kInterfaceNameSize) name += '*';
    bool& behind = all_[name];
    behind = behind || spoofed;
  }

  void take(const r::Set& set) {
    std::size_t at = 0;
    for (const r::KeyField& field : set.key) {
      if (field.type == r::DataType::IfName) {
        for (std::size_t row = 0; row < set.elements.count(); ++row) {
          add(set.elements.key(row).subspan(at, field.size), false);
        }
      }
      at += r::padded_size(field.size);
    }
  }

  void take(const r::Rule& rule) {
    std::optional<r::Register> name;
    for (const r::Expr& expr : rule.exprs) {
      if (const auto* load = std::get_if<r::Meta>(&expr)) {
        const bool is_name = load->key == r::MetaKey::IifName || load->key == r::MetaKey::OifName;
        if (is_name) name = load->destination;
        if (!is_name && name == load->destination) name.reset();
      } else if (const auto* cmp = std::get_if<r::Cmp>(&expr);
                 cmp != nullptr && name == cmp->source) {
        add({cmp->value.begin(), cmp->value.end()}, rule.comment == r::own::step::kSpoofed);
      }
    }
  }

  std::map<std::string, bool> all_;
};

bool is_there(std::string_view name, const r::Host& machine) {
  if (name == "lo") return true;
  return std::ranges::any_of(machine.interfaces, [&](const r::Interface& interface) {
    if (name.ends_with('*')) return interface.device.starts_with(name.substr(0, name.size() - 1));
    return interface.device == name;
  });
}

}  // namespace

std::vector<Finding> absent_devices(const ruleset::Table& own, const ruleset::Host& machine) {
  Named named;
  named.take(own);
  std::vector<Finding> findings;
  for (const auto& [name, behind] : named.all()) {
    if (is_there(name, machine)) continue;
    findings.push_back(
        {Weight::Warning, Code::AbsentDevice,
         fmt::format("rules name the device {}, which this machine does not have{}", name,
                     behind ? ": packets from the networks `behind` it are dropped, as (spoofed), "
                              "on every device"
                            : ""),
         "`ip link` lists this machine's devices: it may appear later, or have another name by "
         "now"});
  }
  return findings;
}

}  // namespace rolewall::observe
