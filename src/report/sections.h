// The page's sections, one function each, and what they are made of.
#pragma once

#include <string_view>

#include "report/anchors.h"
#include "report/html.h"
#include "report/model.h"

namespace rolewall::report {

// A table that may be wider than a phone: it scrolls by itself, by the keyboard too.
class WideTable {
 public:
  WideTable(Html& html, std::string_view caption, std::initializer_list<std::string_view> columns);

 private:
  Html::Element region_;
  Html::Element table_;
};

// "1 host", "3 hosts".
std::string counted(std::size_t number, std::string_view noun);

// A place in a policy with the line's own words.
void write_line(Html& html, PolicyLines& lines, std::string_view rule, const std::string& file,
                std::uint32_t line);

void write_flows(Html& html, const Model& model, const Anchors& anchors);
void write_reach(Html& html, const Model& model, PolicyLines& lines);
void write_findings(Html& html, const Model& model, const Anchors& anchors, PolicyLines& lines);
void write_laws(Html& html, const Model& model);
void write_hosts(Html& html, const Model& model, const Anchors& anchors);
void write_base(Html& html, const Model& model);
void write_counters(Html& html, const Model& model, const Anchors& anchors);

}  // namespace rolewall::report
