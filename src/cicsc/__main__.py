"""The command line as `python -m cicsc`; the same as the command `cicsc`."""

import sys

from cicsc.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
