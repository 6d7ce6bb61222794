"""Code on disk, by hash: each content once, for as long as a version needs it, and no code in a configuration."""

import base64
import json
import os
import sqlite3
import time
from pathlib import Path

from local.cli.instance import Instance
from local.core.code_files import CodeFiles, NewModule
from local.core.registry import configuration, products
from local.core.store import Store
from local.products.workers import desired_state
from tests.local.rest import Rest, eventually, unique, version

BIG = "export default { fetch: () => new Response('big') } // " + "x" * 100_000


def test_each_content_is_kept_once_and_goes_when_no_version_needs_it(tmp_path: Path) -> None:
    files = CodeFiles(tmp_path)
    first, second, third = (
        NewModule(name, "text/plain", content) for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2"))
    )
    kept = files.keep([first, second, third])
    assert [module["name"] for module in kept] == ["a", "b", "c"]
    assert kept[0]["sha256"] == kept[1]["sha256"]
    assert [files.read(module["sha256"]) for module in kept] == [b"1", b"1", b"2"]
    assert [files.size(module["sha256"]) for module in kept] == [1, 1, 1]

    files.keep_only(set())  # an upload under way may need them
    assert len(list(tmp_path.iterdir())) == 2
    long_ago = time.time() - 7200
    for path in tmp_path.iterdir():
        os.utime(path, (long_ago, long_ago))
    files.keep([third])  # it is wanted again
    files.keep_only(set())
    assert [path.name for path in tmp_path.iterdir()] == [kept[2]["sha256"]]


def test_a_state_of_an_earlier_version_keeps_its_code(tmp_path: Path) -> None:
    path = tmp_path / "cloudflare.db"
    with sqlite3.connect(path, isolation_level=None) as db:
        had = [step for product in products() for step in product.schema if step.single_version is not None]
        db.execute("CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
        db.execute("CREATE TABLE doomed_data (kind TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (kind, id))")
        for step in sorted(had, key=lambda step: step.single_version or 0):
            db.executescript(step.sql)
        db.execute("PRAGMA user_version = 7")
        db.execute("INSERT INTO workers VALUES ('w', 'w', 1, '', '', NULL, '{}', NULL, NULL)")
        db.execute("INSERT INTO worker_versions VALUES ('v', 'w', 1, '', '', 0, '[]', '{}')")
        for position, (name, content) in enumerate([("b.js", b"code"), ("a.bin", b"\0\xff")]):
            row = ("v", position, name, "text/plain", base64.b64encode(content).decode())
            db.execute("INSERT INTO worker_modules VALUES (?, ?, ?, ?, ?)", row)
    db.close()
    opened = Store(path)
    try:
        modules = desired_state.modules_of(opened.reader, "v")
        assert [module["name"] for module in modules] == ["b.js", "a.bin"]
        assert [opened.code.read(module["sha256"]) for module in modules] == [b"code", b"\0\xff"]
    finally:
        opened.close()


def test_a_deleted_worker_takes_its_code_along_and_a_configuration_has_none(cloud: Instance, rest: Rest) -> None:
    code = BIG + unique("")
    worker = rest.deployed_worker(code)
    folder = cloud.state_dir / "modules"
    [path] = [path for path in folder.iterdir() if path.read_bytes() == code.encode()]
    with sqlite3.connect(cloud.state_dir / "cloudflare.db") as db:
        db.row_factory = sqlite3.Row
        assert len(json.dumps(configuration(db)["workers"])) < 1_000_000
        assert BIG not in json.dumps(configuration(db))
    db.close()
    long_ago = time.time() - 7200
    os.utime(path, (long_ago, long_ago))
    rest.result("DELETE", f"/workers/workers/{worker['id']}")
    eventually(lambda: None if path.exists() else True)


def test_the_same_code_is_tried_once(rest: Rest) -> None:
    worker = rest.worker()
    path = f"/workers/workers/{worker['id']}/versions"
    code = f"await 0; export default {{ fetch: () => new Response('{unique('code')}') }}"
    times = [rest.result("POST", path, version(code))["startup_time_ms"] for _ in range(2)]
    assert times[0] == times[1]
