"""Two labs on one machine: what befalls one does not touch the other."""

from __future__ import annotations

import pytest

from reconciler.lab import faults, processes
from tests.labs import Lab, cluster, eventually

pytestmark = pytest.mark.real


def test_the_end_of_one_lab_leaves_the_other_alone() -> None:
    with cluster() as stays:
        with cluster() as goes:
            for it in (stays, goes):
                create(it)
            with stays.mounted("data") as kept, goes.mounted("data") as other:
                assert stays.tour.write(kept / "mine") != goes.tour.write(other / "mine")
                mine = stays.tour.checksum(kept / "mine")
                before, daemons = stays.bricks(), stays.daemons()
                with stays.writing(kept):
                    goes.kill("etcd")
                    faults.reboot(goes.root)
                    eventually(goes.converged, "a cluster as declared", 60)
                assert len(goes.bricks()) == 3
                assert stays.tour.checksum(kept / "mine") == mine
            for number in (1, 2, 3):
                goes.kill(f"agent:{number}")  # its steward is an orphan now, and new ones come up
        assert not goes.root.exists()
        assert not [words for _, words in processes.every() if processes.names(words, goes.root)]
        assert goes.bricks() == {}
        assert (stays.bricks(), stays.daemons()) == (before, daemons)
        with stays.mounted("data") as point:
            assert stays.tour.checksum(point / "mine") == mine
        stays.assert_nothing_to_do()


def create(it: Lab) -> None:
    """Have a volume of the same name in every lab."""
    it.declare(it.volume("data", "replica 3"))
    it.apply()
