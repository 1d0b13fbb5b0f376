// The files of a site: reads their text, and from a role's or block's tree its rules and tests.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "policy/loader.h"
#include "policy/rule.h"

namespace rolewall::policy {

// A role or block whose text was read.
struct OpenFile {
  Index index = 0;  // into Policy::files
  std::optional<Value> tree;
  std::optional<Section> section;  // of `tree`, checked
  std::optional<Span> used_at;     // a block: where a role first uses it
};

// The tables of a rules/services.toml.
struct ServicesFile {
  std::optional<Value> services;
  std::optional<Value> kinds;
};

// All roles beside site.toml, and the blocks that they use.
class RuleFiles {
 public:
  explicit RuleFiles(Loader& loader) : loader_(loader) {}

  void open_roles();
  void open_blocks();
  void open_shipped_services();  // alone, where there is no site

  // Blocks' defaults, the site's own blocks first.
  std::vector<const OpenFile*> blocks() const;
  // The site's rules/services.toml and the shipped one, where they are.
  const ServicesFile& site_services() const { return site_services_; }
  const ServicesFile& shipped_services() const { return shipped_services_; }

  // After names are resolved.
  void find_hosts();
  void read_rules();
  void read_tests();
  void read_skips();
  void report_unused() const;

 private:
  void open_role(const std::string& stem);
  std::optional<Index> open_block(const std::string& name, Span used_at);
  ServicesFile open_services(const std::string& directory);
  void read_use(Index role, const Section& section);
  void read_rules_of(const OpenFile& open, const Section& section, Direction direction);
  void add_rule(RuleFile& file, Rule rule, std::map<std::string, Span>& seen);
  RuleSource source_of(const OpenFile& open) const;

  Loader& loader_;
  std::deque<OpenFile> files_;            // Sections point into it
  std::vector<std::string> site_blocks_;  // names in the site's rules/
  std::vector<std::string> shipped_blocks_;
  std::map<std::string, Index, std::less<>> opened_blocks_;
  ServicesFile site_services_;
  ServicesFile shipped_services_;
};

// Reads and parses a policy file; what is wrong is reported, and there is no value.
std::optional<Value> open_toml(Loader& loader, const std::string& path, FileId& file);

}  // namespace rolewall::policy
