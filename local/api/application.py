"""The ASGI application: authenticates requests, routes them, and formats errors."""

import logging
import re
import time

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from local.api.envelope import ApiError, error_response
from local.api.origin_check import check_origin
from local.api.request_body import read_body
from local.api.routing import Call, Route, Router, parse_query
from local.cli.instance import API_PATH
from local.cli.log_file import LogFile
from local.core.cloud import Cloud
from local.core.product import SocketHandler
from local.core.registry import products
from local.runtime.data_plane_client import DataPlaneAwayError, DataPlaneRefusedError

_log = logging.getLogger(__name__)

_BEARER = re.compile(r"Bearer [A-Za-z0-9\-._~+/]+=*")  # RFC 6750; anything else in the header is 6111 at Cloudflare
_ACCOUNT_ID = re.compile(r"[0-9a-f]{32}")
_VERIFY_PATH = re.compile(r"/(user|accounts/[^/]+)/tokens/verify")


class Application:
    """Answers /client/v4 for one cloud."""

    def __init__(self, cloud: Cloud, log: LogFile) -> None:
        self._cloud = cloud
        self._log = log
        self._router = Router(route for product in products() for route in product.routes)
        self._open_router = Router(route for product in products() for route in product.open_routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request, or serve one WebSocket."""
        if scope["type"] == "websocket":
            await self._talk(WebSocket(scope, receive, send))
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        started = time.monotonic()
        response = await self._answer(request)
        milliseconds = (time.monotonic() - started) * 1000
        level = "warn" if response.status_code >= 400 else "debug"
        line = f"{request.method} {_raw_path(request)} {response.status_code} {milliseconds:.0f} ms"
        self._log.write("api", level, line + _reason(response))
        await response(scope, receive, send)

    async def _talk(self, socket: WebSocket) -> None:
        path = _raw_path(socket)
        try:
            check_origin(socket)
            await _socket_handler(path)(self._cloud, socket, path)
        except ApiError as error:
            self._log.write("api", "warn", f"WebSocket {socket.url.path} refused: {error}")
            await socket.send_denial_response(error_response(error))

    async def _answer(self, request: Request) -> Response:
        try:
            path = _local_path(request)
            if not path.startswith(f"{API_PATH}/"):
                return await self._route_open(request, path)
            path = path.removeprefix(API_PATH)
            return await self._route(request, path)
        except ApiError as error:
            return error_response(error)
        except DataPlaneRefusedError as error:
            return error_response(_refused(error))
        except DataPlaneAwayError as error:
            return error_response(ApiError(503, 10013, f"workers.api.error.unknown: {error}"))
        except Exception:
            _log.exception("%s %s", request.method, request.url.path)
            return error_response(ApiError(500, 10013, "An unknown error has occurred; see the server's log."))

    async def _route(self, request: Request, path: str) -> Response:
        found = self._router.find(request.method, path)
        if found is None or not found[0].own_token:
            self._check_token(request, path)
        if found is None:
            # Cloudflare has more routes than this, so the answer must not look like its own 404.
            message = f"The local Cloudflare does not have {request.method} {path}"
            raise ApiError(501, 7000, f"No route for that URI. {message}")
        route, names = found
        if "account_id" in names:
            self._check_account(names["account_id"], path)
        return await self._call(request, path, route, names)

    async def _route_open(self, request: Request, path: str) -> Response:
        """Answer at a secret address, which needs no token."""
        found = self._open_router.find(request.method, path)
        if found is None:
            raise ApiError(404, 7000, f"No route for that URI: the API is at {API_PATH}")
        return await self._call(request, path, *found)

    async def _call(self, request: Request, path: str, route: Route, names: dict[str, str]) -> Response:
        body = await read_body(request, route.largest_body_bytes)
        query = parse_query(request.scope["query_string"])
        call = Call(self._cloud, request.method, path, names, query, body, request.headers)
        return (await route.handler(call)).response()

    def _check_token(self, request: Request, path: str) -> None:
        """Check the bearer token of a request. Raises ApiError.

        Many quoted answers of the real API have status 400 with code 9106, or 6003 with 6111, and 401 with code 10000.
        wrangler recognises account tokens by the code 1000 of the verify route (workers-sdk,
        wrangler/src/user/whoami.ts).
        """
        header = request.headers.get("authorization")
        if header is None and "x-auth-key" in request.headers:
            raise ApiError(403, 9103, "Unknown X-Auth-Key or X-Auth-Email")
        if header is None:
            raise ApiError(400, 9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers")
        if not _BEARER.fullmatch(header):
            chain = [(6111, "Invalid format for Authorization header")]
            raise ApiError(400, 6003, "Invalid request headers", chain=chain)
        if self._cloud.credentials.knows_token(header.removeprefix("Bearer ")):
            return
        if _VERIFY_PATH.fullmatch(path):
            raise ApiError(401, 1000, "Invalid API Token")
        raise ApiError(401, 10000, "Authentication error")

    def _check_account(self, account_id: str, path: str) -> None:
        if not _ACCOUNT_ID.fullmatch(account_id):
            message = f"Could not route to {API_PATH}{path}, perhaps your object identifier is invalid?"
            raise ApiError(404, 7003, message)
        if not self._cloud.credentials.knows_account(account_id):
            raise ApiError(403, 10000, "Authentication error")


def _socket_handler(path: str) -> SocketHandler:
    """Find the handler of WebSockets at this path. Raises ApiError."""
    for product in products():
        for prefix, handler in product.sockets.items():
            if path.startswith(prefix):
                return handler
    raise ApiError(404, 7000, "No route for that URI")


def _local_path(request: HTTPConnection) -> str:
    """Return the percent-encoded path of a request, after checking its origin."""
    check_origin(request)
    return _raw_path(request)


def _raw_path(request: HTTPConnection) -> str:
    """Return the path unchanged, percent-encoded: an encoded "/" in a key is no separator."""
    raw_path: bytes = request.scope["raw_path"]
    return raw_path.decode("latin-1").partition("?")[0]


def _refused(error: DataPlaneRefusedError) -> ApiError:
    """Convert an error of the data plane to Cloudflare's code and text.

    Code 10021 with the runtime's own message is the answer to an upload of code that does not start (quoted, for
    instance, as `Uncaught Error: No such module "fleet.js". imported from "worker.js"`).
    """
    if error.kind == "invalid_worker":
        return ApiError(400, 10021, error.message)
    if error.kind == "port_in_use":
        return ApiError(409, 10013, f"workers.api.error.unknown: {error.message}")
    return ApiError(500, 10013, f"workers.api.error.unknown: {error.message}")


def _reason(response: Response) -> str:
    if response.status_code < 400:
        return ""
    return f" {bytes(response.body).decode(errors='replace')}"
