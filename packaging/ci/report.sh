#!/bin/sh
# Writes the policies as one HTML page, rolewall.report.html, which the workflow keeps as an artifact: the findings, who reaches
# whom, and in a pull request what differs from its base. The check's own status says whether they are right; of wrong policies
# there is no page, which is no failure of this step.
#
#   ROLEWALL_POLICIES   their directory (default: policies)
#   ROLEWALL_BASE       the base commit; "": nothing is compared
set -eu
policies=${ROLEWALL_POLICIES:-policies}
page=rolewall.report.html
rm -f "$page"
set -- "$policies" --output "$page"
folder=$(mktemp -d)
trap 'git worktree remove --force "$folder/base" >/dev/null 2>&1 || :; rm -rf "$folder"' EXIT
if [ -n "${ROLEWALL_BASE:-}" ]; then
  git cat-file -e "$ROLEWALL_BASE^{commit}" 2>/dev/null || git fetch --quiet --no-tags --depth=1 origin "$ROLEWALL_BASE"
  git worktree add --quiet --detach "$folder/base" "$ROLEWALL_BASE"
  if [ -e "$folder/base/$policies/site.toml" ]; then set -- "$@" --base "$folder/base/$policies"; fi
fi
status=0
rolewall report "$@" >"$folder/words" 2>&1 || status=$?
case "$status" in
  0) sed -i "s#$folder/base/#base:#g" "$page"; echo "wrote $page" ;;
  1 | 2) cat "$folder/words"; echo "no page: the policies, or the base's, are wrong" ;;
  *) cat "$folder/words" >&2; exit "$status" ;;
esac
