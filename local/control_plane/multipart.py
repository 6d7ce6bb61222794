"""Bodies of multipart/form-data, which carry bytes beside text."""

from email.message import Message

_LINE_END = b"\r\n"
_HEADER_END = b"\r\n\r\n"


def boundary_of(content_type: str) -> str | None:
    """Read the boundary of a multipart/form-data content type; None for any other type."""
    header = _header(content_type)
    if header.get_content_type() != "multipart/form-data":
        return None
    boundary = header.get_param("boundary")
    return boundary if isinstance(boundary, str) else ""


def form_parts(body: bytes, boundary: str) -> dict[str, bytes]:
    r"""Split a form into its parts by name. Raises ValueError for a body that is none.

    >>> form_parts(b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b--\r\n', "b")
    {'a': b'1'}
    """
    delimiter = _LINE_END + b"--" + boundary.encode()
    _, *parts = (_LINE_END + body).split(delimiter)
    if not boundary or not parts or not parts[-1].startswith(b"--"):
        msg = "expected parts between boundaries"
        raise ValueError(msg)
    return dict(_part(part) for part in parts[:-1])


def _part(part: bytes) -> tuple[str, bytes]:
    head, separator, content = part.partition(_HEADER_END)
    for line in head.split(_LINE_END):
        name, _, value = line.decode("utf-8", "replace").partition(":")
        if separator and name.strip().lower() == "content-disposition":
            field = _header(value.strip()).get_param("name")
            if isinstance(field, str):
                return field, content
    msg = "expected a Content-Disposition with a name in each part"
    raise ValueError(msg)


def _header(value: str) -> Message:
    header = Message()
    header["content-type"] = value
    return header
