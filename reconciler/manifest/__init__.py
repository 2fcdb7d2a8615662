"""Text to fleet to resources, and every mistake at its file, line and column, all at once.

What belongs here: reading YAML and CSV, merging, explaining. What must not: any word with the outside world.
"""
