"""A monkey at the real program for a whole hour of typing: as `monkey`, three times as long.

By itself, `make torture ARGS=hour`: with it all of `make torture` would not end within its time.
"""

import sys

from tools.torture.monkey import main

if __name__ == "__main__":
    sys.exit(main())
