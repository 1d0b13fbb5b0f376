#!/bin/sh
# Checks the policies: annotations in the log, findings as SARIF, JUnit and GitLab's code quality beside it, and the step's
# summary, where there is one. The exit status is rolewall's.
#
#   ROLEWALL_POLICIES   their directory (default: policies)
#   ROLEWALL_STRICT     "true": warnings count like errors
#   ROLEWALL_BASELINE   a file of known findings
#   ROLEWALL_FORMAT     what the log shows: github (default in a workflow), else text
set -eu
if [ -n "${ROLEWALL_FORMAT:-}" ]; then
  format=$ROLEWALL_FORMAT
elif [ -n "${GITHUB_ACTIONS:-}" ]; then
  format=github
else
  format=text
fi
set -- "${ROLEWALL_POLICIES:-policies}" --format "$format" --also sarif=rolewall.sarif --also junit=rolewall.junit.xml \
  --also gitlab=rolewall.codequality.json --also markdown=rolewall.summary.md
if [ "${ROLEWALL_STRICT:-false}" = true ]; then set -- "$@" --strict; fi
if [ -n "${ROLEWALL_BASELINE:-}" ]; then set -- "$@" --baseline "$ROLEWALL_BASELINE"; fi
status=0
rolewall check "$@" || status=$?
if [ -n "${GITHUB_STEP_SUMMARY:-}" ] && [ -s rolewall.summary.md ]; then
  cat rolewall.summary.md >>"$GITHUB_STEP_SUMMARY"
fi
exit "$status"
