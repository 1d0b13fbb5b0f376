#include "samples.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "process.h"

namespace rolewall::corpus {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

std::string read_all(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) {
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

std::vector<fs::path> files_of(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

// nft/TOOL/NAME.nft, with the devices that index.tsv names.
void add_rulesets(const fs::path& folder, std::vector<Sample>& samples) {
  std::ifstream index(folder / "index.tsv");
  std::string line;
  std::getline(index, line);  // the columns' names
  while (std::getline(index, line)) {
    std::vector<std::string> columns;
    std::istringstream stream(line);
    for (std::string column; std::getline(stream, column, '\t');) columns.push_back(column);
    if (columns.size() < 3) continue;
    Sample sample;
    sample.name = columns[0];
    sample.loader = {"nft", "-f", "-"};
    sample.head = read_all(folder / columns[0]);
    sample.interfaces = split(columns[2], ',');
    samples.push_back(std::move(sample));
  }
}

// single-rules.jsonl.gz: those that need the same tables, chains and sets go into one sample.
void add_single_rules(const fs::path& folder, std::vector<Sample>& samples) {
  const fs::path file = folder / "single-rules.jsonl.gz";
  std::map<std::string, Sample> by_setup;
  for (const std::string& line : split(output_of({"zcat", file.string()}, ""), '\n')) {
    const Json row = Json::parse(line);
    std::string setup;
    for (const auto& command : row.at("setup")) setup += command.get<std::string>() + "\n";
    Sample& sample = by_setup[setup];
    sample.name = fmt::format("single rules {} ({})", by_setup.size(), row.at("family").dump());
    sample.loader = {"nft", "-f", "-"};
    sample.head = setup;
    sample.commands.push_back(row.at("rule"));
    sample.bytecode.push_back(row.at("bytecode"));
  }
  for (auto& [setup, sample] : by_setup) samples.push_back(std::move(sample));
}

// NAME.v4.save and NAME.v6.save: as they are, and in nft's words.
void add_saves(const fs::path& folder, std::vector<Sample>& samples) {
  for (const fs::path& path : files_of(folder / "iptables")) {
    const std::string program = path.stem().extension() == ".v6" ? "ip6tables" : "iptables";
    Sample sample;
    sample.name = path.filename().string();
    sample.origin = Origin::Iptables;
    sample.loader = {program + "-nft-restore"};
    sample.head = read_all(path);
    Sample translated = sample;
    samples.push_back(std::move(sample));
    translated.name += ", translated";
    translated.origin = Origin::Translated;
    translated.loader = {"nft", "-f", "-"};
    translated.head =
        output_of({program + "-restore-translate", "-f", "/dev/stdin"}, translated.head);
    if (!translated.head.empty()) samples.push_back(std::move(translated));
  }
}

}  // namespace

std::string Sample::text() const {
  std::string text = head;
  for (const std::string& command : commands) text += command + "\n";
  return text;
}

std::pair<Sample, Sample> Sample::halves() const {
  std::pair<Sample, Sample> both{*this, *this};
  const auto middle = static_cast<std::ptrdiff_t>(commands.size() / 2);
  both.first.commands.assign(commands.begin(), commands.begin() + middle);
  both.second.commands.assign(commands.begin() + middle, commands.end());
  if (!bytecode.empty()) {
    both.first.bytecode.assign(bytecode.begin(), bytecode.begin() + middle);
    both.second.bytecode.assign(bytecode.begin() + middle, bytecode.end());
  }
  return both;
}

Result<std::vector<Sample>> read_samples(const std::string& folder) {
  std::vector<Sample> samples;
  try {
    add_rulesets(folder, samples);
    add_single_rules(folder, samples);
    add_saves(folder, samples);
  } catch (const Json::exception& error) {
    return fail(ErrorKind::Io, fmt::format("{}/single-rules.jsonl.gz: {}", folder, error.what()));
  }
  if (samples.empty()) return fail(ErrorKind::Io, folder + " holds no rulesets");
  return samples;
}

}  // namespace rolewall::corpus
