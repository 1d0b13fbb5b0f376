// A site's ends in columns, and who sends to whom: outside at the left, then the roles by how far
// from there they are, and at the right the networks that roles send to.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "ask/reach.h"
#include "policy/policy.h"
#include "report/html.h"

namespace rolewall::report {

struct FlowEnd {
  std::string name;
  std::size_t hosts = 0;  // of a role; 0: it is outside
  bool is_role = false;
  int column = 0;
  int row = 0;
  std::vector<std::string> others;  // which one box stands for as well (fold.h)
};

struct Flow {
  std::size_t from = 0;  // into Flows::ends
  std::size_t to = 0;
  std::vector<std::string> services;  // ping aside
  bool outermost = false;             // from the internet, or from a role further out
  // From a network, and no more than the internet may do: in the table alone.
  bool as_internet = false;
};

struct Flows {
  std::vector<FlowEnd> ends;
  std::vector<Flow> flows;
  int columns = 0;
  int rows = 0;
};

// Ends without a flow are left out, but roles never are.
Flows flows_of(const policy::Policy& policy, const std::vector<ask::Reach>& reach);

// `links`: the anchor of a role's hosts, by its name.
void draw(Html& html, const Flows& flows, const std::map<std::string, std::string>& links);

}  // namespace rolewall::report
