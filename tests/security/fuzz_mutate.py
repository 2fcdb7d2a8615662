"""Seeded damage: to the text of manifests, and to JSON as servers send it."""

import json
from random import Random
from typing import Any

SCRAPS = [
    "", " ", "\t", "\n", ":", "- ", "{", "}", "[", "]", "&a ", "*a", "!!python/object:os.system ", "<<: *a", "|", ">",
    "#", '"', "'", "%", "@", "\x00", "\x1b[2J", "\u202e", "é", "\ud7ff", "null", "~", "true", "0x", "1e999", "-1",
    ".nan", "0o17", "9" * 400, "2026-01-01", "${HOME}", "${X:-y}", "{name}", "{", "../../../etc/passwd",
    "http://localhost:x@example.com", "https://[::1", "https://h:99999", "---\n",
    "...\n", "!!binary aGk=", "? ", "A" * 5000, "[" * 50, "0x" + "0" * 40,
]  # fmt: skip
"""What is put into text."""
STRANGE: list[Any] = [
    None, True, False, 0, -1, 1.5, 10**400, "", "x", "\x1b[31mred", "[/bold]", "\u202e", "0x", "0xzz", [], {}, [[]],
    [None], {"a": {"b": []}}, [{}], "A" * 3000, "..", "../..", "did:peaq:0x", "2026-13-45T99:99:99Z", float("1e308"),
    ["x", 1], {"id": {}}, "\ud800",
]  # fmt: skip
"""What is put in place of a value."""


def damaged_text(text: str, random: Random) -> str:
    """`text` with one to four pieces changed, moved, doubled or taken out."""
    for _ in range(random.randint(1, 4)):
        start = random.randrange(len(text) + 1)
        end = min(len(text), start + random.choice((0, 0, 1, 3, 10, 60)))
        match random.randrange(5):
            case 0:
                middle = random.choice(SCRAPS)
            case 1:
                middle = chr(random.choice((random.randrange(128), random.randrange(0xD800))))
            case 2:
                middle = text[start:end] * 2
            case 3:
                middle = ""
            case _:
                other = random.randrange(len(text) + 1)
                middle = text[other : other + random.choice((1, 8, 40))]
        text = text[:start] + middle + text[end:]
    return text


def damaged_json(value: Any, random: Random) -> Any:
    """`value` with one thing inside it replaced, left out, or wrapped."""
    children = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    if not children or random.random() < 0.15:
        return random.choice((random.choice(STRANGE), random.choice(STRANGE), [value], {"item": value}))
    child = random.choice(children)
    copy = dict(value) if isinstance(value, dict) else list(value)
    if random.random() < 0.15:
        del copy[child]
    else:
        copy[child] = damaged_json(copy[child], random)
    return copy


def damaged_body(value: Any, random: Random) -> bytes:
    """The bytes of an answer: JSON of another shape for the most part, and sometimes no JSON."""
    text = json.dumps(damaged_json(value, random)).encode()
    match random.randrange(12):
        case 0:
            return text[: random.randrange(len(text) + 1)]
        case 1:
            return b"<html><body>502 Bad Gateway</body></html>"
        case 2:
            return bytes(random.randrange(256) for _ in range(random.randrange(40)))
        case 3 if random.random() < 0.1:
            return b"[" * 100_000
        case _:
            return text
