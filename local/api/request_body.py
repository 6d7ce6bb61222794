"""The body of a request, limited while it comes in: what is too large is never held as a whole."""

from starlette.requests import Request

from local.api.envelope import ApiError

# Cloudflare's edge takes no more on a Free or Pro plan (developers.cloudflare.com/workers/platform/limits, "Request
# body size"). Products refuse less by themselves, in words of their own: a script of 64 MiB (10 MiB compressed), a
# value of KV of 25 MiB, a message of 128 kB, a batch of 256 kB.
LARGEST_BODY_BYTES = 100_000_000


async def read_body(request: Request, largest_bytes: int) -> bytes:
    """Read a body to its end. Raises ApiError 413 as soon as it is announced as, or turns out, too large."""
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > largest_bytes:
        raise _too_large(largest_bytes)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > largest_bytes:
            raise _too_large(largest_bytes)
    return bytes(body)


def _too_large(largest_bytes: int) -> ApiError:
    return ApiError(413, 10027, f"The request body is larger than {largest_bytes} bytes")
