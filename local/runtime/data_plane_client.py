"""The control plane's side of the data plane's internal HTTP API."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from urllib.parse import quote, unquote, urlencode

import httpx

from local.core.product import Config
from local.core.registry import method_of

_WAIT_SECONDS = 20  # for a data plane that is being restarted
_APPLY_SECONDS = 180  # a reload drains what runs; a consumer may take its time
_CALL_SECONDS = 60
_RESTORE_PAUSE_SECONDS = 1
_BYTES = "bytes"  # the method that takes and gives what is no JSON
_FIELDS_HEADER = "Object-Fields"  # what describes bytes beside them: JSON, percent-encoded

_T = TypeVar("_T")


class DataPlaneRefusedError(Exception):
    """The data plane said no: `kind` is one of invalid_worker, sql, port_in_use, not_found, bad_request, internal."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.message = message


class DataPlaneAwayError(Exception):
    """The data plane did not answer: it is down, or went down in the middle of the call."""


@dataclass(frozen=True)
class OpenBytes:
    """What describes some bytes, and the bytes, which are read once or closed."""

    fields: dict[str, Any]
    _response: httpx.Response

    async def read(self) -> AsyncGenerator[bytes]:
        """Read the bytes as they come."""
        try:
            async for chunk in self._response.aiter_raw():
                yield chunk
        finally:
            await self.close()

    async def close(self) -> None:
        """Read no more."""
        await self._response.aclose()


class Endpoint(Protocol):
    """Where the data plane listens now; it changes with each restart."""

    token: str

    async def url(self) -> str:
        """Wait for a running data plane and tell its base address."""
        ...


class DataPlaneClient:
    """Calls the data plane, and gives it back its configuration after a restart."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.config: Config | None = None  # what is in force; None until the data plane has taken one
        self._kept: dict[str, Any] = {}  # bodies of the calls that a restarted data plane gets again, by path
        self._endpoint = endpoint
        self._http = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {endpoint.token}"}, timeout=_CALL_SECONDS, trust_env=False
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def apply(self, config: Config, *, force: bool = False) -> None:
        """Put the whole configuration in force, unless it is. When it is refused, the one before stays in force."""
        if config == self.config and not force:
            return
        await self._call("PUT", "/config", config, seconds=_APPLY_SECONDS, repeat=True)
        self.config = config

    async def restore(self, url: str) -> None:
        """Give a restarted data plane the configuration in force; tries until it is taken or the process is gone.

        Before one was taken there is none to give: whoever sends the first one sends it again.
        """
        while self.config is not None:
            try:
                await self._send("PUT", f"{url}/config", self.config, seconds=_APPLY_SECONDS)
                for path, body in self._kept.items():
                    await self._send("POST", url + path, body, seconds=_CALL_SECONDS)
            except DataPlaneRefusedError as error:
                if error.kind != "port_in_use":  # a leftover may still hold the port for a moment
                    raise
                await asyncio.sleep(_RESTORE_PAUSE_SECONDS)
            else:
                return

    async def validate(self, version: Config) -> Config:
        """Run a version in a workerd of its own: {startup_time_ms, handlers, named_handlers, workflow_classes}."""
        return await self._call("POST", "/validate", version, seconds=_APPLY_SECONDS, repeat=True)

    async def delete_data(self, kind: str, data_id: str) -> None:
        """Remove the data of what the configuration does not name any more: of a database, a queue…, by its id."""
        await self._call("DELETE", f"/data/{kind}/{data_id}", repeat=True)

    async def call(self, kind: str, data_id: str, method: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Call a method of an object, as its product declares it; what it takes and gives is JSON."""
        declared = method_of(kind, method)
        seconds = _APPLY_SECONDS if declared.long else _CALL_SECONDS
        path = _object_path(kind, data_id, method)
        if declared.kept:
            self._kept[path] = dict(body or {})
        return await self._call("POST", path, dict(body or {}), seconds=seconds, repeat=declared.repeatable)

    async def send_bytes(self, kind: str, data_id: str, content: bytes, query: Mapping[str, str]) -> dict[str, Any]:
        """Send bytes to an object, which are durable when this returns; gives what it says of them."""
        path = f"{_object_path(kind, data_id, _BYTES)}?{urlencode(query)}"

        async def send(url: str) -> dict[str, Any]:
            return _checked(await self._http.put(url + path, content=content, timeout=_APPLY_SECONDS)).json()

        return await self._reach(send, f"PUT to {kind}", repeat=True)

    async def open_bytes(self, kind: str, data_id: str, query: Mapping[str, str]) -> OpenBytes:
        """Begin to read bytes of an object. Raises DataPlaneRefusedError not_found."""
        path = f"{_object_path(kind, data_id, _BYTES)}?{urlencode(query)}"

        async def send(url: str) -> OpenBytes:
            response = await self._http.send(self._http.build_request("GET", url + path), stream=True)
            if not response.is_success:
                await response.aread()
            fields = json.loads(unquote(_checked(response).headers[_FIELDS_HEADER]))
            return OpenBytes(fields, response)

        return await self._reach(send, f"GET from {kind}", repeat=True)

    async def _call(
        self, method: str, path: str, body: Any = None, *, seconds: float = _CALL_SECONDS, repeat: bool = False
    ) -> dict[str, Any]:
        """Call a data plane that may be restarting."""

        async def send(url: str) -> dict[str, Any]:
            return await self._send(method, url + path, body, seconds=seconds)

        return await self._reach(send, f"{method} {path}", repeat=repeat)

    async def _reach(self, send: Callable[[str], Awaitable[_T]], call: str, *, repeat: bool) -> _T:
        """Send to a data plane that may be restarting. Only what may run twice is repeated once it was sent."""
        deadline = asyncio.get_running_loop().time() + _WAIT_SECONDS
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    url = await self._endpoint.url()
            except TimeoutError as error:
                msg = f"the data plane did not come back within {_WAIT_SECONDS} s"
                raise DataPlaneAwayError(msg) from error
            try:
                return await send(url)
            except httpx.TransportError as error:
                unsent = isinstance(error, httpx.ConnectError)
                if not (unsent or repeat) or asyncio.get_running_loop().time() > deadline:
                    msg = f"the data plane went away during {call}"
                    raise DataPlaneAwayError(msg) from error
                await asyncio.sleep(0.1)

    async def _send(self, method: str, url: str, body: Any, *, seconds: float) -> dict[str, Any]:
        return _checked(await self._http.request(method, url, json=body, timeout=seconds)).json()


def _checked(response: httpx.Response) -> httpx.Response:
    """Let an answer through that is no refusal. Raises DataPlaneRefusedError."""
    if response.is_success:
        return response
    try:
        error = response.json()["error"]
        kind, message = error["kind"], error["message"]
    except (ValueError, KeyError, TypeError):
        kind, message = "internal", response.text[:500]
    raise DataPlaneRefusedError(kind, message)


def _object_path(kind: str, data_id: str, method: str) -> str:
    return "/objects/" + "/".join(quote(part, safe="") for part in (kind, data_id, method))
