"""Scenes added to a finished set: the tiles of a render of all of them, and no block translated that need not be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from snapshots import read_tiles

from geo2map import Engine, check, render, update
from geo2map.errors import OutputError, PlanError
from geo2map.ledger.finished_record import load_journal
from geo2map.protocols import PixelTranslator
from geo2map.types import Batch


class Counting(PixelTranslator):
    """An engine that counts what it translates."""

    def __init__(self, engine: Engine, stop: int | None = None) -> None:
        self._engine, self._stop, self.translated = engine, stop, 0
        self.card, self.device, self.precision, self.batch = engine.card, engine.device, engine.precision, 1

    def translate_pixels(self, batch: Batch, margin: int = 0) -> Batch:
        if self.translated == self._stop:
            raise KeyboardInterrupt
        self.translated += len(batch)
        return self._engine.translate_pixels(batch, margin)


def frozen(out: Path) -> Any:
    """The colours that a set was made with."""
    journal = load_journal(out)
    assert journal is not None
    with_colours = journal.job.plan.view.rendition
    journal.close()
    return with_colours


def full(scenes: list[Path], out: Path, engine: Engine, like: Path, **options: Any) -> dict[str, bytes]:
    """Tiles of a render of all scenes with the colours and lowest zoom of another set."""
    journal = load_journal(like)
    assert journal is not None
    minzoom = journal.job.storage.minzoom
    journal.close()
    render(scenes, out, engine=engine, rendition=frozen(like), minzoom=minzoom, **options)
    return read_tiles(out)


def test_a_folder_with_a_map_in_it(quick_engine: Engine, write_sheet: Any, tmp_path: Path) -> None:
    (tmp_path / "sheets").mkdir()
    a = write_sheet("sheets/a.tif", side=300)
    render(a, tmp_path / "sheets" / "map.tif", engine=quick_engine)
    render(a, tmp_path / "tiles", engine=quick_engine)
    write_sheet("sheets/b.tif", east=200, seed=4, side=300)
    told: list[str] = []
    update(tmp_path / "sheets", tmp_path / "tiles", engine=quick_engine, begin=lambda _, notes: told.extend(notes))
    note = f"{tmp_path / 'sheets' / 'map.tif'}: made by geo2map, skipped; name it to use it as a scene"
    assert told.count(note) == 1


@pytest.mark.slow
@pytest.mark.parametrize("span", [1, 4])
@pytest.mark.parametrize(("order", "feather"), [("first", 0), ("last", 0), ("last", 16)])
def test_an_added_scene(
    order: str, feather: int, span: int, quick_engine: Engine, write_sheet: Any, tmp_path: Path
) -> None:
    a, b = write_sheet("a.tif", side=450), write_sheet("b.tif", east=1000, south=350, seed=4, side=450)
    options: dict[str, Any] = {"block_span": span, "order": order, "feather": feather}
    c = write_sheet("c.tif", east=400, seed=5, side=450)
    first = render([a, c], tmp_path / "tiles", engine=quick_engine, **options)
    counting = Counting(quick_engine)
    report = update(b, tmp_path / "tiles", engine=counting)  # type: ignore[arg-type]
    expected = full([a, c, b], tmp_path / "full", quick_engine, tmp_path / "tiles", **options)
    assert read_tiles(tmp_path / "tiles") == expected
    assert check(tmp_path / "tiles").ok
    assert counting.translated == report.translated
    if span == 1:
        assert counting.translated < first.translated
        assert report.resumed > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "b.tif", "c.tif", "full", "tiles"]


def test_a_replaced_scene(quick_engine: Engine, write_sheet: Any, tmp_path: Path) -> None:
    """Its place shrinks, so that tiles vanish, too; what lies under the other sheet alone stays."""
    a, b = write_sheet("a.tif"), write_sheet("b.tif", east=900, south=300, seed=4)
    whole = render([a, b], tmp_path / "tiles", engine=quick_engine, block_span=1)
    before = read_tiles(tmp_path / "tiles")
    write_sheet("b.tif", east=900, south=300, seed=7, side=300)
    counting = Counting(quick_engine)
    report = update(b, tmp_path / "tiles", engine=counting)  # type: ignore[arg-type]
    after = full([a, b], tmp_path / "full", quick_engine, tmp_path / "tiles", block_span=1)
    assert read_tiles(tmp_path / "tiles") == after
    assert set(after) < set(before)
    assert 0 < counting.translated < whole.translated
    assert report.unchanged > 0
    assert check(tmp_path / "tiles").ok


def test_the_same_scene_again_translates_nothing(quick_engine: Engine, write_sheet: Any, tmp_path: Path) -> None:
    a = write_sheet("a.tif")
    render(a, tmp_path / "tiles", engine=quick_engine)
    before = read_tiles(tmp_path / "tiles")
    counting = Counting(quick_engine)
    update(a, tmp_path / "tiles", engine=counting)  # type: ignore[arg-type]
    assert (counting.translated, read_tiles(tmp_path / "tiles")) == (0, before)


def test_an_interrupted_update_leaves_the_set_and_goes_on(
    quick_engine: Engine, write_sheet: Any, tmp_path: Path
) -> None:
    a, b = write_sheet("a.tif"), write_sheet("b.tif", east=650, seed=4)
    render(a, tmp_path / "tiles", engine=quick_engine, block_span=1)
    before = read_tiles(tmp_path / "tiles")
    with pytest.raises(KeyboardInterrupt):
        update(b, tmp_path / "tiles", engine=Counting(quick_engine, stop=6))  # type: ignore[arg-type]
    assert read_tiles(tmp_path / "tiles") == before
    counting = Counting(quick_engine)
    update(b, tmp_path / "tiles", engine=counting)  # type: ignore[arg-type]
    expected = full([a, b], tmp_path / "full", quick_engine, tmp_path / "tiles", block_span=1)
    assert read_tiles(tmp_path / "tiles") == expected
    whole = Counting(quick_engine)
    render([a, b], tmp_path / "again", engine=whole, block_span=1)  # type: ignore[arg-type]
    assert counting.translated + 4 <= whole.translated


def test_a_lossy_set(quick_engine: Engine, write_sheet: Any, tmp_path: Path) -> None:
    a, b = write_sheet("a.tif"), write_sheet("b.tif", east=1000, seed=4)
    render(a, tmp_path / "tiles", engine=quick_engine, format="webp", block_span=2)
    update(b, tmp_path / "tiles", engine=quick_engine)
    expected = full([a, b], tmp_path / "full", quick_engine, tmp_path / "tiles", format="webp", block_span=2)
    assert read_tiles(tmp_path / "tiles") == expected


def test_what_cannot_be_updated(quick_engine: Engine, write_sheet: Any, tmp_path: Path) -> None:
    a = write_sheet("a.tif")
    with pytest.raises(OutputError, match="not a finished output"):
        update(a, tmp_path / "nowhere", engine=quick_engine)
    render(a, tmp_path / "tiles", engine=quick_engine)
    with pytest.raises(PlanError, match="another model"):
        update(a, tmp_path / "tiles", engine="sat2map")
    other = Counting(quick_engine)
    other.precision = "bf16"
    with pytest.raises(PlanError, match="precision"):
        update(a, tmp_path / "tiles", engine=other)  # type: ignore[arg-type]
    assert np.all([path.name in ("a.tif", "tiles") for path in tmp_path.iterdir()])
