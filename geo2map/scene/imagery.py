"""What a plan is made from and a source is had from: one scene, or many as one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from geo2map.colour.rendition import Rendition
from geo2map.errors import SceneError
from geo2map.grid import PixelWindow
from geo2map.protocols import Source
from geo2map.scene.collection.sheets import SceneCollection
from geo2map.scene.discover import find_scenes, mosaic_name
from geo2map.scene.reader import Scene, open_scene
from geo2map.types import Mask, Order, Resampling

WIDEST_FEATHER = 512


class Imagery(Protocol):
    """Pixels with a place on Earth, near enough to a plan to decide everything: `Scene` and `SceneCollection`.

    Attributes:
        name: output names come from it.
        ground_resolution: metres on the ground per pixel.
        latitude: degrees, of the middle.
        notes: sentences a user should read.
        arrangement: another word where scenes lie, or are read, otherwise; says nothing of their pixels.
    """

    name: str
    ground_resolution: float
    latitude: float

    @property
    def notes(self) -> tuple[str, ...]: ...

    @property
    def arrangement(self) -> str: ...

    def window(self, zoom: int) -> PixelWindow:
        """The smallest window of global pixels that holds all of it; may reach over the world's right edge."""
        ...

    def sample(self) -> npt.NDArray[np.generic]:
        """Valid pixels from all over it, (pixels, 3) in its own type; the same each time."""
        ...

    def coverage(self, zoom: int, cell: int) -> Mask:
        """Where it has data: a bool per `cell` x `cell` global pixels of `window(zoom)`; a decimated look."""
        ...

    def at(self, zoom: int, rendition: Rendition, resampling: Resampling = ...) -> AbstractContextManager[Source]:
        """It as a source of pixels at one zoom."""
        ...

    def __enter__(self) -> Imagery: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_scenes(
    asked: str | Path | Sequence[str | Path], *, order: Order = "first", feather: int = 0, **options: Any
) -> Scene | SceneCollection:
    """Opens one scene, or several as one; a context manager.

    Args:
        asked: files, folders, patterns, URLs; see `geo2map.scene.find_scenes`.
        order: which of several is on top: the "first" or "last" given, the "newest" (by the acquisition's date, the
            TIFF's or the file's) or the "finest".
        feather: output pixels over which the upper of two fades into the lower along its border.
        options: those of `open_scene`, for each of them.

    Raises:
        SceneError: no scene, or one that is missing, no raster, or damaged.
        Geo2MapError: whatever else `open_scene` raises.
    """
    if not 0 <= feather <= WIDEST_FEATHER:
        raise SceneError(f"feather {feather} asked: give 0 to {WIDEST_FEATHER} px")
    scenes = find_scenes(asked)
    if len(scenes) == 1:
        return open_scene(scenes[0], **options)
    return SceneCollection(
        scenes, mosaic_name(asked, scenes), order=order, feather=feather, open_one=partial(open_scene, **options)
    )
