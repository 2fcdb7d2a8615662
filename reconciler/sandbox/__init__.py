"""A whole local peaq on loopback: dev chain, contracts, Machine Markets, MCR and Gas Station.

It must be able to disagree with the rest of the house, so nothing of `engine` or `kinds` may be imported here, and
nothing outside `cli` may import it. Everything here is throwaway: keys, coins and machines alike.
"""
