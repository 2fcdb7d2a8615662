#!/usr/bin/env bash
# Applies a saved plan: just that, or nothing where it is stale. The shell becomes fleetctl, so that a signal that is
# meant for the job reaches it and it can stop in order; how it ended is told by ended.py from the file of events.
#
#   FLEETCTL_PLAN       the plan (plan.json)            FLEETCTL_EVENTS     file of events (fleet-events.jsonl)
#   FLEETCTL_FILE       manifest (fleet.yaml)           FLEETCTL_ARGUMENTS  more options of `fleetctl apply`
set -euo pipefail
events=${FLEETCTL_EVENTS:-fleet-events.jsonl}
read -ra more <<<"${FLEETCTL_ARGUMENTS:-}"
rm -f -- "$events"
exec fleetctl apply "${FLEETCTL_PLAN:-plan.json}" --events "$events" "${more[@]}"
