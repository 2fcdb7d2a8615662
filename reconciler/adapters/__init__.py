"""The edges: every import of a third-party I/O library is here, and every error of theirs ends here.

An adapter implements a port of `core` (or serves one that does) and imports nothing else of the house.
"""
