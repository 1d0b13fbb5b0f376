// What only a disk can hold: a directory, a FIFO and a huge file in place of a policy.
#include "policy/files.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "policy/load.h"

namespace rolewall::policy {
namespace {

namespace fs = std::filesystem;

// A site on the disk, gone with the test.
struct DiskSite {
  DiskSite() {
    std::string name = (fs::temp_directory_path() / "rolewall-test-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    root = name;
    write("site.toml", "[hosts.web-01]\nrole = \"web\"\naddresses = \"10.0.0.1\"\n");
    write("web.toml", "role = \"web\"\n");
  }
  ~DiskSite() { fs::remove_all(root); }
  DiskSite(const DiskSite&) = delete;
  DiskSite& operator=(const DiskSite&) = delete;

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(root / name) << text;
  }

  std::vector<Diagnostic> findings() const {
    Diagnostics diagnostics;
    const LoadOptions options{
        "", Date{std::chrono::year(2026), std::chrono::month(6), std::chrono::day(1)}};
    const Policy policy = load(root.string(), options, diagnostics);
    for (const Diagnostic& each : diagnostics.all()) {
      CHECK(each.code == "unreadable-file");
      CHECK(policy.sources.format(each.span).starts_with(root.string()));
    }
    return diagnostics.all();
  }

  fs::path root;
};

bool says(const std::vector<Diagnostic>& findings, std::string_view text) {
  return findings.size() == 1 && findings[0].message.find(text) != std::string::npos;
}

}  // namespace

TEST_CASE("a site is read from the disk") {
  CHECK(DiskSite().findings().empty());
}

TEST_CASE("a directory in place of a file") {
  const DiskSite site;
  fs::create_directory(site.root / "db.toml");
  CHECK(says(site.findings(), "is a directory"));
}

TEST_CASE("a FIFO in place of a file does not hang") {
  const DiskSite site;
  REQUIRE(::mkfifo((site.root / "db.toml").c_str(), 0600) == 0);
  CHECK(says(site.findings(), "not a regular file"));
}

TEST_CASE("a file of 100 MB is not read") {
  const DiskSite site;
  site.write("db.toml", "role = \"db\"\n");
  fs::resize_file(site.root / "db.toml", 100u << 20);
  CHECK(says(site.findings(), "larger than the limit"));
}

TEST_CASE("a directory in place of a lock, and of site.toml") {
  const DiskSite site;
  fs::create_directory(site.root / "rolewall.lock");
  CHECK(says(site.findings(), "is a directory"));
  fs::remove(site.root / "rolewall.lock");
  fs::remove(site.root / "site.toml");
  CHECK(says(site.findings(), "No such file"));
}

TEST_CASE("a link to nowhere") {
  const DiskSite site;
  fs::create_symlink("nowhere", site.root / "db.toml");
  CHECK(says(site.findings(), "No such file"));
}

TEST_CASE("an editor's files are no roles") {
  const DiskSite site;
  site.write(".web.toml.swp", "");
  site.write(".#db.toml", "not TOML");
  site.write("web.toml~", "not TOML");
  site.write("README", "not TOML");
  CHECK(site.findings().empty());
}

}  // namespace rolewall::policy
