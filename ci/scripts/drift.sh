#!/usr/bin/env bash
# Looks for drift and leaves a report from which an issue is made. Drift is no failure here; not being able to look is.
#
#   FLEETCTL_FILE       manifest (fleet.yaml)           FLEETCTL_REPORT     directory (fleet-report)
#   FLEETCTL_ARGUMENTS  more options of `fleetctl drift`
set -euo pipefail
report=${FLEETCTL_REPORT:-fleet-report}
read -ra more <<<"${FLEETCTL_ARGUMENTS:-}"
rm -rf -- "$report"
mkdir -p -- "$report"

code=0
fleetctl drift --output markdown "${more[@]}" >"$report/drift.markdown" || code=$?
cat -- "$report/drift.markdown"
case $code in
0) changes=false ;;
2) changes=true ;;
*) exit "$code" ;;
esac
echo "$changes" >"$report/changes"
echo "changes=$changes" >>"${GITHUB_OUTPUT:-/dev/null}"
