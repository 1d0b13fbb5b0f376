#!/bin/sh
# Writes the policies as one HTML page, rolewall.report.html, which the workflow keeps as an artifact: the findings, who reaches
# whom, and in a pull request what differs from its base. The check's own status says whether they are right; of wrong policies
# there is no page, which is no failure of this step. If the base's alone are wrong, nothing is compared.
#
#   ROLEWALL_POLICIES   their directory (default: policies)
#   ROLEWALL_BASE       the base commit; "": nothing is compared
set -eu
# In a job's container the checkout belongs to another user than the steps run as.
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*'
policies=${ROLEWALL_POLICIES:-policies}
page=rolewall.report.html
rm -f "$page"
base=""
folder=$(mktemp -d)
trap 'git worktree remove --force "$folder/base" >/dev/null 2>&1 || :; rm -rf "$folder"' EXIT
if [ -n "${ROLEWALL_BASE:-}" ]; then
  git cat-file -e "$ROLEWALL_BASE^{commit}" 2>/dev/null || git fetch --quiet --no-tags --depth=1 origin "$ROLEWALL_BASE"
  git worktree add --quiet --detach "$folder/base" "$ROLEWALL_BASE"
  if [ -e "$folder/base/$policies/site.toml" ]; then base=$folder/base/$policies; fi
fi
write() {
  status=0
  rolewall report "$policies" --output "$page" "$@" >"$folder/words" 2>&1 || status=$?
}
if [ -n "$base" ]; then write --base "$base"; else write; fi
case "$status" in
  1 | 2)
    if [ -n "$base" ]; then
      cat "$folder/words"
      write
      [ "$status" -ne 0 ] || echo "the base's policies have errors: the page compares nothing"
    fi
    ;;
esac
case "$status" in
  0) sed -i "s#$folder/base/#base:#g" "$page"; echo "wrote $page" ;;
  1 | 2) cat "$folder/words"; echo "no page: the policies are wrong" ;;
  *) cat "$folder/words" >&2; exit "$status" ;;
esac
