"""The control plane's client of the data plane's internal HTTP API."""

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
_APPLY_SECONDS = 180  # a reload waits for running invocations, such as a consumer's
_CALL_SECONDS = 60
_RESTORE_PAUSE_SECONDS = 1
_BYTES = "bytes"  # the method whose request and answer are bytes
_FIELDS_HEADER = "Object-Fields"  # the header with the description of the bytes: JSON, percent-encoded

_T = TypeVar("_T")


class DataPlaneRefusedError(Exception):
    """The data plane refused: `kind` is one of invalid_worker, sql, port_in_use, not_found, bad_request, internal."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.message = message


class DataPlaneAwayError(Exception):
    """The data plane did not answer: it is down, or stopped during the call."""


@dataclass(frozen=True)
class OpenBytes:
    """The description of some bytes, and the bytes, which must be read once or closed."""

    fields: dict[str, Any]
    _response: httpx.Response

    async def read(self) -> AsyncGenerator[bytes]:
        """Read the bytes as they arrive."""
        try:
            async for chunk in self._response.aiter_raw():
                yield chunk
        finally:
            await self.close()

    async def close(self) -> None:
        """Stop reading."""
        await self._response.aclose()


class Endpoint(Protocol):
    """The data plane's present address; it changes with each restart."""

    token: str

    async def url(self) -> str:
        """Wait for a running data plane and return its base address."""
        ...


class DataPlaneClient:
    """A client of the data plane, which sends the configuration again after a restart."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.config: Config | None = None  # the configuration in force; None until the data plane has accepted one
        self._kept: dict[str, Any] = {}  # bodies of the calls that are repeated to a restarted data plane, by path
        self._endpoint = endpoint
        self._http = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {endpoint.token}"}, timeout=_CALL_SECONDS, trust_env=False
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def apply(self, config: Config, *, force: bool = False) -> None:
        """Apply the whole configuration, unless it is in force already. If it is refused, the previous one stays."""
        if config == self.config and not force:
            return
        await self._call("PUT", "/config", config, seconds=_APPLY_SECONDS, repeat=True)
        self.config = config

    async def restore(self, url: str) -> None:
        """Send a restarted data plane the configuration in force; retry until it is accepted or the process has ended.

        Before the first configuration was accepted there is nothing to send: the sender of the first one retries by
        itself.
        """
        while self.config is not None:
            try:
                await self._send("PUT", f"{url}/config", self.config, seconds=_APPLY_SECONDS)
                for path, body in self._kept.items():
                    await self._send("POST", url + path, body, seconds=_CALL_SECONDS)
            except DataPlaneRefusedError as error:
                if error.kind != "port_in_use":  # a leftover process may still hold the port for a moment
                    raise
                await asyncio.sleep(_RESTORE_PAUSE_SECONDS)
            else:
                return

    async def validate(self, version: Config) -> Config:
        """Run a version in a separate workerd: {startup_time_ms, handlers, named_handlers, workflow_classes}."""
        return await self._call("POST", "/validate", version, seconds=_APPLY_SECONDS, repeat=True)

    async def delete_data(self, kind: str, data_id: str) -> None:
        """Delete data that the configuration no longer contains: of a database, a queue and so on, by its id."""
        await self._call("DELETE", f"/data/{kind}/{data_id}", repeat=True)

    async def call(self, kind: str, data_id: str, method: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Call a method of an object that its product declares; request and answer are JSON."""
        declared = method_of(kind, method)
        seconds = _APPLY_SECONDS if declared.long else _CALL_SECONDS
        path = _object_path(kind, data_id, method)
        if declared.kept:
            self._kept[path] = dict(body or {})
        return await self._call("POST", path, dict(body or {}), seconds=seconds, repeat=declared.repeatable)

    async def send_bytes(self, kind: str, data_id: str, content: bytes, query: Mapping[str, str]) -> dict[str, Any]:
        """Send bytes to an object; they are durable when this returns. Return the object's description of them."""
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
        """Send a request to a data plane that may be restarting. Only an idempotent one is sent a second time."""
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
    """Return an answer that is not an error. Raises DataPlaneRefusedError."""
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
