"""`python -m local`, and `cloudflare-local`: runs the local Cloudflare and deploys to it."""

import argparse
import sys
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parents[1]


def main() -> int:
    """Run one command; its exit code is the process's."""
    try:
        return _run()
    except ModuleNotFoundError as error:
        sys.stderr.write(f"error: {_missing(error)}\n")
        return 1
    except KeyboardInterrupt:
        return 130


def _run() -> int:
    from local.cli import commands, faults
    from local.cli.instance import InstanceError
    from local.pulumi import commands as deploy_commands

    by_name = Path(sys.argv[0]).name
    program = "python -m local" if by_name == "__main__.py" else by_name
    parser = argparse.ArgumentParser(prog=program, description="Cloudflare on this machine.")
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


def _missing(error: ModuleNotFoundError) -> str:
    """Say in one line what to do about a package that is not installed; raise an error in our own modules again."""
    if error.name is None or error.name.partition(".")[0] == __package__:
        raise error
    what = f"the Python package {error.name} is not installed"
    if (_REPOSITORY / "requirements-dev.txt").exists():
        return f"{what}: run `source .venv/bin/activate` first (`make setup` makes that environment)"
    return f"{what}: run `pip install 'cloudflare-local[pulumi]'`"


if __name__ == "__main__":
    sys.exit(main())
