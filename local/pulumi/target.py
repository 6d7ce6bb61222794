"""The target of a deployment."""

from dataclasses import dataclass

from local.pulumi.errors import DeployError
from local.pulumi.wire import Properties, reveal

_HONOURED = {"baseUrl", "apiToken", "version"}


@dataclass(frozen=True)
class Target:
    """The API to deploy to: its address (…/client/v4), and a token for it."""

    base_url: str
    api_token: str

    def check_provider(self, inputs: Properties) -> None:
        """Refuse an explicit provider that names another API, or other credentials. Raises DeployError.

        With the Pulumi CLI, such a provider ignores the stack's configuration: without an address it would deploy to
        Cloudflare itself.
        """
        given = {key: value for key, value in reveal(inputs).items() if value is not None}
        more = sorted(set(given) - _HONOURED)
        if more:
            raise DeployError(f"{', '.join(more)} of a provider is not supported by the local deploy")
        address = str(given.get("baseUrl", "")).rstrip("/")
        if address != self.base_url.rstrip("/"):
            raise DeployError(
                f"a provider of the program's own must have the baseUrl {self.base_url} here, got"
                f" {address or 'none, which is Cloudflare itself'}: give it cloudflare:baseUrl of the configuration,"
                " or leave the provider out"
            )
        if given.get("apiToken", self.api_token) != self.api_token:
            raise DeployError(
                "a provider of the program's own must have the token of the local Cloudflare: give it"
                " cloudflare:apiToken of the configuration"
            )
