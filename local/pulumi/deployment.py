"""The operations on a stack: up, preview, refresh, destroy. Each returns an Outcome and keeps the state correct."""

import contextlib
import io
import signal
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any, Self

from local.pulumi.cloudflare_types import cloudflare_types
from local.pulumi.cloudflare_types.api import Api
from local.pulumi.data_loss import lost_data
from local.pulumi.dynamic import TYPE_PREFIX, DynamicType
from local.pulumi.engine import Engine
from local.pulumi.errors import DeployError, ProgramError, StoppedError
from local.pulumi.monitor import EngineLog, Monitor
from local.pulumi.program import Program
from local.pulumi.recovery import settle_pending
from local.pulumi.refresh import refresh
from local.pulumi.resource_types import ResourceTypes
from local.pulumi.stack_config import load_config
from local.pulumi.state import State, copy_of
from local.pulumi.state_file import StateFile
from local.pulumi.steps import Action, Display, Severity, Step
from local.pulumi.target import Target
from local.pulumi.wire import Properties

# The beginning of the message about data that would be lost; the command line adds how to allow it.
_WOULD_DELETE = "it would delete data:"


def _refuse(_lost: list[str]) -> bool:
    """Allow no loss of data (the default)."""
    return False


@dataclass
class Outcome:
    """The outcome of an operation. `errors` is empty on success; `outputs` are the stack's, with secrets marked."""

    tally: Counter[Action]
    outputs: Properties
    errors: list[str] = field(default_factory=list[str])
    trace: str = ""
    interrupted: bool = False


