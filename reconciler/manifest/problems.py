"""Collecting what is wrong, and keeping secrets out of what is said about it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache

from reconciler.core.errors import Problem

Place = tuple[str, int, int]
"""File, line and column; both count from 1."""

PRIVATE_KEY = re.compile(r"(?<![0-9a-zA-Z])(?:0[xX])?[0-9a-fA-F]{64}(?![0-9a-zA-Z])")
SHOWN_KEYS = 24


def masked(text: str) -> str:
    """`text` without anything that looks like a private key."""
    return PRIVATE_KEY.sub("(hidden)", text)


def quoted(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, upper and lower case aside."""
    return _nearest(word, tuple(known))


@lru_cache(1000)
def _nearest(word: str, known: tuple[str, ...]) -> str | None:
    # A mistake in the defaults, or in every line of a large file, is the same thousands of times.
    by_fold = {name.casefold().replace("_", ""): name for name in known}
    close = get_close_matches(word.casefold().replace("_", "").replace("-", ""), by_fold, n=1, cutoff=0.6)
    return by_fold[close[0]] if close else None


def unknown(what: str, word: str, known: Iterable[str], are: str = "known here") -> tuple[str, str]:
    """Message and hint for a word that is not among the known ones."""
    names = list(known)
    if meant := nearest(word, names):
        return f"unknown {what} `{word}`; did you mean `{meant}`?", f"write `{meant}`"
    listed = quoted(sorted(names)[:SHOWN_KEYS]) + (", …" if len(names) > SHOWN_KEYS else "")
    return f"unknown {what} `{word}`", f"{are}: {listed}" if names else f"nothing of that sort is {are}"


def mistyped(key: str, data: Iterable[str], known: Iterable[str]) -> bool:
    """Whether a missing key is there under a name that is told as unknown anyway."""
    names = set(known)
    return any(word not in names and nearest(word, names) == key for word in data)


@dataclass
class Problems:
    """Every problem once, in the order of the file."""

    found: dict[Problem, None] = field(default_factory=dict)

    def add(self, place: Place, message: str, hint: str = "") -> None:
        self.found[Problem(*place, masked(message), masked(hint))] = None

    def __bool__(self) -> bool:
        return bool(self.found)

    def sorted(self) -> list[Problem]:
        return sorted(self.found)
