# The fleet of the tutorial, up and running in the directory where this is sourced.
fleetctl sandbox up
eval "$(fleetctl sandbox env)"
cp "$TUTORIAL_MANIFEST" fleet.yaml
fleetctl keys generate
fleetctl apply --yes
