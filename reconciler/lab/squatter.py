"""Takes a port as soon as it is free and keeps it: ``python -m reconciler.lab.squatter ADDRESS PORT``."""

from __future__ import annotations

import errno
import signal
import socket
import sys
import time

TRYING, HOLDING = "trying", "holding"
_POLL_S = 0.002  #: far less than a brick takes to start


def main(address: str, port: int) -> None:
    """Hold the port until SIGTERM; say on standard output how far it is."""
    sys.stdout.write(f"{TRYING}\n")
    sys.stdout.flush()
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        while True:
            try:
                held.bind((address, port))
                held.listen(1)
                break
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                time.sleep(_POLL_S)
        sys.stdout.write(f"{HOLDING}\n")
        sys.stdout.flush()
        while True:
            signal.pause()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
