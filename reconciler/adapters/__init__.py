"""The world outside: stores, files, processes, wire.

gRPC would write log lines of its own to our stderr, beside the one error that we report; it reads this
variable when it is imported, so it is set here, before any adapter. Whoever sets it keeps their value.
"""

import os

os.environ.setdefault("GRPC_VERBOSITY", "NONE")
