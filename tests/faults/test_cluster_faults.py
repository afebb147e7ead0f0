"""One round of `kill_cluster.py`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("distributed", reason="needs the extra [dask]")
sys.path.insert(0, str(Path(__file__).parent))
import kill_cluster


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_workers_scheduler_and_driver_die_and_the_map_is_the_same(tmp_path: Path) -> None:
    said = kill_cluster.run(tmp_path, workers=2)
    assert "1 scheduler" in said
    assert not said.startswith("0")
