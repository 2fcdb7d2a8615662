"""The surface: commands, prompts, what users read. The only place that builds adapters (`wiring`) and imports click.

The answer goes to stdout, the conversation to stderr. No decision about the world is taken here.
"""
