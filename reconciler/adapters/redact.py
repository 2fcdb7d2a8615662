"""Keeping secrets out of what people read."""

from base64 import b64encode
from collections.abc import Iterable
from urllib.parse import parse_qsl, unquote, urlsplit

from reconciler.core.text import quoted

SHORTEST = 8
"""Shorter parts of a URL are no secrets, and cutting them out would spoil what is said."""


def host_of(url: str) -> str:
    """Scheme, host and port of a URL: paths and credentials of an endpoint may hold a provider's key."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}"


def credentials(url: str) -> tuple[str, ...]:
    """User and password of a URL, as they stand there and as they are sent."""
    parts = urlsplit(url)
    if not (parts.username or parts.password):
        return ()
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    sent = b64encode(f"{user}:{password}".encode()).decode()
    return _worth((sent, parts.password or "", password, parts.username or "", user))


def secrets_of(url: str) -> tuple[str, ...]:
    """Every part of a URL that may be a provider's key."""
    parts = urlsplit(url)
    query = [value for _, value in parse_qsl(parts.query)]
    return (*credentials(url), *_worth((*parts.path.split("/"), *map(unquote, parts.path.split("/")), *query)))


def _worth(parts: Iterable[str]) -> tuple[str, ...]:
    # The longest first, so that no part of one is left over.
    return tuple(sorted({part for part in parts if len(part) >= SHORTEST}, key=len, reverse=True))


def without(text: str, secrets: Iterable[str]) -> str:
    """What another side said, fit to be shown: our `secrets` blotted out before it is cut to length."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return quoted(text)
