"""The meaning of a file's values: which end is white, how many bits are used, scale and offset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader

from geo2map.files.tiff import PHOTOMETRIC, read_tag
from geo2map.scene.vrt_sources import tags_of_sources

PRINT = (ColorInterp.cyan, ColorInterp.magenta, ColorInterp.yellow, ColorInterp.black)
COLOUR_SPACES = {5: "CMYK", 8: "CIE L*a*b*", 9: "ICC L*a*b*", 10: "ITU L*a*b*"}
"""Values of TIFF's PhotometricInterpretation whose bands are not red, green and blue."""


class Linear(NamedTuple):
    """A value v means ratio * v + offset."""

    ratio: float
    offset: float


def declared_bits(dataset: DatasetReader, indexes: Sequence[int]) -> int | None:
    """Used bits of a value, if a file declares fewer or more than 8 but not all of its type.

    For a VRT, those of its sources if they agree.
    """
    of_bands = [tags_of_sources(dataset, "NBITS", index) for index in indexes]
    said = [text for found in of_bands if len(found) == 1 for text in found]
    bits = max((int(text) for text in said if text.isdecimal()), default=8)
    return None if bits == 8 or any(np.dtype(dataset.dtypes[index - 1]).kind != "u" for index in indexes) else bits


def meant_values(dataset: DatasetReader, indexes: Sequence[int]) -> tuple[Linear, ...] | None:
    """Scale and offset of each band, if they change the image; None if values can be used as stored.

    It does where 0 is white, where a scale is negative, and where scales or offsets differ between bands. A scale that
    all bands share makes no difference to colours.
    """
    scales = [Linear(dataset.scales[index - 1], dataset.offsets[index - 1]) for index in indexes]
    usable = all(np.isfinite(scale).all() and scale.ratio for scale in scales)
    counts = usable and (len(set(scales)) > 1 or scales[0].ratio < 0)
    if not _zero_is_white(dataset):
        return tuple(scales) if counts else None
    if counts:
        return tuple(Linear(-scale.ratio, -scale.offset) for scale in scales)
    return _inverted(dataset, indexes)


def meant_dtype(dataset: DatasetReader, indexes: Sequence[int], dtype: str, meant: Sequence[Linear] | None) -> str:
    """Numpy's name of the type that can hold the scaled values of a type."""
    plain = meant is None or (_zero_is_white(dataset) and meant == _inverted(dataset, indexes))
    return dtype if plain else str(np.result_type(dtype, np.float32))


def notes_on_numbers(dataset: DatasetReader, meant: Sequence[Linear] | None) -> tuple[str, ...]:
    """Notes on unexpected meanings of the values."""
    found = []
    if (space := _colour_space(dataset)) is not None:
        found.append(
            f"warning: the bands hold {space} colours, which are read as RGB, so colours are wrong; "
            "convert the file to RGB first"
        )
    if meant is not None and _zero_is_white(dataset):
        found.append("0 is white in this file (MINISWHITE): its values are inverted before any stretch")
    elif meant is not None:
        said = ", ".join(dict.fromkeys(f"{linear.ratio:g} x value + {linear.offset:g}" for linear in meant))
        found.append(f"the scale and offset of the bands are applied before any stretch: {said}")
    for key, index in (("MINISWHITE", 0), ("NBITS", 1)):
        if len(tags_of_sources(dataset, key, index)) > 1:
            found.append(
                f"warning: the sources of this VRT differ in the meaning of their values ({key}), which are read as "
                "stored, so some are wrong; convert the sources to one kind first"
            )
    return tuple(found)


def _zero_is_white(dataset: DatasetReader) -> bool:
    return tags_of_sources(dataset, "MINISWHITE") == {"YES"}


def _inverted(dataset: DatasetReader, indexes: Sequence[int]) -> tuple[Linear, ...]:
    return tuple(Linear(-1, _highest(dataset, index)) for index in indexes)


def _highest(dataset: DatasetReader, index: int) -> float:
    """The value that is swapped with 0 where 0 is white."""
    dtype = np.dtype(dataset.dtypes[index - 1])
    if dtype.kind == "u":
        return float(2 ** (declared_bits(dataset, [index]) or 8 * dtype.itemsize) - 1)
    return -1.0 if dtype.kind == "i" else 0.0


def _colour_space(dataset: DatasetReader) -> str | None:
    """The name of one whose bands GDAL hands out as they are; None where they are plain, or GDAL converted them."""
    if "SOURCE_COLOR_SPACE" in dataset.tags(ns="IMAGE_STRUCTURE"):
        return None
    if any(role in PRINT for role in dataset.colorinterp):
        return "CMYK"
    if dataset.driver != "GTiff":
        return None
    found = read_tag(dataset.name, PHOTOMETRIC)  # nothing is known of a file that only GDAL can reach
    return COLOUR_SPACES.get(found) if isinstance(found, int) else None
