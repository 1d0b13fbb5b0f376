#include "apply/policy_sources.h"

#include <nlohmann/json.hpp>

namespace rolewall::apply {

using Json = nlohmann::json;

std::string to_json(const PolicySources& sources) {
  const Json json{{"version", 1},
                  {"directory", sources.directory},
                  {"rules", sources.rules},
                  {"files", sources.files},
                  {"folders", sources.folders}};
  // A list file's comments may be of any encoding.
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<PolicySources> policy_sources_from_json(const std::string& text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  PolicySources sources;
  try {
    if (json.at("version").get<int>() == 1) {
      json.at("directory").get_to(sources.directory);
      json.at("rules").get_to(sources.rules);
      for (const auto& [path, file] : json.at("files").items()) file.get_to(sources.files[path]);
      for (const auto& [path, names] : json.at("folders").items()) {
        names.get_to(sources.folders[path]);
      }
      return sources;
    }
  } catch (const Json::exception&) {
  }
  return fail(ErrorKind::Io, "policies.json: not what this version of rolewall writes");
}

}  // namespace rolewall::apply
