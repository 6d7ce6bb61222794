"""The environment variables that point wrangler, Terraform, Pulumi and Cloudflare's SDKs at an instance."""

import json
import shlex
from collections.abc import Callable

from local.cli.instance import Instance
from local.core.credentials import ACCOUNT_VARIABLE, TOKEN_VARIABLE

Variables = dict[str, str]


def variables(running: Instance) -> Variables:
    """Return the variables that each client reads: none of them reads both addresses."""
    return {
        "CLOUDFLARE_API_BASE_URL": running.base_url,  # wrangler
        "CLOUDFLARE_BASE_URL": running.base_url,  # the Terraform and Pulumi providers, and the SDKs
        TOKEN_VARIABLE: running.api_token,
        ACCOUNT_VARIABLE: running.account_id,
    }


def _shell(values: Variables) -> str:
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in values.items())


def _dotenv(values: Variables) -> str:
    return "\n".join(f'{name}="{value}"' for name, value in values.items())


def _json(values: Variables) -> str:
    return json.dumps(values, indent=2)


FORMATS: dict[str, Callable[[Variables], str]] = {"shell": _shell, "dotenv": _dotenv, "json": _json}
