"""The document beside a tile set: what it says, whose it reads, what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import mercantile
import pytest

from geo2map.errors import TileSetError, ZoomError
from geo2map.grid import PixelWindow
from geo2map.tiles.documents import read_statements
from geo2map.tiles.tilejson import TileSet, read_scheme

TILESET = TileSet("town", "png", 8, 10, PixelWindow(600 * 256 + 9, 300 * 256 + 5, 603 * 256, 302 * 256), {"model": "m"})


def test_the_document_says_where_and_what_and_comes_back(tmp_path: Path) -> None:
    document = TILESET.to_dict()
    TILESET.write(tmp_path)
    assert TileSet.load(tmp_path) == TILESET
    assert [path.name for path in tmp_path.iterdir()] == ["tilejson.json"]
    assert (document["tilejson"], document["scheme"], document["tiles"]) == ("3.0.0", "xyz", ["./{z}/{x}/{y}.png"])
    assert document["geo2map"] == {"window": list(TILESET.window), "model": "m"}
    west, south, east, north = document["bounds"]
    around = [mercantile.bounds(x, y, 10) for x, y in ((600, 300), (602, 301))]
    assert (east, south) == pytest.approx((around[1].east, around[1].south), abs=1e-8)
    assert around[0].west < west < around[0].east
    assert around[0].south < north < around[0].north
    assert mercantile.tile(*document["center"]) == mercantile.Tile(*[150, 75, 8])
    assert document["minzoom"] <= document["center"][2] <= document["maxzoom"]


def test_the_document_of_others_and_none(tmp_path: Path) -> None:
    assert TileSet.load(tmp_path) is None
    (tmp_path / "tilejson.json").write_text('{"tilejson": "3.0.0", "tiles": []}')
    assert TileSet.load(tmp_path) is None


@pytest.mark.parametrize("text", ["", "[]", "{", '{"geo2map": {}}', '{"geo2map": {"window": [1]}}'])
def test_a_damaged_document_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "tilejson.json").write_text(text)
    with pytest.raises(TileSetError, match=r"tilejson\.json"):
        TileSet.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"minzoom": 11}, ZoomError),
        ({"maxzoom": 25}, ZoomError),
        ({"format": "gif"}, TileSetError),
        ({"window": PixelWindow(5, 5, 5, 9)}, TileSetError),
        ({"extra": {"window": 1}}, TileSetError),
        ({"extra": {"path": Path("x")}}, TileSetError),
        ({"extra": {"nan": float("nan")}}, TileSetError),
    ],
)
def test_a_tile_set_that_cannot_be_is_refused(change: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        replace(TILESET, **change)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_documents_in_the_encodings_that_editors_write(encoding: str, tmp_path: Path) -> None:
    text = '{"geo2map": {}, "scheme": "tms", "name": "Ä"}'
    (tmp_path / "tilejson.json").write_bytes(text.encode(encoding))
    assert read_scheme(tmp_path) == "tms"
    with pytest.raises(TileSetError, match="invalid"):
        TileSet.load(tmp_path)
    (tmp_path / "metadata.json").write_bytes(text.encode(encoding))
    (found,) = [each for each in read_statements(tmp_path) if each.document == "metadata.json"]
    assert (found.order, found.name) == ("tms", "Ä")


def test_a_document_in_another_encoding_is_read_as_far_as_it_is_ascii(tmp_path: Path) -> None:
    (tmp_path / "metadata.json").write_bytes('{"scheme": "tms", "name": "Ä"}'.encode("latin-1"))
    (found,) = read_statements(tmp_path)
    assert found.order == "tms"
