"""Who may reach it, how much of it, and what of it others on this machine can read."""

import json
import re
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from local.api.request_body import LARGEST_BODY_BYTES
from local.cli import instance
from local.cli.instance import Instance
from local.cli.processes import ProcessRecord
from local.core.credentials import Credentials, mint_token, read_token
from tests.local.rest import Rest, eventually, refusal_of, unique

NOT_HERE = (403, 10000, "Authentication error: the local Cloudflare answers callers on this machine only")
LOOPBACK = "0100007F"  # 127.0.0.1 in Linux's tables of sockets: little-endian
LISTEN = "0A"
linux_only = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads Linux's tables of sockets")
CHUNK = b"x" * 1_000_000


def get(cloud: Instance, headers: dict[str, str]) -> httpx.Response:
    token = {"Authorization": f"Bearer {cloud.api_token}"}
    return httpx.get(f"{cloud.base_url}/accounts", headers=token | headers, trust_env=False)


def listening(pids: set[int]) -> set[tuple[str, int]]:
    """Find where processes listen: address as the kernel writes it, and port."""
    links = [descriptor for pid in pids for descriptor in Path(f"/proc/{pid}/fd").iterdir()]
    inodes = {target(link).removeprefix("socket:[").removesuffix("]") for link in links}
    tables = [Path(f"/proc/net/{name}").read_text().splitlines()[1:] for name in ("tcp", "tcp6")]
    rows = [row.split() for table in tables for row in table]
    found = [row[1].split(":") for row in rows if row[3] == LISTEN and row[9] in inodes]
    return {(address, int(port, 16)) for address, port in found}


def target(descriptor: Path) -> str:
    """Tell what a descriptor is of; nothing when it was closed since it was listed."""
    try:
        return str(descriptor.readlink())
    except FileNotFoundError:
        return ""


def processes(cloud: Instance) -> set[int]:
    data_plane = ProcessRecord(**json.loads((cloud.state_dir / "data_plane.json").read_text()))
    return descendants(cloud.pid) | descendants(data_plane.pid)


def descendants(pid: int) -> set[int]:
    found = {pid}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # the thread, or the child, has ended meanwhile
            for child in (task / "children").read_text().split():
                found |= descendants(int(child))
    return found


@pytest.mark.parametrize("host", ["example.com", "127.0.0.1.example.com", "127.0.0.1@example.com", "192.0.2.1", ""])
def test_a_name_that_only_resolves_to_this_machine_is_refused(cloud: Instance, host: str) -> None:
    assert refusal_of(get(cloud, {"Host": f"{host}:{cloud.port}"})) == NOT_HERE


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "localhost:1", "localhost:x", "[", ""])
def test_a_host_without_its_port_is_refused(cloud: Instance, host: str) -> None:
    assert refusal_of(get(cloud, {"Host": host})) == NOT_HERE


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
def test_loopback_is_let_in_by_any_of_its_names(cloud: Instance, host: str) -> None:
    assert get(cloud, {"Host": f"{host}:{cloud.port}"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://example.com"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://localhost.example.com"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_a_page_of_another_site_cannot_drive_it(cloud: Instance, headers: dict[str, str]) -> None:
    assert refusal_of(get(cloud, headers)) == NOT_HERE


def test_nor_an_address_that_needs_no_token(cloud: Instance) -> None:
    origin = cloud.base_url.removesuffix("/client/v4")
    page = {"Origin": "https://example.com"}
    assert refusal_of(httpx.put(f"{origin}/d1/uploads/x", headers=page, trust_env=False)) == NOT_HERE


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://localhost:3000"}, {"Origin": "http://[::1]"}, {"Sec-Fetch-Site": "same-origin"}]
)
def test_a_page_of_this_machine_can(cloud: Instance, headers: dict[str, str]) -> None:
    assert get(cloud, headers).status_code == 200


def test_no_page_is_told_that_it_may_read_an_answer(cloud: Instance) -> None:
    answer = get(cloud, {"Origin": "http://localhost:3000"})
    assert not [name for name in answer.headers if name.startswith("access-control-")]
    asked = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "DELETE"}
    assert httpx.options(f"{cloud.base_url}/accounts", headers=asked, trust_env=False).status_code == 400


def test_a_worker_is_a_site_of_its_own(rest: Rest) -> None:
    code = "export default { fetch: (request) => new Response(request.headers.get('Origin')) }"
    url = rest.deployed_worker(code)["subdomain"]["url"]
    page = {"Origin": "https://example.com", "Sec-Fetch-Site": "cross-site"}

    def answer() -> str | None:
        response = httpx.get(url, headers=page, trust_env=False)
        return response.text if response.status_code == 200 else None

    assert eventually(answer) == "https://example.com", "another site's page may read what the Worker lets it"
    assert httpx.get(url, headers={"Host": "example.com"}, trust_env=False).status_code == 403
    assert httpx.post(url, headers=page, trust_env=False).status_code == 403


@linux_only
def test_everything_listens_on_loopback_only(cloud: Instance, rest: Rest) -> None:
    assert rest.deployed_worker()
    assert {address for address, _ in listening(processes(cloud))} == {LOOPBACK}


