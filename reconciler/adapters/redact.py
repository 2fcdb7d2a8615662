"""Keeping secrets out of what people read."""

from urllib.parse import urlsplit


def host_of(url: str) -> str:
    """Scheme, host and port of a URL: paths and credentials of an endpoint may hold a provider's key."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}"
