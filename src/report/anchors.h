// Where on the page the policy's rules, its hosts and the hosts of each role are written.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>

#include "base/source.h"
#include "report/model.h"

namespace rolewall::report {

class Anchors {
 public:
  explicit Anchors(const Model& model);

  // Of what stands at this place of a policy; "" where the page has nothing of it.
  std::string of(const Span& span) const;
  const std::map<std::string, std::string>& of_roles() const { return roles_; }

 private:
  void add(const Span& span, const char* word);

  std::map<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>, std::string> places_;
  std::map<std::string, std::string> roles_;  // by their names
};

// "web", "web, monitoring": by which a page puts hosts together.
std::string roles_of(const Model& model, const HostKind& kind);

}  // namespace rolewall::report
