"""An event loop for one coroutine."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


def run_to_end(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run it as ``asyncio.run`` does, which also takes away the loop of the thread; Pulumi's tests need it."""
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(coroutine)
    finally:
        loop.close()
