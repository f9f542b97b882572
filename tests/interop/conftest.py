"""What Inspect leaves open is collected in the test that allows it, not in a later one."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def collected(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if request.node.get_closest_marker("filterwarnings"):
        gc.collect()
