"""A sample of a whole scene: some of its pixels, spread evenly, without reading all of them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from rasterio.io import DatasetReader
from rasterio.windows import Window

from geo2map.errors import SceneError
from geo2map.scene.bands import Bands
from geo2map.scene.gdal import overview_factors, reading
from geo2map.types import RawPixels

SAMPLE_SIDE = 1024
WHOLE_PIXELS = 2**26
"""Pixels, of the raster or of its coarsest overview, up to which all are decoded for a sample: about a second."""
SPREAD = 16
"""Blocks across and down that represent a larger raster, fewer if they contain more than `WHOLE_PIXELS`."""

ALPHA_CODES = 16
"""Values besides opaque and transparent that an alpha band may often take, due to soft edges and JPEG."""
BLACK_SHARE = 0.01
"""Share of pixels that are 0 in all bands from which a note asks about them, where nothing says what is valid."""


def read_sample(colours: DatasetReader, dataset: DatasetReader, side: int) -> RawPixels:
    """Pixels of all bands from all over the scene, at most about side x side, (bands, pixels).

    A decimated read; of a raster too large for that and without overviews, some rows and columns of its blocks.

    Args:
        colours: what `geo2map.scene.vrt.colours_vrt` describes.
        dataset: the file itself.
    """
    coarsest = max(overview_factors(dataset), default=1)
    whole = Window(0, 0, dataset.width, dataset.height)
    if dataset.width * dataset.height / coarsest**2 <= WHOLE_PIXELS:
        return _read(colours, whole, side)
    windows, (height, width) = _spread_blocks(dataset), dataset.block_shapes[0]
    if height * width * SPREAD**2 <= WHOLE_PIXELS:
        parts = [_read(colours, window, max(1, side // SPREAD)) for window in windows]
    else:
        parts = [_read_share(colours, window, side**2 // len(windows)) for window in windows]
    return np.concatenate(parts, axis=1)


def read_undamaged(colours: DatasetReader, dataset: DatasetReader, side: int, path: str) -> tuple[RawPixels, str]:
    """The readable part of a damaged raster: some of its blocks, each by itself, without the unreadable ones.

    At full resolution, since overviews may be what is damaged; the same blocks each time.

    Args:
        colours, dataset, side: as `read_sample` has them.
        path: of the scene, for errors.

    Returns:
        Pixels as `read_sample` gives them, and a note of how many blocks are missing.

    Raises:
        SceneError: none of the blocks can be read; states the error of the first.
    """
    windows, found, errors = _spread_blocks(dataset), [], []
    for window in windows:
        try:
            with reading(path):
                pixels = colours.read(window=window).reshape(colours.count, -1)
        except SceneError as error:
            errors.append(error)
        else:
            found.append(pixels[:, :: max(1, pixels.shape[1] * len(windows) // side**2)])
    if not found:
        raise errors[0]
    missing = f"{len(errors)} of the {len(windows)} sampled blocks" if errors else "its overviews"
    return np.concatenate(found, axis=1), f"warning: {missing} cannot be read; the others decide the colours"


def _read(colours: DatasetReader, window: Window, side: int) -> RawPixels:
    factor = max(1.0, max(window.width, window.height) / side)
    shape = (max(1, round(window.height / factor)), max(1, round(window.width / factor)))
    return colours.read(window=window, out_shape=(colours.count, *shape)).reshape(colours.count, -1)


def _read_share(colours: DatasetReader, window: Window, count: int) -> RawPixels:
    """About `count` pixels of a window of any shape, such as a few rows as wide as the raster."""
    rows = max(1, round(window.height / max(1.0, math.sqrt(window.width * window.height / count))))
    shape = (rows, max(1, min(window.width, count // rows)))
    return colours.read(window=window, out_shape=(colours.count, *shape)).reshape(colours.count, -1)


def _spread_blocks(dataset: DatasetReader) -> list[Window]:
    """`SPREAD` squared of the blocks in which the raster is stored, fewer where it has fewer or they are large."""
    height, width = dataset.block_shapes[0]
    across, down = -(-dataset.width // width), -(-dataset.height // height)
    columns = np.unique(np.linspace(0, across - 1, SPREAD).round()).tolist()
    most = max(1, min(SPREAD**2, WHOLE_PIXELS // (width * height)) // len(columns))
    rows = np.unique(np.linspace(0, down - 1, most).round()).tolist()
    whole = Window(0, 0, dataset.width, dataset.height)
    corners = [(int(column) * width, int(row) * height) for row in rows for column in columns]
    return [Window(*corner, width, height).intersection(whole) for corner in corners]


def validate_alpha(bands: Bands, pixels: RawPixels) -> tuple[Bands, tuple[str, ...]]:
    """Checks whether a band marked as alpha can be one, and determines its opaque value.

    Transparency is yes or no nearly everywhere. A band that is rarely either, and takes many values in between, is
    an infrared band that some program marked wrongly: all pixels count as opaque then, and a note says so.

    Args:
        pixels: sample of the colours and alpha, (bands, pixels).
    """
    if bands.alpha is None or bands.alpha.startswith("mask"):
        return bands, ()
    alpha = pixels[bands.count]
    highest = float(alpha.max(initial=0))
    opaque = next((top for top in (1.0, 255.0, 65535.0) if 0 < highest <= top), 255.0)
    values, counts = np.unique(alpha, return_counts=True)
    between = (values > 0.03 * opaque) & (values < 0.97 * opaque)
    if between.sum() > ALPHA_CODES and counts[between].sum() > counts.sum() / 2:
        return replace(bands, alpha=None), (
            f"warning: band {bands.alpha} is marked as alpha, but its values are those of an image; treated as opaque",
        )
    return replace(bands, alpha_max=opaque), ()


def ask_about_black(bands: Bands, pixels: RawPixels) -> tuple[str, ...]:
    """A note if a scene may have an undeclared black collar; only the user can know."""
    silent = bands.nodata is None or np.isnan(bands.nodata).all()
    if bands.has_alpha or not silent or bands.meant is not None or not pixels.size:
        return ()
    share = float((pixels == 0).all(axis=0).mean())
    if share < BLACK_SHARE:
        return ()
    return (f"{share:.0%} of the pixels are 0 in all bands and treated as black; set nodata to 0 if they are empty",)
