"""What a conversion refuses before the work, when it has nothing to do, and what is told of its output."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import numpy as np
import pytest

from geo2map.api.converting import convert
from geo2map.api.updating import update
from geo2map.checking import check
from geo2map.errors import OutputError, TileSetError
from geo2map.formats.documents.hint import way_to_open
from geo2map.formats.geotiff.read import GeotiffStore
from geo2map.ledger.origin import Origin
from geo2map.tiles.codec import encode_tile


@pytest.fixture
def tiles(tmp_path: Path) -> Path:
    path = tmp_path / "tiles" / "3" / "4" / "2.png"
    path.parent.mkdir(parents=True)
    path.write_bytes(encode_tile(np.full((256, 256, 3), 90, np.uint8), np.ones((256, 256), np.bool_), "png"))
    return tmp_path / "tiles"


def test_an_output_within_its_source_is_refused(tiles: Path) -> None:
    for out in (tiles / "m.tif", tiles / "3" / "set"):
        with pytest.raises(OutputError, match="lies within the source of the conversion"):
            convert(tiles, out)
    assert check(tiles).ok


def test_clutter_in_the_source_is_no_change(tiles: Path, tmp_path: Path) -> None:
    first = convert(tiles, tmp_path / "out.mbtiles")
    for place in (tiles, tiles / "3", tiles / "3" / "4"):
        (place / ".DS_Store").write_bytes(b"finder")
        (place / "Thumbs.db").write_bytes(b"explorer")
    again = convert(tiles, tmp_path / "out.mbtiles")
    assert (first.complete, again.complete) == (False, True)
    assert first.to_dict().keys() | again.to_dict().keys() >= {"path", "complete", "since", "notes"}


def test_every_file_of_the_source_counts(tiles: Path) -> None:
    states = [Origin.of(tiles, {}, {}).state]
    for name in ("3/4/1.png", "metadata.json", ".geo2map.journal"):
        (tiles / name).write_bytes(b"1")
        states.append(Origin.of(tiles, {}, {}).state)
    (tiles / "3" / "4" / "1.png").rename(tiles / "3" / "4" / "7.png")
    states.append(Origin.of(tiles, {}, {}).state)
    assert len(set(states)) == 5


@pytest.mark.parametrize("out", ["set", "set.mbtiles"])
def test_a_converted_set_is_not_updated(out: str, tiles: Path, tmp_path: Path) -> None:
    convert(tiles, tmp_path / out)
    with pytest.raises(OutputError, match="converted from other tiles"):
        update(tmp_path / "scene.tif", tmp_path / out)


@pytest.mark.skipif(os.name == "nt", reason="the spelling of POSIX shells")
def test_the_command_that_opens_an_output_can_be_pasted(tmp_path: Path) -> None:
    path = tmp_path / "it's my map.pmtiles"
    path.write_bytes(b"")
    command = way_to_open(path).rpartition("with: ")[2]
    assert shlex.split(command) == ["geo2map", "view", str(path)]


@pytest.mark.skipif(os.name == "nt", reason="names there are always Unicode")
def test_a_raster_with_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"m\xe8.tif")
    path.write_bytes(b"II*\0")
    with pytest.raises(TileSetError, match="not UTF-8"):
        GeotiffStore(path)
