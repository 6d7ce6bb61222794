"""Reads the body of a request, with a limit that is checked while it arrives, so that no large body is in memory."""

from starlette.requests import Request

from local.api.envelope import ApiError

# The limit of Cloudflare's edge on a Free or Pro plan (developers.cloudflare.com/workers/platform/limits, "Request body
# size"). Products have smaller limits, with their own errors: 64 MiB for a script (10 MiB compressed), 25 MiB for a
# value of KV, 128 kB for a message, 256 kB for a batch.
LARGEST_BODY_BYTES = 100_000_000


async def read_body(request: Request, largest_bytes: int) -> bytes:
    """Read a body to its end. Raises ApiError 413 as soon as its declared or its real size is too large."""
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