@linux_only
def test_the_data_plane_answers_its_control_plane_only(tmp_path: Path) -> None:
    cloud, _ = instance.start(tmp_path / "state", port=0)
    try:
        ports = {port for _, port in listening(processes(cloud))} - {cloud.port}
        answers = [
            httpx.put(f"http://127.0.0.1:{port}/config", headers=token, trust_env=False)
            for port in ports
            for token in ({}, {"Authorization": f"Bearer {cloud.api_token}"})
        ]
    finally:
        instance.stop(cloud.state_dir)
    assert {answer.status_code for answer in answers} <= {401, 403, 404}, [(str(a.url), a.text) for a in answers]
    assert [answer.status_code for answer in answers].count(401) >= 2  # its own API without a token and with ours


def test_a_token_is_known_as_a_whole_only() -> None:
    credentials = Credentials.of("t" * 43, {"CLOUDFLARE_API_TOKEN": "mine" * 10})
    assert credentials.knows_token("mine" * 10)
    assert credentials.knows_token("t" * 43)
    assert not credentials.knows_token("t" * 42)
    assert not credentials.knows_token("ü")


def test_a_state_folder_has_a_token_of_its_own(cloud: Instance, tmp_path: Path) -> None:
    for folder in (tmp_path / "one", tmp_path / "other"):
        instance.prepare(folder)
    tokens = [read_token(folder) for folder in (tmp_path / "one", tmp_path / "other", cloud.state_dir)]
    assert len(set(tokens)) == 3
    assert all(re.fullmatch(r"[0-9A-Za-z_-]{40,80}", token) for token in tokens), "as the provider wants it"
    assert (cloud.state_dir / "api_token").stat().st_mode & 0o777 == 0o600
    mint_token(tmp_path / "one")
    assert read_token(tmp_path / "one") == tokens[0], "it stays"
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == ["api_token", "logs"]
    assert cloud.api_token == tokens[2]


def test_a_body_announced_as_too_large_is_not_read(cloud: Instance) -> None:
    head = [
        f"POST /client/v4/accounts/{cloud.account_id}/queues HTTP/1.1",
        f"Host: 127.0.0.1:{cloud.port}",
        f"Authorization: Bearer {cloud.api_token}",
        f"Content-Length: {LARGEST_BODY_BYTES + 1}",
    ]
    with socket.create_connection(("127.0.0.1", cloud.port), timeout=20) as connection:
        connection.sendall("\r\n".join([*head, "", ""]).encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_a_body_that_turns_out_too_large_is_refused_in_the_envelope(rest: Rest) -> None:
    def body() -> Iterator[bytes]:
        for _ in range(LARGEST_BODY_BYTES // len(CHUNK) + 1):
            yield CHUNK

    message = f"The request body is larger than {LARGEST_BODY_BYTES} bytes"
    assert rest.refusal("POST", "/queues", content=body()) == (413, 10027, message)


@pytest.mark.parametrize("name", ["..%2F..%2Fescaped", "%2Fetc%2Fpasswd", "..", "a%00b", "....%2F%2Fescaped"])
def test_names_do_not_become_paths(rest: Rest, cloud: Instance, name: str) -> None:
    assert rest.send("PUT", f"/workers/scripts/{name}", content=b"").status_code >= 400
    for path in (f"/d1/database/{name}", f"/storage/kv/namespaces/{name}", f"/queues/{name}", f"/workflows/{name}"):
        assert rest.send("DELETE", path).status_code >= 400
    assert rest.send("GET", f"/workers/durable_objects/namespaces/{name}/objects").status_code >= 400
    assert not list(cloud.state_dir.parent.glob("*escaped*"))


def test_nor_do_names_of_modules(rest: Rest, cloud: Instance) -> None:
    secret = cloud.state_dir.parent / "secret.js"
    secret.write_text("export default 'secret'")
    code = f"import secret from '{secret}'; export default {{ fetch: () => new Response(secret) }}"
    files = {
        "metadata": (None, '{"main_module": "index.js", "compatibility_date": "2025-04-01"}', "application/json"),
        "index.js": ("index.js", code, "application/javascript+module"),
    }
    assert rest.refusal("PUT", f"/workers/scripts/{unique('reader')}", files=files)[:2] == (400, 10021)


def test_a_key_of_kv_that_looks_like_a_path_is_a_key(rest: Rest, cloud: Instance) -> None:
    namespace = rest.result("POST", "/storage/kv/namespaces", {"title": unique("paths")})
    path = f"/storage/kv/namespaces/{namespace['id']}/values/..%2F..%2Fescaped"
    assert rest.send("PUT", path, content=b"1").status_code == 200
    assert rest.send("GET", path).content == b"1"
    assert not list(cloud.state_dir.parent.glob("*escaped*"))


def test_state_and_logs_are_readable_by_their_owner_only(cloud: Instance, rest: Rest) -> None:
    rest.deployed_worker()
    database = rest.database()
    rest.result("POST", f"/d1/database/{database['uuid']}/query", {"sql": "CREATE TABLE t (a)"})
    open_to_others = [
        f"{path} {stat.S_IMODE(path.stat().st_mode):o}"
        for path in [cloud.state_dir, *cloud.state_dir.rglob("*")]
        if not path.is_symlink() and path.exists() and path.stat().st_mode & 0o077
    ]
    assert open_to_others == []
    assert (cloud.state_dir / "logs" / "cloudflare.log").exists()
