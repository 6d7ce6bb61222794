"""Bodies of multipart/form-data, which can contain bytes."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from email.message import Message

_LINE_END = b"\r\n"
_BARE_LINE_END = b"\n"


@dataclass(frozen=True)
class Part:
    """One part of a form. `filename` and `content_type` are empty if the part does not have them."""

    name: str
    filename: str
    content_type: str
    content: bytes


def boundary_of(content_type: str) -> str | None:
    """Read the boundary of a multipart/form-data content type; None for any other type."""
    header = _header(content_type)
    if header.get_content_type() != "multipart/form-data":
        return None
    boundary = header.get_param("boundary")
    return boundary if isinstance(boundary, str) else ""


def form_parts(body: bytes, boundary: str) -> list[Part]:
    r"""Split a form into its parts, in order. Raises ValueError for an invalid body.

    Lines may end in a line feed alone if the first one does; Cloudflare accepts such forms too.

    >>> form_parts(b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b--\r\n', "b")
    [Part(name='a', filename='', content_type='', content=b'1')]
    """
    dashes = b"--" + boundary.encode()
    line_end = _BARE_LINE_END if body.startswith(dashes + _BARE_LINE_END) else _LINE_END
    _, *parts = (line_end + body).split(line_end + dashes)
    if not boundary or not parts or not parts[-1].startswith(b"--"):
        msg = "expected parts between boundaries"
        raise ValueError(msg)
    return [_part(part, line_end) for part in parts[:-1]]


def write_form(parts: Iterable[Part]) -> tuple[bytes, str]:
    """Join parts to a form; return its bytes and its content type."""
    boundary = secrets.token_hex(16)
    body = b"".join(_written(part, boundary) for part in parts)
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def _written(part: Part, boundary: str) -> bytes:
    disposition = f'form-data; name="{_escaped(part.name)}"'
    if part.filename:
        disposition += f'; filename="{_escaped(part.filename)}"'
    kind = f"Content-Type: {part.content_type}\r\n" if part.content_type else ""
    head = f"--{boundary}\r\nContent-Disposition: {disposition}\r\n{kind}\r\n"
    return head.encode() + part.content + _LINE_END


def _escaped(text: str) -> str:
    """Escape a parameter of a form's header as browsers do (WHATWG, "multipart/form-data encoding algorithm")."""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _part(part: bytes, line_end: bytes) -> Part:
    head, separator, content = part.partition(line_end * 2)
    headers = _headers(head.decode("utf-8", "replace")) if separator else {}
    disposition = _header(headers.get("content-disposition", ""))
    name, filename = (_text(disposition.get_param(key)) for key in ("name", "filename"))
    if name is None:
        msg = "expected a Content-Disposition with a name in each part"
        raise ValueError(msg)
    return Part(name, filename or "", headers.get("content-type", ""), content)


def _headers(head: str) -> dict[str, str]:
    lines = [line.partition(":") for line in head.split("\n")]
    return {name.strip().lower(): value.strip() for name, _, value in lines}


def _text(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    return value.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")


def _header(value: str) -> Message:
    header = Message()
    header["content-type"] = value
    return header