class Deployment:
    """One stack of the program in a folder, deployed to a local instance; the instance's folder has its state too.

    A context manager: it holds connections to the API.

    Raises DeployError if the stack is not for the local Cloudflare, or its configuration is wrong.
    """

    def __init__(
        self,
        folder: Path,
        stack: str,
        state_dir: Path,
        target: Target,
        display: Display,
        confirm: Callable[[list[str]], bool] = _refuse,
    ) -> None:
        config = load_config(folder, stack)
        config.require_loopback()
        config = config.for_instance(target.base_url, target.api_token)
        self._program = Program(folder, config)
        self._file = StateFile(state_dir, config.project, stack)
        self._display = display
        self._target = target
        self._confirm = confirm
        self._api = Api(target.base_url, target.api_token)
        self._types = ResourceTypes(
            cloudflare_types(self._api), DynamicType(config.values, config.project), TYPE_PREFIX
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._api.close()

    def preview(self) -> Outcome:
        """Return what `up` would do, without doing it."""
        state = copy_of(self._file.load())
        self._settle(state)
        return self._play(state, _unsaved, self._display, dry_run=True)

    def up(self) -> Outcome:
        """Deploy the program's present state. Whatever a preview would refuse is refused before anything changes."""
        with self._file.locked():
            state = self._file.load()
            if self._settle(state):
                self._file.save(state)
            rehearsal, planned = _Rehearsal(), copy_of(state)
            foretold = self._rehearse(planned, rehearsal)
            if foretold.errors or foretold.interrupted:
                rehearsal.replay(self._display)
                return replace(foretold, tally=Counter(), outputs=state.outputs)
            if refusal := self._data_loss_refused(rehearsal.steps, state, planned):
                return refusal
            return self._play(state, self._file.save, self._display, dry_run=False)

    def refresh(self) -> Outcome:
        """Update the state from the API."""
        with self._file.locked(), self._interrupts() as interrupted:
            state = self._file.load()
            self._settle(state)
            outcome = Outcome(Counter(), state.outputs)

            def read_all() -> None:
                outcome.tally = refresh(state, self._file.save, self._types, self._display, lambda: bool(interrupted))

            try:
                self._program.call(read_all)
            except DeployError as error:
                outcome.errors.append(str(error))
            self._file.save(state)
            outcome.interrupted = bool(interrupted)
            return outcome

    def destroy(self) -> Outcome:
        """Delete all resources of the stack."""
        with self._file.locked():
            state = self._file.load()
            self._settle(state)
            steps = [Step(Action.DELETE, resource.urn) for resource in state.resources]
            is_allowed = not any(resource.protect for resource in state.resources)  # else the engine says why not
            if is_allowed and (refusal := self._data_loss_refused(steps, state, State())):
                return refusal
            engine = Engine(state, self._file.save, self._types, self._display, self._target, dry_run=False)
            with self._interrupts(engine.interrupt):
                self._program.call(lambda: engine.delete(list(state.resources)))
            if not engine.failures and not engine.interrupted:
                state.outputs = {}
            self._file.save(state)
            if not state.resources:
                self._file.remove()
            return _outcome(engine)

    def _data_loss_refused(self, steps: Iterable[Step], state: State, planned: State) -> Outcome | None:
        """Ask about data that would be lost. Return the operation's outcome if that is refused; None: go on."""
        lost = self._program.call(lambda: lost_data(steps, state, planned, self._types))
        if not lost or self._confirm(lost):
            return None
        return Outcome(Counter(), state.outputs, [f"nothing was touched: {_WOULD_DELETE} {', '.join(lost)}"])

    def _settle(self, state: State) -> bool:
        """Resolve what an interrupted run left; return whether there was anything."""
        notes = self._program.call(lambda: settle_pending(state, self._types))
        for note in notes:
            self._display.message("info", note)
        return bool(notes)

    def _rehearse(self, state: State, display: Display) -> Outcome:
        """Run `up` without its effects, and without the program's own output, which must appear only once."""
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            outcome = self._play(state, _unsaved, display, dry_run=True)
        if outcome.errors and printed.getvalue():
            self._display.message("info", printed.getvalue().rstrip())
        return outcome

    def _play(self, state: State, save: Callable[[State], None], display: Display, *, dry_run: bool) -> Outcome:
        engine = Engine(state, save, self._types, display, self._target, dry_run=dry_run)
        monitor = Monitor(engine, self._program.config.project, self._program.config.stack)
        failure: DeployError | None = None
        with self._interrupts(engine.interrupt):
            try:
                self._program.run(monitor, EngineLog(display), dry_run=dry_run)
            except DeployError as error:
                failure = error
            self._program.call(lambda: engine.finish(complete=failure is None))
        return _outcome(engine, failure)

    @contextlib.contextmanager
    def _interrupts(self, interrupt: Callable[[], Any] = lambda: None) -> Generator[list[int]]:
        """Turn Ctrl-C and SIGTERM into a call of `interrupt`; a second signal acts as usual.

        Yields the list of received signals.
        """
        came: list[int] = []

        def handle(number: int, _frame: FrameType | None) -> None:
            came.append(number)
            self._display.message(
                "warning", "stopping; what is under way is finished first (a second Ctrl-C ends it at once)"
            )
            interrupt()
            for kept, handler in former.items():
                signal.signal(kept, handler)

        former: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        for number in former:
            signal.signal(number, handle)
        try:
            yield came
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)


class _Rehearsal:
    """The display of a rehearsal. It stores steps and messages, which are shown only if the rehearsal fails."""

    def __init__(self) -> None:
        self._messages: list[tuple[Severity, str, str]] = []
        self.steps: list[Step] = []

    def started(self, step: Step) -> None:
        """Ignore it."""

    def finished(self, step: Step, seconds: float) -> None:  # noqa: ARG002 the interface's
        """Store it."""
        self.steps.append(step)

    def failed(self, step: Step, seconds: float) -> None:
        """Ignore it."""

    def message(self, severity: Severity, text: str, urn: str = "") -> None:
        """Store it."""
        self._messages.append((severity, text, urn))

    def replay(self, display: Display) -> None:
        """Show what was stored."""
        for severity, text, urn in self._messages:
            display.message(severity, text, urn)


def _outcome(engine: Engine, failure: DeployError | None = None) -> Outcome:
    errors = [str(error) for error in engine.failures]
    if failure and failure not in engine.failures and not isinstance(failure, StoppedError):
        errors.append(str(failure))
    trace = failure.trace if isinstance(failure, ProgramError) else ""
    return Outcome(engine.tally, engine.state.outputs, errors, trace, engine.interrupted)


def _unsaved(_state: State) -> None:
    """Save nothing (for previews)."""
