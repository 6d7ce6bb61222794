"""The control plane's side of the data plane's internal HTTP API."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar
from urllib.parse import unquote, urlencode

import httpx

from local.core.desired_state import Config

_WAIT_SECONDS = 20  # for a data plane that is being restarted
_APPLY_SECONDS = 180  # a reload drains what runs; a consumer may take its time
_CALL_SECONDS = 60
_RESTORE_PAUSE_SECONDS = 1
_OBJECT_HEADER = "R2-Object"  # what describes an object beside its bytes: JSON, percent-encoded

_T = TypeVar("_T")

DataKind = Literal["d1", "kv", "r2", "durable_objects", "queues", "workflows"]


class DataPlaneRefusedError(Exception):
    """The data plane said no: `kind` is one of invalid_worker, sql, port_in_use, not_found, bad_request, internal."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.message = message


class DataPlaneAwayError(Exception):
    """The data plane did not answer: it is down, or went down in the middle of the call."""


@dataclass(frozen=True)
class OpenObject:
    """An object of R2: what it is, and its bytes, which are read once or closed."""

    fields: dict[str, Any]  # key, version, size, etag, uploaded_ms, http_metadata, custom_metadata
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
            except DataPlaneRefusedError as error:
                if error.kind != "port_in_use":  # a leftover may still hold the port for a moment
                    raise
                await asyncio.sleep(_RESTORE_PAUSE_SECONDS)
            else:
                return

    async def validate(self, version: Config) -> Config:
        """Run a version in a workerd of its own: {startup_time_ms, handlers, named_handlers, workflow_classes}."""
        return await self._call("POST", "/validate", version, seconds=_APPLY_SECONDS, repeat=True)

    async def delete_data(self, kind: DataKind, data_id: str) -> None:
        """Remove the data of what the configuration does not name any more: of a database, a queue…, by its id."""
        await self._call("DELETE", f"/{kind}/{data_id}", repeat=True)

    async def query(self, database_id: str, queries: list[dict[str, Any]], shape: str) -> list[dict[str, Any]]:
        """Run statements as one transaction; shape is objects or arrays."""
        answer = await self._call("POST", f"/d1/{database_id}/query", {"queries": queries, "format": shape})
        return answer["results"]

    async def import_statements(self, database_id: str, statements: list[str]) -> dict[str, Any]:
        """Run a script as one transaction: {num_queries, meta, bookmark}, of all statements together."""
        body = {"statements": statements}
        return await self._call("POST", f"/d1/{database_id}/import", body, seconds=_APPLY_SECONDS)

    async def export_database(
        self, database_id: str, *, no_schema: bool, no_data: bool, tables: list[str]
    ) -> dict[str, Any]:
        """Write a database as SQL: {sql, bookmark}. No tables means all."""
        body = {"no_schema": no_schema, "no_data": no_data, "tables": tables}
        return await self._call("POST", f"/d1/{database_id}/export", body, seconds=_APPLY_SECONDS, repeat=True)

    async def get_values(self, namespace_id: str, keys: list[str]) -> list[dict[str, Any] | None]:
        """Read values of KV: {value_base64, expiration, metadata} each, or None."""
        answer = await self._call("POST", f"/kv/{namespace_id}/get", {"keys": keys}, repeat=True)
        return answer["entries"]

    async def put_values(self, namespace_id: str, pairs: list[dict[str, Any]]) -> None:
        """Write values to KV: {key, value_base64, expiration, metadata} each; they are durable when this returns."""
        await self._call("POST", f"/kv/{namespace_id}/put", {"pairs": pairs}, repeat=True)

    async def delete_values(self, namespace_id: str, keys: list[str]) -> None:
        """Delete values from KV."""
        await self._call("POST", f"/kv/{namespace_id}/delete", {"keys": keys}, repeat=True)

    async def list_keys(self, namespace_id: str, prefix: str, limit: int, cursor: str | None) -> dict[str, Any]:
        """List keys of KV: {keys: [{key, expiration, metadata}], cursor}."""
        body = {"prefix": prefix, "limit": limit, "cursor": cursor}
        return await self._call("POST", f"/kv/{namespace_id}/list", body, repeat=True)

    async def put_object(
        self, bucket_id: str, key: str, content: bytes, http_metadata: dict[str, Any]
    ) -> dict[str, Any]:
        """Write an object to R2 and describe it, as `OpenObject.fields`; it is durable when this returns."""
        path = _object_path(bucket_id, key=key, http_metadata=json.dumps(http_metadata))

        async def send(url: str) -> dict[str, Any]:
            return _checked(await self._http.put(url + path, content=content, timeout=_APPLY_SECONDS)).json()

        return await self._reach(send, "PUT of an object", repeat=True)

    async def open_object(self, bucket_id: str, key: str) -> OpenObject:
        """Begin to read an object of R2. Raises DataPlaneRefusedError not_found."""
        path = _object_path(bucket_id, key=key)

        async def send(url: str) -> OpenObject:
            response = await self._http.send(self._http.build_request("GET", url + path), stream=True)
            if not response.is_success:
                await response.aread()
            fields = json.loads(unquote(_checked(response).headers[_OBJECT_HEADER]))
            return OpenObject(fields, response)

        return await self._reach(send, "GET of an object", repeat=True)

    async def delete_object(self, bucket_id: str, key: str) -> None:
        """Delete an object of R2."""
        await self._call("POST", f"/r2/{bucket_id}/delete", {"key": key}, repeat=True)

    async def list_bucket(
        self,
        bucket_id: str,
        *,
        limit: int,
        prefix: str | None = None,
        delimiter: str | None = None,
        start_after: str | None = None,
        cursor: str | None = None,
    ) -> dict[str, Any]:
        """List objects of R2: {objects, delimited_prefixes, cursor}, with objects as `OpenObject.fields`."""
        position = {"start_after": start_after, "cursor": cursor, "limit": limit}
        body = {"prefix": prefix, "delimiter": delimiter, **position}
        return await self._call("POST", f"/r2/{bucket_id}/list", body, repeat=True)

    async def measure_bucket(self, bucket_id: str) -> dict[str, int]:
        """Measure a bucket of R2: {object_count, payload_bytes, metadata_bytes}."""
        return await self._call("POST", f"/r2/{bucket_id}/measure", {}, repeat=True)

    async def list_objects(self, namespace_id: str) -> list[str]:
        """List a namespace's Durable Objects that hold data, by id, in order."""
        return (await self._call("GET", f"/durable_objects/{namespace_id}/objects", repeat=True))["ids"]

    async def push(self, queue_id: str, messages: list[dict[str, Any]]) -> dict[str, Any]:
        """Store messages; they are durable when this returns. Gives the queue's metrics."""
        return (await self._call("POST", f"/queues/{queue_id}/messages", {"messages": messages}))["metrics"]

    async def pull(self, queue_id: str, batch_size: int, visibility_timeout_ms: int | None) -> dict[str, Any]:
        """Lease messages: {message_backlog_count, messages}."""
        body = {"batch_size": batch_size, "visibility_timeout_ms": visibility_timeout_ms}
        return await self._call("POST", f"/queues/{queue_id}/pull", body)

    async def peek(self, queue_id: str, batch_size: int) -> dict[str, Any]:
        """Look at messages without leasing them."""
        return await self._call("POST", f"/queues/{queue_id}/peek", {"batch_size": batch_size}, repeat=True)

    async def ack(self, queue_id: str, acks: list[dict[str, Any]], retries: list[dict[str, Any]]) -> dict[str, Any]:
        """Settle leases: {ack_count, retry_count, warnings}."""
        return await self._call("POST", f"/queues/{queue_id}/ack", {"acks": acks, "retries": retries})

    async def purge(self, queue_id: str) -> None:
        """Delete all messages of a queue."""
        await self._call("POST", f"/queues/{queue_id}/purge", {}, repeat=True)

    async def metrics(self, queue_id: str) -> dict[str, Any]:
        """Measure a queue: {backlog_count, backlog_bytes, oldest_message_timestamp_ms}."""
        return await self._call("GET", f"/queues/{queue_id}/metrics", repeat=True)

    async def create_workflow_instances(self, workflow_id: str, instances: list[dict[str, Any]]) -> dict[str, Any]:
        """Create instances, [{id?, params?}]: {created, errors}; those created are durable when this returns."""
        return await self._call("POST", f"/workflows/{workflow_id}/create", {"instances": instances})

    async def workflow_instances(self, workflow_id: str, query: dict[str, Any]) -> dict[str, Any]:
        """List instances: {total, instances}."""
        return await self._call("POST", f"/workflows/{workflow_id}/list", {"query": query}, repeat=True)

    async def workflow_instance(self, workflow_id: str, instance_id: str) -> dict[str, Any]:
        """Tell all about an instance: its status, its steps and how it ended."""
        body = {"instance_id": instance_id}
        return await self._call("POST", f"/workflows/{workflow_id}/describe", body, repeat=True)

    async def workflow_step(self, workflow_id: str, instance_id: str, step: dict[str, Any]) -> dict[str, Any]:
        """Tell all about a step, {name, type, attempt}: {status, output, error, event_type?}."""
        return await self._call("POST", f"/workflows/{workflow_id}/step", {"instance_id": instance_id, **step})

    async def delete_workflow_instance(self, workflow_id: str, instance_id: str) -> None:
        """Forget an instance; one that runs is ended."""
        await self._call("POST", f"/workflows/{workflow_id}/delete", {"instance_id": instance_id})

    async def workflow_summary(self, workflow_id: str) -> dict[str, Any]:
        """Count instances by status: {counts, triggered_on}."""
        return await self._call("POST", f"/workflows/{workflow_id}/summary", {}, repeat=True)

    async def change_workflow_instance(
        self, workflow_id: str, instance_id: str, command: str, options: dict[str, Any]
    ) -> str:
        """Pause, resume, terminate or restart an instance; gives its status then."""
        body = {"instance_id": instance_id, "command": command, "options": options}
        return (await self._call("POST", f"/workflows/{workflow_id}/command", body))["status"]

    async def send_workflow_event(self, workflow_id: str, instance_id: str, event_type: str, payload: Any) -> None:
        """Send an event to an instance."""
        body = {"instance_id": instance_id, "type": event_type, "payload": payload}
        await self._call("POST", f"/workflows/{workflow_id}/event", body)

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


def _object_path(bucket_id: str, **query: str) -> str:
    return f"/r2/{bucket_id}/object?{urlencode(query)}"
