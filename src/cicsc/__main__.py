"""The program: `python -m cicsc`, which is the same as the command `cicsc`.

It takes a tenth of a second until the command line is loaded and deals with signals itself. Until
then, and once it has returned, Ctrl-C just ends the process, as it does with any other program.
"""

import gc
import signal
import sys

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def run() -> int:
    """Run the command line on the arguments of the process and return its exit code."""
    # Decoded events are many, short-lived and hold no cycles; looking for such after every few hundred is a waste.
    gc.set_threshold(50_000, 20, 100)
    from cicsc.cli.main import main  # noqa: PLC0415 (signals first)

    return main()


if __name__ == "__main__":
    sys.exit(run())
