"""The errors of a deployment, distinguished by who has to act."""

NOT_FOUND = 404
_SERVER_ERROR = 500


class DeployError(Exception):
    """The deployment cannot go on; the message tells the user what to do."""


class StepError(DeployError):
    """One step failed: `urn` is its resource."""

    def __init__(self, urn: str, message: str) -> None:
        super().__init__(message)
        self.urn = urn


class StoppedError(DeployError):
    """A resource was registered after the deployment had stopped, because of a failed step or an interrupt."""


class ProgramError(DeployError):
    """The program itself failed; `trace` has its own frames if the exception was not written for users."""

    def __init__(self, message: str, trace: str = "") -> None:
        super().__init__(message)
        self.trace = trace


class CheckError(DeployError):
    """A resource's inputs were refused before anything was sent."""


class ApiError(DeployError):
    """Cloudflare's API refused, or did not answer.

    `status` is the HTTP status (0: no answer). `outcome_unknown` is true if the request may have taken effect.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status

    @property
    def outcome_unknown(self) -> bool:
        """Whether the request may have taken effect although it was not answered with success."""
        return self.status == 0 or self.status >= _SERVER_ERROR
