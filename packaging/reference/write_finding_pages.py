#!/usr/bin/env python3
"""docs/findings/*.md as a C++ table, so that `rolewall explain CODE` shows the page on any machine."""
import pathlib
import sys


def entry(path: pathlib.Path) -> str:
    title, page = path.read_text().split("\n", 1)
    if title != f"# {path.stem}":
        sys.exit(f"{path}: the first line is not `# {path.stem}`")
    return f'    {{"{path.stem}", R"page({page.strip()}\n)page"}},'


def main() -> None:
    target, *pages = map(pathlib.Path, sys.argv[1:])
    target.write_text("\n".join([
        '#include "cli/finding_pages.h"', "", "#include <algorithm>", "#include <array>", "#include <utility>", "",
        "namespace rolewall::cli {", "namespace {", "",
        "constexpr std::pair<std::string_view, std::string_view> kFindingPages[] = {",
        *(entry(page) for page in sorted(pages)), "};", "", "}  // namespace", "",
        "std::string_view finding_page(std::string_view code) {",
        "  const auto* page = std::ranges::find(kFindingPages, code, [](const auto& each) { return each.first; });",
        "  return page == std::end(kFindingPages) ? std::string_view() : page->second;", "}", "",
        "}  // namespace rolewall::cli", ""]))


if __name__ == "__main__":
    main()
