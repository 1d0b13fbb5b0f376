#!/bin/sh
# Compares the policies with those of the base commit: which packets are newly accepted or denied. The result becomes a
# comment of the pull request (one, which is changed with each push); where the token may not write (a pull request from a
# fork), it goes to the step's summary. A difference is no failure, nor is it one if the base's policies have errors: what is
# right or wrong with the policies themselves the check says.
#
#   ROLEWALL_POLICIES   their directory (default: policies)
#   ROLEWALL_BASE       the base commit
#   ROLEWALL_PULL       the pull request's number; "": no comment
set -eu
# In a job's container the checkout belongs to another user than the steps run as.
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*'
policies=${ROLEWALL_POLICIES:-policies}
mark='<!-- rolewall diff -->'
folder=$(mktemp -d)
trap 'git worktree remove --force "$folder/base" >/dev/null 2>&1 || :; rm -rf "$folder"' EXIT

# A checkout of a workflow has the last commit alone.
git cat-file -e "$ROLEWALL_BASE^{commit}" 2>/dev/null || git fetch --quiet --no-tags --depth=1 origin "$ROLEWALL_BASE"
git worktree add --quiet --detach "$folder/base" "$ROLEWALL_BASE"

{
  echo "$mark"
  echo "### rolewall: what this change opens and closes"
  echo
} >"$folder/comment.md"
if [ ! -e "$folder/base/$policies/site.toml" ]; then
  echo "The base has no policies in \`$policies\`: everything is new." >>"$folder/comment.md"
else
  status=0
  rolewall diff "$folder/base/$policies" "$policies" --format markdown >"$folder/diff.md" 2>"$folder/errors" || status=$?
  if [ "$status" -gt 1 ]; then
    cat "$folder/errors" >&2
    # Against themselves they can be compared: so it is the base that cannot.
    rolewall diff "$policies" "$policies" >/dev/null 2>&1 || exit "$status"
    {
      echo "The base's policies have errors, so nothing can be compared with them:"
      echo
      sed 's/^/    /' "$folder/errors"
    } >"$folder/diff.md"
  fi
  # The base is a folder of this run alone.
  sed -i "s#$folder/base/#base:#g" "$folder/diff.md"
  # GitHub's limit of a comment is 65,536 characters.
  head -c 60000 "$folder/diff.md" >>"$folder/comment.md"
  [ "$(wc -c <"$folder/diff.md")" -le 60000 ] || printf '\n\n(cut short)\n' >>"$folder/comment.md"
fi
cp "$folder/comment.md" rolewall.diff.md

comment() {
  [ -n "${ROLEWALL_PULL:-}" ] && [ -n "${GH_TOKEN:-}" ] && command -v gh >/dev/null || return 1
  earlier=$(gh api --paginate "repos/$GITHUB_REPOSITORY/issues/$ROLEWALL_PULL/comments" \
    --jq ".[] | select(.body | startswith(\"$mark\")) | .id" | head -n 1) || return 1
  if [ -n "$earlier" ]; then
    gh api --silent --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$earlier" -F body=@rolewall.diff.md
  else
    gh api --silent --method POST "repos/$GITHUB_REPOSITORY/issues/$ROLEWALL_PULL/comments" -F body=@rolewall.diff.md
  fi
}
if comment; then
  echo "commented on the pull request"
elif [ -n "${GITHUB_STEP_SUMMARY:-}" ]; then
  cat rolewall.diff.md >>"$GITHUB_STEP_SUMMARY"
  echo "in the step's summary: this token may not comment"
else
  cat rolewall.diff.md
fi
