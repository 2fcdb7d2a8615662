"""Text of others, made fit to be shown."""

import re

LONGEST = 300
_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """`text` with what would steer a terminal, or turn the direction of reading, written out instead."""
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def quoted(text: str, longest: int = LONGEST) -> str:
    """`visible`, and cut where it is longer than a message may be."""
    text = visible(text)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
