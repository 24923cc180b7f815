"""`python -m modelway.cli`: the command line without its installed script."""

import sys

from modelway.cli.program import main

if __name__ == "__main__":
    sys.exit(main())
