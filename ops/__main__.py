"""The command ``python -m ops``."""

import sys


def run() -> int:
    """Run one command. A missing package is reported in one line: then the virtual environment is not active."""
    try:
        from ops.command_line import main
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in ("local", "ops"):
            raise
        sys.stderr.write(
            f"error: the Python package {error.name} is not installed: run `source .venv/bin/activate` first"
            " (`make setup` makes that environment)\n"
        )
        return 1
    return main()


if __name__ == "__main__":
    sys.exit(run())
