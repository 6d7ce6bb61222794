"""Deploys a Pulumi Python program to the local Cloudflare without the Pulumi CLI.

It replaces the Pulumi engine and the Cloudflare provider, for the resource types of this project and for a stack whose
API is on a loopback address. The program is the same file that the real CLI runs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from local.pulumi.errors import DeployError
    from local.pulumi.outputs import read_outputs
    from local.pulumi.stack_config import PROJECT_FILE, StackConfig, load_config, read_values
    from local.pulumi.urn import name_of, type_of

__all__ = [
    "PROJECT_FILE",
    "DeployError",
    "StackConfig",
    "load_config",
    "name_of",
    "read_outputs",
    "read_values",
    "type_of",
]

_MODULES = {
    "DeployError": "errors",
    "read_outputs": "outputs",
    **dict.fromkeys(("PROJECT_FILE", "StackConfig", "load_config", "read_values"), "stack_config"),
    **dict.fromkeys(("name_of", "type_of"), "urn"),
}


def __getattr__(name: str) -> Any:
    """Load what other programs use only on demand: the local Cloudflare runs without Pulumi's packages."""
    if name not in _MODULES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
