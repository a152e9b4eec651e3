"""Catalogues as text, and those that come with the program."""

from __future__ import annotations

import json

import pytest

from reconciler.catalogue.document import read_catalogue, read_library, write_catalogue, write_library
from reconciler.catalogue.known import known_catalogue
from reconciler.catalogue.option import Bounds, Catalogue, Library, LibraryOption, OptionType
from reconciler.catalogue.versions import DEFAULT, VERSIONS
from reconciler.errors import NativeError, UsageError

SMALL = Catalogue(
    version="10.3",
    libraries=(
        Library(path="auth/none"),
        Library(
            path="xlator/features/frob",
            options=(
                LibraryOption(keys=("a",), type=OptionType.INT, maximum=None, bounds=Bounds.LOWEST),
                LibraryOption(keys=("b", "c"), type=OptionType.TEXT, default="", description="é\n"),
            ),
        ),
    ),
)


@pytest.mark.parametrize("catalogue", [SMALL, *map(known_catalogue, VERSIONS)], ids=lambda c: c.version)
def test_a_catalogue_reads_back(catalogue: Catalogue) -> None:
    text = write_catalogue(catalogue)
    assert read_catalogue(text, "x") == catalogue
    assert write_catalogue(read_catalogue(text, "x")) == text
    for library in catalogue.libraries:
        assert read_library(write_library(library)) == library


def test_each_option_has_a_line_of_its_own() -> None:
    lines = write_catalogue(SMALL).splitlines()
    assert [line for line in lines if '"keys"' in line] == [
        '{"bounds":"min","keys":["a"],"maximum":null,"type":"int"},',
        '{"default":"","description":"é\\n","keys":["b","c"],"type":"text"}',
    ]


def with_option(option: str) -> str:
    return f'{{"format":1,"version":"1","libraries":[{{"path":"a","options":[{option}]}}]}}'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no catalogue"),
        ("[]", "no catalogue"),
        ('{"format":2,"version":"10.3","libraries":[]}', "format 2"),
        ('{"format":1,"version":"10.3"}', "libraries"),
        (with_option('{"keys":[],"type":"int"}'), "called"),
        (with_option('{"keys":["b\\nc"],"type":"int"}'), "called"),
        (with_option('{"keys":["b"],"type":"odd"}'), "odd"),
        (with_option('{"keys":["b"],"type":"int","colour":1}'), "colour"),
        ('{"format":1,"version":"1","libraries":[{"path":"a"},{"path":"a"}]}', "twice"),
        ('{"format":1,"version":"1","libraries":[{"path":"a b"}]}', "called"),
        ("[" * 100_000, "no catalogue"),
    ],
    ids=lambda value: value[:40],
)
def test_what_is_no_catalogue_is_an_error_that_names_the_file(text: str, words: str) -> None:
    with pytest.raises(NativeError, match=words) as caught:
        read_catalogue(text, "/tmp/x.json")
    assert caught.value.message.startswith("/tmp/x.json is ")


def test_the_catalogues_that_come_with_the_program() -> None:
    counts = {}
    for version in VERSIONS:
        catalogue = known_catalogue(version)
        assert catalogue.version == version
        counts[version] = sum(len(library.options) for library in catalogue.libraries)
    assert counts == {"10.3": 522, "11.1": 530}
    assert DEFAULT in VERSIONS
    with pytest.raises(UsageError, match="no catalogue") as caught:
        known_catalogue("../10.3")
    assert "10.3, 11.1" in caught.value.hint


def test_a_range_counts_as_the_library_says() -> None:
    def option(minimum: float, maximum: float | None, bounds: Bounds) -> LibraryOption:
        return LibraryOption(
            keys=("a",), type=OptionType.INT, minimum=minimum, maximum=maximum, bounds=bounds
        )

    for given, expected in (
        ((0.0, 0.0, Bounds.BOTH), (None, None)),
        ((1.0, 64.0, Bounds.BOTH), (1.0, 64.0)),
        ((0.0, None, Bounds.BOTH), (0.0, None)),
        ((0.0, 0.0, Bounds.LOWEST), (0.0, None)),
        ((5.0, 64.0, Bounds.HIGHEST), (None, 64.0)),
    ):
        made = option(*given)
        assert (made.lowest, made.highest) == expected


def test_every_option_of_the_text_is_an_object_that_json_reads() -> None:
    plain = json.loads(write_catalogue(known_catalogue(DEFAULT)))
    assert plain["format"] == 1
