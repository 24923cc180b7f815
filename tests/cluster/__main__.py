"""`python3 -m cluster …`: the test cluster from the command line."""

import sys

from cluster.command_line import main

sys.exit(main(sys.argv[1:]))
