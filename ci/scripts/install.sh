#!/usr/bin/env bash
# Installs fleetctl, unless one is there and nothing in particular is asked for.
#
#   FLEETCTL_REQUIREMENT    what pip is told, e.g. peaq-fleetctl==0.1.0
set -euo pipefail
if [[ -z ${FLEETCTL_REQUIREMENT:-} ]] && command -v fleetctl >/dev/null; then
  exit 0
fi
python3 -m pip install --quiet --disable-pip-version-check "${FLEETCTL_REQUIREMENT:-peaq-fleetctl}"
