"""Second names of an xlator's keys: a running process knows the first ones only."""

from __future__ import annotations

import pytest

from reconciler.catalogue.index import OptionIndex
from reconciler.catalogue.known import known_catalogue
from reconciler.catalogue.option import Catalogue, Flag, Library, LibraryOption, OptionType
from reconciler.catalogue.versions import VERSIONS
from reconciler.diagnostics import Severity
from reconciler.volgen.client import client_graph
from reconciler.volgen.native_names import KEYS, canonical, split
from reconciler.volgen.option_table import rows_by_name
from reconciler.volgen.options import check_options
from tests.volume_samples import SLOTS, volume


@pytest.mark.parametrize("version", VERSIONS)
def test_every_second_name_of_a_settable_key_means_the_first(version: str) -> None:
    found = {
        (f"{library.identifier}.{alias}", f"{library.identifier}.{option.keys[0]}")
        for library in known_catalogue(version).libraries
        for option in library.options
        for alias in option.keys[1:]
        if library.types and option.settable and "*" not in option.keys[0]
    }
    assert len(found) > len(KEYS)
    for alias, first in found:
        own = alias if alias in rows_by_name() else first  # server.allow-insecure is the table's own name
        assert canonical(alias) == canonical(own), alias
    for (xlator, alias), first in KEYS.items():
        assert split(f"{xlator}.{alias}") == (xlator, first)


def test_a_second_name_is_written_as_the_first() -> None:
    graph = client_graph(volume(options=(("write-behind.window-size", "2MB"),)), slots=SLOTS)
    (write_behind,) = graph.of_type("performance/write-behind")
    assert write_behind.options["cache-size"] == "2MB"
    assert "window-size" not in write_behind.options


def test_of_an_xlator_that_only_a_catalogue_knows_the_second_name_is_said_to_come_late() -> None:
    speed = LibraryOption(keys=("speed", "velocity"), type=OptionType.INT, flags=(Flag.SETTABLE,))
    frob = Library(path="xlator/user/frob", identifier="frob", options=(speed,))
    index = OptionIndex(Catalogue(version="10.3", libraries=(frob,)))
    options = {"user.xlator.frob": "posix", "frob.velocity": "5"}
    (problem,) = check_options(options, natives=lambda: index)
    assert (problem.severity, problem.path, problem.code) == (Severity.WARNING, "frob.velocity", "")
    assert problem.hint == "Write frob.speed."
    assert check_options({"user.xlator.frob": "posix", "frob.speed": "5"}, natives=lambda: index) == ()
