"""`--tmp` of runs that are spread: the file is made there, whoever rendered its tiles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from geo2map.ledger.workspace import Workspace


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Where outputs were made that were not made beside their names."""
    found: list[Path] = []
    create = Workspace._create_spool

    def noted(self: Workspace, tmp: Path) -> None:
        found.append(Path(tmp))
        create(self, tmp)

    monkeypatch.setattr(Workspace, "_create_spool", noted)
    return found


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk"
    path.mkdir()
    return path


@pytest.mark.slow
def test_on_a_cluster_here(
    geo2map: Any, write_scene: Any, tiny_model: Path, tmp_path: Path, disk: Path, places: list[Path]
) -> None:
    pytest.importorskip("distributed", reason="needs the extra [dask]")
    common = ["render", write_scene("a.tif"), "--model", tiny_model, "--threads", 1, "--device", "cpu"]
    out, whole = tmp_path / "m.pmtiles", tmp_path / "w.pmtiles"
    ran = geo2map(*common, "--out", out, "--dask", "local:1", "--tmp", disk)
    assert ran.code == 0, ran.err
    assert places == [disk]
    assert geo2map(*common, "--out", whole).code == 0
    assert out.read_bytes() == whole.read_bytes()
    assert list(disk.iterdir()) == []


def test_tiles_of_a_folder_have_their_place(
    geo2map: Any, write_scene: Any, tiny_model: Path, tmp_path: Path, disk: Path
) -> None:
    pytest.importorskip("distributed", reason="needs the extra [dask]")
    out = tmp_path / "tiles"
    ran = geo2map(
        "render", write_scene("a.tif"), "--out", out, "--model", tiny_model, "--dask", "local:1", "--tmp", disk
    )
    assert ran.code == 2
    assert "written in place" in ran.err
    assert "--tmp" in ran.err
    assert not out.exists()


@pytest.mark.slow
def test_when_parts_are_merged(
    geo2map: Any, write_scene: Any, tiny_model: Path, tmp_path: Path, disk: Path, places: list[Path]
) -> None:
    job, parts = tmp_path / "a.job.json", tmp_path / "parts"
    assert geo2map("plan", write_scene("a.tif"), "--out", job, "--model", tiny_model, "--device", "cpu").code == 0
    assert geo2map("render", "--job", job, "--out", parts).code == 0
    ran = geo2map("merge", parts, "--out", tmp_path / "m.mbtiles", "--tmp", disk)
    assert ran.code == 0, ran.err
    assert places == [disk]
    assert (tmp_path / "m.mbtiles").is_file()
    assert list(disk.iterdir()) == []
