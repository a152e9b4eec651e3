"""``python -m reconciler`` is ``gluster-state``."""

from __future__ import annotations

from reconciler.cli.main import main

if __name__ == "__main__":
    main()
