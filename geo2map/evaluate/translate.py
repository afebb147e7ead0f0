"""Pictures of any size through a translator that wants multiples: whole, or tile by tile as a renderer does."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image as Pillow

from geo2map.colour import ColourStatistics
from geo2map.colour.statistics import DIFFERENT
from geo2map.colour.transform import make_rendition
from geo2map.colour.trial import MatchOutcome, best_outcome, shares_to_try
from geo2map.errors import DataError
from geo2map.evaluate.config import EvaluateConfig
from geo2map.grid import MAX_ZOOM, PixelWindow, add_noise
from geo2map.grid.fill import fill_pixels
from geo2map.protocols import PixelTranslator, Scored
from geo2map.types import Batch, Image

REDUCED_SIZE = 256
SAMPLE = 512
"""Side in px of the sample that shows how far to match a picture."""
Draw = Callable[[Batch], Batch]
"""From pictures with context, uint8 (N, H, W, bands), to their translations with any number of bands."""
Neutral = tuple[int, int, int]


def as_scene(image: Image, translator: PixelTranslator, config: EvaluateConfig) -> tuple[Image, PixelTranslator]:
    """The picture and the translator as a renderer would have them if the picture were a scene.

    Returns:
        The picture, its colours matched as far as suits it, and the translator with the favours of such a scene.
    """
    colours, pixels = config.colours, image.reshape(-1, 3)
    rendition, distance = make_rendition(pixels, colours, "auto", matching=config.matching)
    favoured = translator.favouring(config.favours_elsewhere) if distance > DIFFERENT else translator
    if colours is None or rendition.curves is None or not config.tries:
        return rendition(image), favoured
    statistics = ColourStatistics.of(pixels)
    shown = [rendition.matched(statistics, colours, share)(image) for share in shares_to_try(config.matching)]
    top, left, height, width = _middle(image, config.size_multiple)
    if not height * width:
        return rendition(image), favoured
    crops = np.stack([picture[top : top + height, left : left + width] for picture in shown])
    window = PixelWindow(0, 0, width, height)
    planes = [
        translator.outcome_planes(add_noise(crop, window, MAX_ZOOM, translator.noise)[None])[0]  # type: ignore[attr-defined]
        for crop in crops
    ]
    everywhere = np.ones((height, width), np.bool_)
    return shown[best_outcome([MatchOutcome.of(each, everywhere) for each in planes])], favoured


def _middle(image: Image, size_multiple: int) -> tuple[int, int, int, int]:
    """Top, left, height and width of what a renderer would take as a sample of a small scene."""
    height, width = (min(side, SAMPLE) // size_multiple * size_multiple for side in image.shape[:2])
    return (image.shape[0] - height) // 2, (image.shape[1] - width) // 2, height, width


def translate_picture(
    image: Image,
    translator: PixelTranslator,
    size_multiple: int,
    margin: int,
    neutral: Neutral | None = None,
    draw: Draw | None = None,
) -> Image:
    """Translates a uint8 (H, W, 3) of any size in one pass, with `margin` pixels of reflection around it.

    Args:
        neutral: what a renderer fills with where there is no data; given, the picture is filled around as a scene is.
        draw: what to do with the padded picture instead of translating it.

    Raises:
        DataError: the translator returns another size than it was given.
    """
    height, width = (-(-side // size_multiple) * size_multiple for side in image.shape[:2])
    return _translate(image, translator, margin, (height, width), 0, neutral, draw)


def translate_scored(
    image: Image,
    translator: PixelTranslator,
    size_multiple: int,
    margin: int,
    neutral: Neutral | None = None,
    scores: Callable[[Batch], Scored] | None = None,
) -> Scored:
    """Translates as `translate_picture` does, the same pixels, and tells what the scores do.

    Args:
        scores: what to do with the padded picture; None is the translator's `begin_scored`.

    Returns:
        A batch of one.
    """
    tell = scores or (lambda batch: translator.begin_scored(batch)())

    def draw(batch: Batch) -> Batch:
        found = tell(batch)
        return np.concatenate((found.pixels, found.planes.transpose(0, 2, 3, 1)), axis=-1)

    both = translate_picture(image, translator, size_multiple, margin, neutral, draw)[None]
    return Scored(both[..., :3], both[..., 3:].transpose(0, 3, 1, 2))


def translate_tiled(image: Image, translator: PixelTranslator, margin: int, tile: int, offset: int = 0) -> Image:
    """Translates a uint8 (H, W, 3) in tiles of `tile` pixels, each with `margin` pixels of what is around it.

    Tiles begin at column and row `offset` + k `tile`. Beyond the picture is its reflection.

    Raises:
        DataError: the translator returns another size than it was given.
    """
    return _translate(image, translator, margin, (tile, tile), -offset % tile, None)


def _translate(
    image: Image,
    translator: PixelTranslator,
    margin: int,
    tile: tuple[int, int],
    lead: int,
    neutral: Neutral | None,
    draw: Draw | None = None,
) -> Image:
    """Tiles begin `lead` pixels left of and above the picture, whose first pixel is the world's to the noise."""
    grid = [-(-(side + lead) // step) for side, step in zip(image.shape[:2], tile, strict=True)]
    whole = [count * step for count, step in zip(grid, tile, strict=True)]
    trail = [past - lead - side for past, side in zip(whole, image.shape[:2], strict=True)]
    around = [(margin + lead, more + margin) for more in trail]
    padded = np.pad(image, [*around, (0, 0)], mode="constant" if neutral else "reflect")
    if neutral:
        padded = fill_pixels(padded, np.pad(np.ones(image.shape[:2], bool), around), neutral)
    top, left = (-first for first, _ in around)
    window = PixelWindow(left, top, left + padded.shape[1], top + padded.shape[0])
    padded = add_noise(padded, window, MAX_ZOOM, translator.noise)
    sides = (tile[0] + 2 * margin, tile[1] + 2 * margin)
    windows = sliding_window_view(padded, sides, axis=(0, 1), writeable=True)[:: tile[0], :: tile[1]]
    batch = windows.transpose(0, 1, 3, 4, 2).reshape(-1, *sides, 3 + translator.noise)
    drawn = draw(batch) if draw else _checked(translator, batch)
    cores = drawn[:, margin : margin + tile[0], margin : margin + tile[1]]
    joined = cores.reshape(*grid, *tile, -1).swapaxes(1, 2).reshape(*whole, -1)
    return joined[lead : lead + image.shape[0], lead : lead + image.shape[1]]


def _checked(translator: PixelTranslator, batch: Batch) -> Batch:
    translated = translator.translate_pixels(batch)
    if translated.shape != (*batch.shape[:3], 3):
        raise DataError(
            f"the model turned an array of shape {batch.shape} into {translated.shape}; check its size multiple"
        )
    return translated


def resize_to_256(image: Image) -> Image:
    """To uint8 (256, 256, 3) with Pillow's bicubic, antialiased when shrinking; an image of 256 px is kept."""
    size = (REDUCED_SIZE, REDUCED_SIZE)
    return np.asarray(Pillow.fromarray(np.ascontiguousarray(image)).resize(size, Pillow.Resampling.BICUBIC))
