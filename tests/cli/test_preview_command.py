"""Previews: what has no data is hatched, small scenes are cropped, and a sheet compares ways to render."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rasters import noise

from geo2map.api import preview
from geo2map.api.comparing import Variants, compare_request
from geo2map.api.requests import RenderRequest
from geo2map.errors import PlanError
from geo2map.files.picture import CAPTION, GAP, hatched
from geo2map.model import ModelOptions
from geo2map.plan import PlanOptions

Command = Callable[..., Any]
SceneWriter = Callable[..., Path]


def is_hatched(pixels: np.ndarray) -> bool:
    """Whether a part is lines in two greys."""
    return set(np.unique(pixels)) == {170, 225}


@pytest.fixture
def holed(write_scene: SceneWriter) -> Path:
    """A scene of 300 x 280 px whose north-west quarter has no data."""
    pixels = noise(3, 280, 300)
    pixels[:, :140, :150] = 0
    return write_scene("holed.tif", pixels, nodata=0)


def model_of(path: Path) -> ModelOptions:
    return ModelOptions(model=str(path), device="cpu", threads=1)


def request_of(scene: Path, model: Path, **planning: Any) -> RenderRequest:
    return RenderRequest(scenes=scene, model=model_of(model), planning=PlanOptions(**planning))


def test_no_data_is_hatched_and_a_small_scene_cropped(
    geo2map: Command, holed: Path, tiny_model: Path, tmp_path: Path
) -> None:
    look = tmp_path / "look.png"
    result = geo2map("preview", holed, "-o", look, "--span", 3, "--model", tiny_model)
    assert result.code == 0, result.err
    seen = np.array(Image.open(look))
    height, width = seen.shape[0], (seen.shape[1] - GAP) // 2
    assert 250 < height < 400  # as large as the scene, not three tiles
    assert 250 < width < 400
    for picture in (seen[:, :width], seen[:, width + GAP :]):
        assert is_hatched(picture[20 : height // 3, 20 : width // 3])
        assert not is_hatched(picture[2 * height // 3 : -20, 2 * width // 3 : -20])


def test_hatching_covers_invalid_pixels_alone() -> None:
    pixels, mask = np.full((40, 40, 3), 7, dtype=np.uint8), np.zeros((40, 40), dtype=bool)
    mask[:, 20:] = True
    seen = hatched(pixels, mask)
    assert (seen[:, 20:] == 7).all()
    assert is_hatched(seen[:, :20])


def test_a_comparison_shows_one_ground_in_all_its_ways(write_scene: SceneWriter, tiny_model: Path) -> None:
    """Zooms are rows, matches columns; a coarse picture lies where the fine one does, to half of its pixel."""
    large = np.kron(noise(3, 35, 38), np.ones((1, 8, 8), dtype=np.uint8))
    variants = Variants(zooms=(17, 16), matches=("none", "model"))
    rows = compare_request(request_of(write_scene("large.tif", large), tiny_model), variants, span=2)
    assert [[shown.options for shown in row] for row in rows] == [
        [{}, {"zoom": zoom, "match": "none"}, {"zoom": zoom, "match": "model"}] for zoom in (17, 16)
    ]
    assert len({shown.image.shape for row in rows for shown in row}) == 1
    fine, coarse = (row[0].image.astype(float).mean(2) for row in rows)
    likeness = {
        (y, x): np.corrcoef(np.roll(coarse, (y, x), (0, 1)).ravel(), fine.ravel())[0, 1]
        for y in (-4, -2, 0, 2, 4)
        for x in (-4, -2, 0, 2, 4)
    }
    assert max(likeness, key=lambda shift: likeness[shift]) == (0, 0)
    assert not np.array_equal(rows[0][1].image, rows[0][2].image)


def test_a_map_of_a_comparison_is_that_of_a_preview(holed: Path, tiny_model: Path) -> None:
    for match in ("none", "model"):
        [[source, shown]] = compare_request(request_of(holed, tiny_model), Variants(matches=(match,)), span=2)
        wanted = preview(holed, engine=model_of(tiny_model), span=2, match=match)
        assert np.array_equal(source.image, wanted[0])
        assert np.array_equal(shown.image, wanted[1])


@pytest.mark.slow
def test_a_sheet_has_a_caption_above_each_picture(
    geo2map: Command, holed: Path, tiny_model: Path, tmp_path: Path
) -> None:
    sheet = tmp_path / "sheet.png"
    command = ("preview", holed, "-o", sheet, "--span", 1, "--compare", f"model={tiny_model},sat2map")
    result = geo2map(*command, "--compare", "match=none,auto,model")
    assert result.code == 0, result.err
    seen = np.array(Image.open(sheet))
    height, width = (seen.shape[0] + GAP) // 2 - CAPTION - GAP, (seen.shape[1] + GAP) // 4 - GAP
    for row in range(2):
        for column in range(4):
            top, left = row * (height + CAPTION + GAP), column * (width + GAP)
            assert (seen[top : top + CAPTION, left : left + width] < 128).any()
            assert (seen[top : top + CAPTION, left + width : left + width + GAP] == 255).all()


@pytest.mark.parametrize("axis", ["match=never", "zoom=far", "sharpness=2", "model="])
def test_what_cannot_be_compared_is_refused(geo2map: Command, holed: Path, axis: str, tmp_path: Path) -> None:
    result = geo2map("preview", holed, "-o", tmp_path / "sheet.png", "--compare", axis)
    assert (result.code, result.out) == (2, "")
    assert "give match=auto,model,none" in result.err


def test_a_zoom_far_finer_than_the_first_is_refused(holed: Path, tiny_model: Path) -> None:
    with pytest.raises(PlanError, match="too fine beside 15; give a smaller span") as caught:
        compare_request(request_of(holed, tiny_model, force=True), Variants(zooms=(15, 22)))
    assert caught.value.option == "span"
