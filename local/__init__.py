"""A local Cloudflare.

Other programs may use what is here, and `local.pulumi` for deployed stacks; the rest may change at any time.
"""

from local.cli.environment import variables
from local.cli.instance import DEFAULT_STATE_DIR, Instance, InstanceError, start, stop
from local.core.credentials import LOCAL_ACCOUNT_ID

__all__ = ["DEFAULT_STATE_DIR", "LOCAL_ACCOUNT_ID", "Instance", "InstanceError", "start", "stop", "variables"]
