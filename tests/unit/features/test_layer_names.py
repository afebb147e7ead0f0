"""Layers of features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from geo2map.api.converting import convert
from geo2map.colour.palette import MAPS_PALETTE
from geo2map.errors import DataError
from geo2map.features import feature_layers, require_layer_names


@pytest.mark.parametrize(
    "classes",
    [
        ("land", "coverage"),
        ("roads",),
        ("land", "Road_Areas"),
        ("Layer_Styles",),
        ("water", "Water"),
        ("building", "buildings"),
    ],
)
def test_each_class_needs_a_layer_of_its_own(classes: tuple[str, ...]) -> None:
    with pytest.raises(DataError, match=f"class '{classes[-1]}': a layer {classes[-1].lower()} of features is there"):
        require_layer_names(classes)


def test_usual_classes_have_one() -> None:
    require_layer_names((*MAPS_PALETTE.classes, "forest", "land", "highway"))
    assert "forest" in feature_layers((*MAPS_PALETTE.classes, "forest"))


def test_a_table_of_colours_with_such_a_class_is_refused(tmp_path: Path) -> None:
    (tmp_path / "map/17/38600").mkdir(parents=True)
    PIL.Image.fromarray(np.full((256, 256, 3), 200, np.uint8)).save(tmp_path / "map/17/38600/49273.png")
    for name in ("coverage", "meadow"):
        rows = ("class\tred\tgreen\tblue", "land\t0\t0\t0", f"{name}\t200\t200\t200\n")
        (tmp_path / "legend.tsv").write_text("\n".join(rows))
        if name == "coverage":
            with pytest.raises(DataError, match="class 'coverage'"):
                convert(tmp_path / "map", tmp_path / "town.gpkg", colours=str(tmp_path / "legend.tsv"))
            assert not list(tmp_path.glob("*town*"))
    convert(tmp_path / "map", tmp_path / "town.gpkg", colours=str(tmp_path / "legend.tsv"))
