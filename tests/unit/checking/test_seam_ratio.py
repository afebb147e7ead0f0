"""A ratio of seams is told where it means something, and else why there is none."""

from __future__ import annotations

import json

import numpy as np

from geo2map.checking import CheckReport
from geo2map.checking.seams import FLAT, LEAST_PIXELS, TOO_FEW, SeamScan
from geo2map.types import Image, Mask, Tile


def scan(
    pixels: Image, mask: Mask | None = None, columns: int = 3, rows: int = 3, span: int | None = None
) -> CheckReport:
    """The report on columns x rows tiles that are all alike."""
    found, report = SeamScan(span), CheckReport("x")
    mask = np.ones((256, 256), np.bool_) if mask is None else mask
    for x in range(columns):
        for y in range(rows):
            found.add(Tile(x, y, 5), (pixels, mask))
    found.write_to(report)
    return report


def noise() -> Image:
    return np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)


def test_enough_pixels_tell() -> None:
    report = scan(noise())
    assert report.seam_ratio is not None
    assert 0.8 < report.seam_ratio < 1.2
    assert report.unknown_seams == {}
    assert "of tiles" in str(report)


def test_few_pixels_do_not_tell() -> None:
    """Two borders of 21 pixels each, as a map of a few fields has them."""
    mask = np.zeros((256, 256), np.bool_)
    mask[:21] = True
    report = scan(noise(), mask, columns=3, rows=1)
    assert report.seam_ratio is None
    assert report.unknown_seams == {"tiles": TOO_FEW}
    assert f"of tiles: {TOO_FEW}" in str(report)
    assert json.loads(json.dumps(report.to_dict()))["seam_ratio"] is None


def test_a_few_borders_of_blocks_do_not_tell_where_those_of_tiles_do() -> None:
    report = scan(noise(), columns=3, rows=1, span=2)
    assert LEAST_PIXELS > 256
    assert (report.seam_ratio, report.block_seam_ratio) == (None, None)
    report = scan(noise(), columns=2, rows=9, span=16)
    assert report.seam_ratio is not None
    assert report.block_seam_ratio is None
    assert "blocks" not in report.unknown_seams  # there are none


def test_flat_tiles_do_not_tell() -> None:
    found, report = SeamScan(), CheckReport("x")
    for x in range(4):
        for y in range(4):
            pixels = np.full((256, 256, 3), 10 * x + y, np.uint8)
            found.add(Tile(x, y, 5), (pixels, np.ones((256, 256), np.bool_)))
    found.write_to(report)
    assert report.seam_ratio is None
    assert report.unknown_seams == {"tiles": FLAT}


def test_nothing_is_said_where_there_is_no_border() -> None:
    report = scan(noise(), columns=1, rows=1)
    assert report.unknown_seams == {}
    assert "step across" not in str(report)
