"""Whatever options are valid: real GlusterFS processes bring the graphs up that have them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tests.graph_loading import SHAPES, load, texts_of, volume_of
from tests.namespaces import in_own_namespaces
from tests.option_values import OPTIONS, valid_options

pytestmark = pytest.mark.real

SAMPLES = int(os.environ.get("GLUSTER_STATE_LOADS", "25"))


def prepare() -> None:
    """Give the namespace a /run of its own with the folder that changelog puts its socket into."""
    subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
    Path("/run/gluster").mkdir()


@pytest.mark.timeout(max(300, 2 * SAMPLES))
def test_the_graphs_of_any_valid_options_come_up(tmp_path: Path) -> None:
    @settings(max_examples=SAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(shape=st.sampled_from(sorted(SHAPES)), data=st.data())
    def check(shape: str, data: st.DataObject) -> None:
        options = data.draw(valid_options(SHAPES[shape]))
        event(f"{shape}")
        for name, text in texts_of(volume_of(shape, tmp_path / "brick", options)).items():
            loaded = load(text, tmp_path / "process")
            assert loaded.up, (shape, name, options, loaded)

    def body() -> None:
        prepare()
        check()

    in_own_namespaces(body)


def test_nearly_every_option_is_drawn_with_a_valid_value() -> None:
    """Else the test above would be about nothing."""
    assert len(OPTIONS) > 350
