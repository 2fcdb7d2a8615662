"""The pure heart: values and decisions, no await, no I/O, no clock.

Here belong the words of fleetctl (address, observation, change, effect, plan), the contract of a kind, and the ports
that the edges implement. Only the standard library, pydantic and deepdiff may be imported. Nothing protocol-specific.
"""
