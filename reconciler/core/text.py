"""Text of others, made fit to be shown."""

import re

LONGEST = 300
_STEERING = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufff9-\ufffb\ufffe\uffff]"
)


def visible(text: str) -> str:
    """`text` with what steers a terminal, turns the direction of reading, or is no character, written out instead."""
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def one_line(text: str) -> str:
    """`visible`, with line breaks written out: a line that others wrote could pass for one of ours."""
    return visible(text).replace("\n", "\\n")


def quoted(text: str, longest: int = LONGEST) -> str:
    """`visible`, and cut where it is longer than a message may be."""
    text = visible(text)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
