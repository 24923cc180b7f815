"""`python -m demo` tells the story on a real cluster and leaves it up; `python -m demo down` removes all of it."""

import sys

from demo import program

if __name__ == "__main__":
    sys.exit(program.main(sys.argv[1:]))
