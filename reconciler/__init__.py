"""fleetctl: declarative control of machine fleets on peaq.

The house: `core` is pure, `kinds` holds one file per resource kind, `manifest` turns text into a Fleet, `engine` runs
plans and speaks only to ports, `adapters` are the edges, `sandbox` is a whole local peaq, `cli` is the surface.
"""
