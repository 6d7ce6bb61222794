"""The server's side of WebSockets, adapted to clients that break the standard.

A client must mask what it sends (RFC 6455, 5.3), and libraries close the connection if it does not. wrangler does not
mask the first message of its tail (workers-sdk, wrangler/src/tail/createTail.ts), and Cloudflare accepts it.
"""

from collections.abc import Iterator

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

_NO_MASK = bytes(4)  # of zeros: it changes nothing
_MASKED = 0x80
_SHORT_LENGTH = 0x7F
_LENGTH_BYTES = {126: 2, 127: 8}  # how many bytes of length follow these codes
_SMALLEST_HEADER = 2


class Masker:
    r"""Adds a mask to frames without one, in a stream that may be split anywhere.

    >>> Masker().feed(b"\x81\x02hi").hex(" ")
    '81 82 00 00 00 00 68 69'
    """

    def __init__(self) -> None:
        self._waiting = b""  # an incomplete header
        self._left = 0  # how many bytes of the current payload are still to come

    def feed(self, data: bytes) -> bytes:
        """Take received bytes, and return those that can be passed on."""
        self._waiting += data
        return b"".join(self._pieces())

    def _pieces(self) -> Iterator[bytes]:
        while self._waiting:
            payload, self._waiting = self._waiting[: self._left], self._waiting[self._left :]
            self._left -= len(payload)
            yield payload
            if self._left or len(self._waiting) < self._header_size():
                return
            yield self._header()

    def _header_size(self) -> int:
        if len(self._waiting) < _SMALLEST_HEADER:
            return _SMALLEST_HEADER
        return _SMALLEST_HEADER + _LENGTH_BYTES.get(self._waiting[1] & _SHORT_LENGTH, 0)

    def _header(self) -> bytes:
        size = self._header_size()
        header, self._waiting = self._waiting[:size], self._waiting[size:]
        short = header[1] & _SHORT_LENGTH
        self._left = int.from_bytes(header[2:]) if short in _LENGTH_BYTES else short
        if header[1] & _MASKED:
            self._left += len(_NO_MASK)  # the frame's own mask comes before the payload
            return header
        return bytes([header[0], header[1] | _MASKED]) + header[2:] + _NO_MASK


class TolerantWebSocket(WebSocketsSansIOProtocol):
    """Uvicorn's protocol, which also accepts unmasked frames."""

    _masker: Masker | None = None

    def data_received(self, data: bytes) -> None:
        """Take bytes from the client; those before the end of the handshake are HTTP."""
        if self.handshake_complete:
            self._masker = self._masker or Masker()
            data = self._masker.feed(data)
        super().data_received(data)
