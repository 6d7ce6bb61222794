"""`python -m ops`: what an operator types."""

import sys

from ops.command_line import main

if __name__ == "__main__":
    sys.exit(main())
