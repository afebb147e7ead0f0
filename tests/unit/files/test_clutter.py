"""What systems leave in folders: one list for scenes, pairs of pictures and sets of tiles."""

from __future__ import annotations

from pathlib import Path

import pytest

from geo2map.files.clutter import is_clutter, is_passed_over
from geo2map.tiles.inventory import first_unexpected


@pytest.mark.parametrize(
    "name", [".DS_Store", "ehthumbs.db", "Desktop.ini", ".directory", "._a.tif", "@eaDir", "__MACOSX"]
)
def test_clutter_is_clutter_everywhere(name: str, tmp_path: Path) -> None:
    assert is_clutter(name)
    assert is_passed_over(name)
    if name in ("@eaDir", "__MACOSX"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "anything").touch()
    else:
        (tmp_path / name).touch()
    assert first_unexpected(tmp_path) is None


@pytest.mark.parametrize("name", [".git", "$RECYCLE.BIN", "System Volume Information", "Thumbs.db"])
def test_folders_that_may_hold_what_somebody_needs_are_not_deleted(name: str, tmp_path: Path) -> None:
    assert is_passed_over(name)
    (tmp_path / name).mkdir()
    assert first_unexpected(tmp_path) == tmp_path / name


def test_what_people_mean() -> None:
    assert not any(is_passed_over(name) for name in ("a.tif", "thumbs.tif", "eadir", "_a.tif"))
