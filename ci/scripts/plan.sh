#!/usr/bin/env bash
# Plans, saves the plan, and leaves a report from which a comment is made. Needs no secret: what cannot be read without
# one is told in the report, and makes the plan incomplete but no failure. Anything else that is wrong is one.
#
#   FLEETCTL_FILE       manifest (fleet.yaml)           FLEETCTL_PLAN       where to save the plan (plan.json)
#   FLEETCTL_REPORT     directory (fleet-report)        FLEETCTL_ARGUMENTS  more options of `fleetctl plan`
#   FLEETCTL_FORM       form of the report (markdown)
set -euo pipefail
plan=${FLEETCTL_PLAN:-plan.json} report=${FLEETCTL_REPORT:-fleet-report} form=${FLEETCTL_FORM:-markdown}
read -ra more <<<"${FLEETCTL_ARGUMENTS:-}"
rm -rf -- "$report" "$plan"
mkdir -p -- "$report"

code=0
fleetctl plan --detailed-exitcode --out "$plan" --output "$form" "${more[@]}" >"$report/plan.$form" || code=$?
changes=true
case $code in
0) changes=false ;;
2) code=0 ;;
1)
  # A plan that was saved all the same has something unreadable in it.
  if [[ -f $plan ]]; then
    code=0
    echo "The plan is incomplete: some of the world could not be read here. The report says what." >&2
  fi
  ;;
esac
echo "$changes" >"$report/changes"
echo "changes=$changes" >>"${GITHUB_OUTPUT:-/dev/null}"
if [[ -f $plan ]]; then
  fleetctl show "$plan" || code=$?
fi
exit "$code"
