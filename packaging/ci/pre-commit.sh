#!/bin/sh
# For pre-commit: the policies that hold a changed file are checked, each site once. Whatever lies beside or below a
# site.toml is of that site.
set -eu
sites=""
for file in "$@"; do
  folder=$(dirname "$file")
  while [ ! -e "$folder/site.toml" ] && [ "$folder" != . ] && [ "$folder" != / ]; do folder=$(dirname "$folder"); done
  [ -e "$folder/site.toml" ] || continue
  case "|$sites" in *"|$folder|"*) continue ;; esac
  sites="$sites$folder|"
done
status=0
IFS='|'
for site in $sites; do rolewall check "$site" || status=1; done
exit "$status"
