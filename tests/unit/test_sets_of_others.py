"""Sets of tiles that geo2map did not make: their words, and what it costs to open them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from geo2map.api.converting import convert
from geo2map.tiles.codec import encode_tile

PNG = encode_tile(np.full((256, 256, 3), 90, np.uint8), np.ones((256, 256), np.bool_), "png")


def put(folder: Path, name: str, data: bytes = PNG) -> Path:
    """A tile in a folder; returns the folder."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return folder


@pytest.mark.parametrize("out", ["out", "out.tif", "out.mbtiles", "out.pmtiles"])
def test_words_that_utf8_cannot_hold_are_cleaned(out: str, tmp_path: Path) -> None:
    source = put(tmp_path / "tiles", "3/4/2.png")
    words = {"name": "n\ud800m", "attribution": "a\ud800b", "description": ["c\ud800"]}
    (source / "metadata.json").write_text(json.dumps(words))
    convert(source, tmp_path / out)
    convert(tmp_path / out, tmp_path / "again")
    document = json.loads((tmp_path / "again" / "tilejson.json").read_text("utf-8"))
    assert document["attribution"] == "a\ufffdb"
    assert document["description"] == '["c\ufffd"]'
