"""What the scaffold writes from the SDK's models works before anybody has touched it."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from local import scaffold
from local.api.envelope import ApiError
from local.api.fields import Fields


def invalid(path: str, problem: str) -> ApiError:
    return ApiError(400, 10001, f"{path}: {problem}")


def written(product: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Let it write a product into a package of its own, beside the real ones."""
    monkeypatch.setattr(scaffold, "PRODUCTS_FOLDER", folder / "products")
    monkeypatch.setattr(sys, "argv", ["scaffold", product, "--tests", str(folder / "tests")])
    assert scaffold.main() == 0
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.py")}


def test_it_writes_what_the_sdk_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = written("hyperdrive", tmp_path, monkeypatch)
    assert sorted(files) == [
        "products/hyperdrive/__init__.py",
        "products/hyperdrive/configs.py",
        "products/hyperdrive/product.py",
        "tests/test_hyperdrive.py",
    ]
    routes = files["products/hyperdrive/configs.py"]
    for verb in ("POST", "GET", "PUT", "PATCH", "DELETE"):
        assert f'Route("{verb}", ' in routes
    assert "POST /accounts/{account_id}/hyperdrive/configs/{hyperdrive_id}/restart" in routes, "named as left out"
    for operation in ("create", "list", "get", "update", "edit", "delete"):
        assert f'"hyperdrive.configs.{operation}"' in files["tests/test_hyperdrive.py"]


def test_its_readers_check_fields(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written("hyperdrive", tmp_path, monkeypatch)
    spec = importlib.util.spec_from_file_location("scaffolded_configs", tmp_path / "products/hyperdrive/configs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    origin = {"database": "d", "host": "h", "password": "p", "port": 5432, "scheme": "postgres", "user": "u"}
    sent = {"name": "n", "origin": origin, "unknown": 1}
    assert module.read_create(Fields(sent, invalid)) == {"name": "n", "origin": origin}
    for wrong, path in (
        ({"origin": origin}, "name"),
        ({"name": 1}, "name"),
        ({"name": "n", "origin": origin | {"scheme": "oracle"}}, "origin.scheme"),
        ({"name": "n", "origin": origin | {"port": "5432"}}, "origin.port"),
    ):
        with pytest.raises(ApiError, match=f"^{path}: "):
            module.read_create(Fields(wrong, invalid))
    assert module.read_edit(Fields({"origin": {"user": "v"}}, invalid)) == {"origin": {"user": "v"}}, "a part of it"


def test_it_writes_over_nothing_and_says_what_it_does_not_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = written("hyperdrive", tmp_path, monkeypatch)
    assert scaffold.main() == 1
    assert {str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.rglob("*.py")} == files
    done = subprocess.run(
        [sys.executable, "-m", "local.scaffold", "no_such_product"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: the SDK, cloudflare ")


@pytest.mark.parametrize("product", ["vectorize", "queues", "d1", "secrets_store"])
def test_what_it_writes_is_python(product: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in written(product, tmp_path, monkeypatch).items():
        compile(text, name, "exec")
