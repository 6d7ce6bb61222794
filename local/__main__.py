"""`python -m local`: runs the Cloudflare on this machine and deploys to it."""

import argparse
import sys

from local.cli import commands, faults
from local.cli.instance import InstanceError
from local.pulumi import commands as deploy_commands


def main() -> int:
    """Run one command; its exit code is the process's."""
    parser = argparse.ArgumentParser(prog="python -m local", description="Cloudflare on this machine.")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parsers(subparsers)
    faults.add_parser(subparsers)
    deploy_commands.add_parsers(subparsers)
    arguments = parser.parse_args()
    try:
        return arguments.run(arguments)
    except InstanceError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
