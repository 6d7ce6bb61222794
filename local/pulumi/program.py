"""Runs the Pulumi program in this process, as the Pulumi CLI's Python language host does in its own."""

import asyncio
import contextlib
import contextvars
import gc
import pickle
import runpy
import sys
import traceback
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import pulumi
from pulumi.runtime import settings as pulumi_settings
from pulumi.runtime.config import set_all_config
from pulumi.runtime.stack import run_in_stack

from local.pulumi.errors import DeployError, ProgramError
from local.pulumi.monitor import EngineLog, Monitor
from local.pulumi.stack_config import StackConfig

_T = TypeVar("_T")

_ENTRY = "__main__.py"
# Each step in progress uses a thread of the SDK's event loop.
_PARALLEL_STEPS = 16
# The value of `pulumi.get_organization()` without a Pulumi account.
_ORGANIZATION = "organization"
# Pulumi's SDK wraps this function of pickle each time that it serialises a dynamic provider, and never unwraps it: a
# process that runs many programs would end in a RecursionError.
_PICKLER, _WRAPPED = pickle._Pickler, "_batch_setitems"  # pyright: ignore
_UNWRAPPED = getattr(_PICKLER, _WRAPPED)


@dataclass(frozen=True)
class Program:
    """A program in its folder, with the configuration of one stack."""

    folder: Path
    config: StackConfig

    def run(self, monitor: Monitor, log: EngineLog, *, dry_run: bool) -> None:
        """Run it to its end, registering resources with the monitor.

        Raises ProgramError if the program failed, or the engine's own DeployError if that ended it.
        """
        if not (self.folder / _ENTRY).is_file():
            raise DeployError(f"there is no {_ENTRY} in {self.folder.resolve()}: run this in the folder of the program")
        with self.environment():
            contextvars.copy_context().run(self._run, monitor, log, dry_run)

    def call(self, function: Callable[[], _T]) -> _T:
        """Call a function as the program would: with its folder, modules and configuration (for dynamic resources)."""

        def configured() -> _T:
            self._configure(None, None, dry_run=False)
            return function()

        with self.environment():
            return contextvars.copy_context().run(configured)

    @contextlib.contextmanager
    def environment(self) -> Generator[None]:
        """Work in the program's folder. Its modules are imported anew, and removed afterwards."""
        before = set(sys.modules)
        folder = str(self.folder.resolve())
        with contextlib.chdir(folder):
            sys.path.insert(0, folder)
            try:
                yield
            finally:
                sys.path.remove(folder)
                for name in set(sys.modules) - before:
                    if _belongs_to(sys.modules[name], self.folder.resolve()):
                        del sys.modules[name]

    def _configure(self, monitor: Monitor | None, log: EngineLog | None, *, dry_run: bool) -> None:
        """Set the SDK up for one run, in the current context."""
        pulumi_settings.ROOT.set(None)
        pulumi_settings.configure(
            pulumi_settings.Settings(
                project=self.config.project,
                stack=self.config.stack,
                monitor=monitor,
                engine=log,
                dry_run=dry_run,
                organization=_ORGANIZATION,
                root_directory=str(self.folder.resolve()),
            )
        )
        set_all_config(self.config.values, sorted(self.config.secret_keys))

    def _run(self, monitor: Monitor, log: EngineLog, dry_run: bool) -> None:
        self._configure(monitor, log, dry_run=dry_run)
        with _event_loop() as loop:
            try:
                loop.run_until_complete(run_in_stack(self._main))
            except DeployError:
                raise
            except pulumi.RunError as error:
                raise ProgramError(str(error)) from error
            except Exception as error:
                raise ProgramError(f"{type(error).__name__}: {error}", self._trace(error)) from error
            except SystemExit as error:
                if error.code:
                    raise ProgramError(f"the program called exit({error.code})") from error

    def _main(self) -> None:
        setattr(_PICKLER, _WRAPPED, _UNWRAPPED)
        with _no_garbage_collection():
            runpy.run_path(str(self.folder.resolve() / _ENTRY), run_name="__main__")

    def _trace(self, error: Exception) -> str:
        """Format the program's own frames."""
        folder = str(self.folder.resolve())
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if frame.filename.startswith(folder) and "site-packages" not in frame.filename]
        return "".join(traceback.format_list([frame for frame in own if not frame.filename.startswith(_OWN_FOLDER)]))


_OWN_FOLDER = str(Path(__file__).parent)


@contextlib.contextmanager
def _no_garbage_collection() -> Generator[None]:
    """Turn off garbage collection while a program runs: what it imports stays, and a collection takes a second."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextlib.contextmanager
def _event_loop() -> Generator[asyncio.AbstractEventLoop]:
    """Give the SDK an event loop of its own, and end all its tasks.

    The loop's warnings are dropped: if a resource fails, the SDK does not await the futures of later ones.
    """
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda _loop, _context: None)
    asyncio.set_event_loop(loop)
    executor = ThreadPoolExecutor(_PARALLEL_STEPS, thread_name_prefix="deploy")
    loop.set_default_executor(executor)
    try:
        yield loop
    finally:
        executor.shutdown(wait=True)
        leftover: set[asyncio.Task[Any]] = asyncio.all_tasks(loop)
        for task in leftover:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*leftover, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        loop.close()


def _belongs_to(module: ModuleType, folder: Path) -> bool:
    """Tell whether a module belongs to the program, not to an environment in its folder or to this package."""
    file = getattr(module, "__file__", None)
    if not isinstance(file, str) or "site-packages" in file:
        return False
    return Path(file).is_relative_to(folder) and not module.__name__.startswith("local.")
