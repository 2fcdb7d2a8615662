"""What ended an exchange is told in words, and never in those of the other side or of a library."""

import httpx
import pytest

from reconciler.adapters.exchange import TooMuch, trouble


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (httpx.ConnectError("[Errno 111] secret"), "it cannot be reached (ConnectError)"),
        (httpx.ReadTimeout("secret"), "it takes too long (ReadTimeout)"),
        (httpx.ConnectTimeout("secret"), "it takes too long (ConnectTimeout)"),
        (httpx.RemoteProtocolError("secret"), "it broke off (RemoteProtocolError)"),
        (httpx.DecodingError("secret"), "it makes no sense (DecodingError)"),
        (ValueError("secret"), "it makes no sense (ValueError)"),
        (TooMuch(), "far too much"),
    ],
)
def test_trouble_is_told_in_words(error: Exception, words: str) -> None:
    assert trouble(error) == words
