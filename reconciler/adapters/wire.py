"""HTTP/1.1 on one connection: a request at a time, its answer read by a parser in C, bounded in bytes and seconds."""

import asyncio
import ssl
import zlib

import httptools
import httpx

from reconciler.adapters.exchange import LONGEST, Reply, TooMuch

HEAD = 64 * 1024
"""Bytes of an answer before its body."""
EYES = 0.25
"""Seconds after which another address of the same name is tried beside the first."""
IDLE = 5.0
"""Seconds after which a connection without a request is not trusted to be open any more."""


class Multiplexed(httpx.ConnectError):
    """The server chose HTTP/2. Nothing was sent."""


class Wire(asyncio.Protocol):
    """One connection to the origin of `base`, made when it is needed and made again when it was closed.

    A request is sent once, whatever becomes of it. Errors are httpx's: ConnectError and ConnectTimeout where nothing
    was sent, ReadTimeout after `seconds` of silence or LONGEST times that in all, TooMuch for more than `most` bytes.
    """

    def __init__(self, base: httpx.URL, *, seconds: float, most: int, tls: ssl.SSLContext | None) -> None:
        self._host, self._port = base.raw_host.decode("ascii"), base.port or (443 if tls else 80)
        self._tls = tls
        self._seconds, self._most = seconds, most
        self._transport: asyncio.Transport | None = None
        self._answer = _Answer(most)
        self._timeout: asyncio.Timeout | None = None
        self._done: asyncio.Future[None] | None = None
        self._end = self._left = 0.0

    async def exchange(self, request: bytes) -> Reply:
        """The answer to `request`, which is head and body as they go over the line. Multiplexed as `open` says."""
        whole = False
        try:
            await self.open()
            reply = await self._asked(request)
            whole = self._answer.reusable
            return reply
        finally:
            # What is left of an answer, or comes after one, must never be taken for that to another question.
            if not whole:
                self.close()
            self._left = asyncio.get_running_loop().time()

    async def open(self) -> None:
        """Connect, unless it is. Multiplexed where the server chooses HTTP/2."""
        loop = asyncio.get_running_loop()
        if self._transport is not None and (self._transport.is_closing() or loop.time() - self._left > IDLE):
            self.close()
        if self._transport is not None:
            return
        name = self._host if self._tls else None
        try:
            async with asyncio.timeout(self._seconds):
                made = await loop.create_connection(
                    lambda: self, self._host, self._port, ssl=self._tls, server_hostname=name, happy_eyeballs_delay=EYES
                )
        except TimeoutError:
            raise httpx.ConnectTimeout("no connection in time") from None
        except (OSError, UnicodeError) as error:
            raise httpx.ConnectError(type(error).__name__) from None
        self._transport, self._left = made[0], loop.time()
        secured = self._transport.get_extra_info("ssl_object")
        if secured is not None and secured.selected_alpn_protocol() == "h2":
            self.close()
            raise Multiplexed("it chose HTTP/2")

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    async def _asked(self, request: bytes) -> Reply:
        assert self._transport is not None
        loop = asyncio.get_running_loop()
        self._answer, self._done = _Answer(self._most), loop.create_future()
        self._end = loop.time() + LONGEST * self._seconds
        try:
            async with asyncio.timeout_at(loop.time() + self._seconds) as self._timeout:
                self._transport.write(request)
                await self._done
        except TimeoutError:
            raise httpx.ReadTimeout("it takes far too long") from None
        finally:
            self._timeout = self._done = None
        return self._answer.reply()

    def data_received(self, data: bytes) -> None:
        if self._done is None or self._done.done() or self._timeout is None:
            # Nobody asked for that.
            self.close()
            return
        try:
            self._answer.feed(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._done.set_exception(httpx.RemoteProtocolError("no HTTP"))
        except TooMuch as error:
            self._done.set_exception(error)
        else:
            if self._answer.complete:
                self._done.set_result(None)
            else:
                self._timeout.reschedule(min(self._end, asyncio.get_running_loop().time() + self._seconds))

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._done is None or self._done.done():
            return
        if self._answer.ends_with_connection and error is None:
            self._done.set_result(None)
        else:
            self._done.set_exception(httpx.RemoteProtocolError("it hung up"))


class _Answer:
    """What was read of an answer."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._before_body = 0
        self._begun = False
        self._goes_on = False
        self.complete = False

    def feed(self, data: bytes) -> None:
        if not self._begun:
            self._before_body += len(data)
        self._parser.feed_data(data)
        if len(self._body) > self._most or (not self._begun and self._before_body > HEAD):
            raise TooMuch

    @property
    def reusable(self) -> bool:
        """True where its connection may carry another."""
        return self.complete and self._goes_on

    @property
    def ends_with_connection(self) -> bool:
        return self._begun and not {"content-length", "transfer-encoding"} & self._headers.keys()

    def reply(self) -> Reply:
        content = bytes(self._body)
        if self._headers.get("content-encoding", "identity") != "identity":
            content = unpacked(content, self._headers["content-encoding"], self._most)
        return Reply(self._parser.get_status_code(), self._headers, content)

    def on_message_begin(self) -> None:
        if self.complete:
            raise ValueError("an answer that nobody asked for")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._begun = True

    def on_body(self, part: bytes) -> None:
        self._body += part

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() < 200:
            # Not the answer yet, only that one will come.
            self._headers, self._begun = {}, False
        else:
            # The parser knows it now, and not any more once it has returned.
            self.complete, self._goes_on = True, self._parser.should_keep_alive()


def unpacked(content: bytes, encoding: str, most: int) -> bytes:
    """Plain content of an answer that was sent in `encoding`; httpx.DecodingError or TooMuch where there is none."""
    if encoding.lower() != "gzip":
        raise httpx.DecodingError("an encoding that was not asked for")
    unpacking = zlib.decompressobj(wbits=31)
    try:
        plain = unpacking.decompress(content, most + 1)
    except zlib.error:
        raise httpx.DecodingError("no gzip") from None
    if len(plain) > most:
        raise TooMuch
    if not unpacking.eof:
        raise httpx.DecodingError("half a gzip")
    return plain
