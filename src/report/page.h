// The report as one HTML page that loads nothing: no script, one style sheet within it, which the
// page permits by its hash and nothing else beside it.
#pragma once

#include <string>

#include "report/model.h"

namespace rolewall::report {

std::string page(const Model& model);

}  // namespace rolewall::report
