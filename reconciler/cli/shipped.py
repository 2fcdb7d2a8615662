"""Files that come with fleetctl: those of the checkout, or of where installation put them."""

import sys
from pathlib import Path

from reconciler.core.errors import FleetError


def shipped(name: str) -> Path:
    """A file or directory by its path in the checkout. Raises FleetError where it was not installed."""
    for root in (Path(__file__).parents[2], Path(sys.prefix) / "share" / "fleetctl"):
        if (root / name).exists():
            return root / name
    raise FleetError(f"{name} is not installed", hint="install fleetctl anew, or run from a checkout")


def template(name: str, /, **words: str) -> str:
    """A file of `templates/` with `@word@` replaced."""
    text = (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")
    for word, value in words.items():
        text = text.replace(f"@{word}@", value)
    return text
