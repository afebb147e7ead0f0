"""Features against true maps on mosaics of neighbouring pictures, where roads are longer than in one of 600 px:

    python examples/lab/measure_mosaics.py maps/val components.tsv 4 0

The table (tab-separated) has columns image, component, x_px and y_px: where pictures that overlap or touch lie in their
mosaic. Each mosaic is rendered like any scene, a folder of tiles with classes and scores, and measured as
`geo2map evaluate --vectors` measures a picture; nothing counts where there is no picture.
"""

from __future__ import annotations

import csv
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import rasterio
from rasterio.transform import from_origin

import geo2map
from geo2map.colour.palette import MAPS_PALETTE
from geo2map.evaluate.scores import Scores
from geo2map.evaluate.vectors import VectorScores, measure_vectors
from geo2map.features import Box
from geo2map.formats.opened import open_tiles
from geo2map.formats.vectors.classes import StoredClasses
from geo2map.formats.vectors.frame import MapFrame
from geo2map.grid import mercator_resolution
from geo2map.tiles.classes import class_colours

SIDE, ZOOM = 600, 17
PLACE = (-8_233_000.0, 4_960_000.0)
"""About where in New York; the pictures' own places are not known."""
Planes = np.ndarray[Any, np.dtype[np.uint8]]


def stitch(folder: Path, table: Path, component: str) -> tuple[Planes, Planes, Planes]:
    """Imagery and true map, uint8 (H, W, 3), and 255 where there is a picture, uint8 (H, W)."""
    with table.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["component"] == component]
    rows = [row for row in rows if (folder / row["image"]).is_file()]
    places = np.array([(float(row["x_px"]), float(row["y_px"])) for row in rows]).round().astype(int)
    places -= places.min(0)
    width, height = places.max(0) + SIDE
    imagery, truth = (np.zeros((height, width, 3), np.uint8) for _ in range(2))
    there = np.zeros((height, width), np.uint8)
    for row, (x, y) in zip(rows, places, strict=True):
        pair = np.asarray(PIL.Image.open(folder / row["image"]).convert("RGB"))
        part = np.s_[y : y + SIDE, x : x + SIDE]
        imagery[part], truth[part], there[part] = pair[:, :SIDE], pair[:, SIDE:], 255
    return imagery, truth, there


def write_scene(path: Path, imagery: Planes, there: Planes) -> None:
    """A GeoTIFF on the tile grid, transparent where there is no picture."""
    size = mercator_resolution(ZOOM)
    corner = (round(place / size) * size for place in PLACE)
    height, width = there.shape
    profile = {"driver": "GTiff", "width": width, "height": height, "count": 4, "dtype": "uint8", "crs": "EPSG:3857"}
    with rasterio.open(path, "w", **profile, transform=from_origin(*corner, size, size), alpha="yes") as file:
        file.write(np.dstack([imagery, there]).transpose(2, 0, 1))


def measure(folder: Path, table: Path, component: str) -> tuple[VectorScores, Scores]:
    """One mosaic's features, and the map that they were read from."""
    imagery, truth, there = stitch(folder, table, component)
    with tempfile.TemporaryDirectory() as place:
        scene, out = Path(place) / "mosaic.tif", Path(place) / "map"
        write_scene(scene, imagery, there)
        geo2map.render(scene, out, zoom=ZOOM, layers=("classes", "evidence"))
        with open_tiles(out) as (store, tileset), open_tiles(out / "evidence") as (scores, _):
            frame = MapFrame(ZOOM, tileset.window)
            found = StoredClasses(store, MAPS_PALETTE, frame, scores).map().read(Box(*tileset.window))
    assert found.road is not None
    assert found.building is not None
    colours = np.concatenate((class_colours(MAPS_PALETTE), MAPS_PALETTE.colours[:1]))  # land where nothing is known
    evidence, metres = np.stack((found.road, found.building)), frame.metres
    drawn = colours[found.codes]
    vectors = measure_vectors(truth, drawn, evidence, palette=MAPS_PALETTE, metres=metres, known=there)
    return vectors, Scores.of(truth, drawn, MAPS_PALETTE, known=there)


def main() -> None:
    """Print a table."""
    print("| mosaic | | road IoU | road F1 | dead ends a km | connected parts | largest | APLS |")
    print("|---|---|---|---|---|---|---|---|")
    for component in sys.argv[3:]:
        vectors, drawn = measure(Path(sys.argv[1]), Path(sys.argv[2]), component)
        nets = (("truth", vectors.truth, None), ("network", vectors.network, drawn))
        for name, net, scores in (*nets, ("redrawn", vectors.lines, vectors.redrawn)):
            pixels = None if scores is None else scores.report()
            overlap = "1 | 1" if pixels is None else f"{pixels['class_iou']['road']:.3f} | {pixels['road_f1']:.3f}"
            row = net.report()
            figures = (
                f"{row['dead_ends_per_km']:.2f} | {row['parts']:.0f} | {row['largest_part']:.3f} | {row['apls']:.3f}"
            )
            print(f"| {component} | {name} | {overlap} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
