"""The interface of scenes, single or stacked, from which plans are made and pixels are read."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from geo2map.grid import PixelWindow
from geo2map.protocols import Source
from geo2map.scene.collection.stack import SceneCollection
from geo2map.scene.discover import Found, find_imagery, mosaic_name
from geo2map.scene.identity import SceneIdentity
from geo2map.scene.options import ReadingOptions
from geo2map.scene.reader import Scene, open_scene
from geo2map.scene.tile_folder import TileFolder, is_tile_folder
from geo2map.scene.view import View
from geo2map.types import Mask, OnError, Order


class Imagery(Protocol):
    """Georeferenced pixels, with all that a plan needs: `Scene`, `SceneCollection`, `TileFolder`.

    Attributes:
        name: output names come from it.
        ground_resolution: metres on the ground per pixel.
        latitude: degrees, of the middle.
        zooms: the only ones at which it has pixels; None means any.
        colours_for: name of the model whose colours it has already been matched to, else "".
        bits: of its values, if its files declare other than its type has; else None.
        identities: which scenes it consists of.
        files: every file of this machine that it is read from.
        notes: sentences a user should read.
        layout_digest: changes when scene positions or reading options change; independent of their pixels.
    """

    name: str
    ground_resolution: float
    latitude: float

    @property
    def zooms(self) -> tuple[int, ...] | None: ...

    @property
    def colours_for(self) -> str: ...

    @property
    def bits(self) -> int | None: ...

    @property
    def identities(self) -> tuple[SceneIdentity, ...]: ...

    @property
    def files(self) -> tuple[str, ...]: ...

    @property
    def notes(self) -> tuple[str, ...]: ...

    @property
    def layout_digest(self) -> str: ...

    def window(self, zoom: int) -> PixelWindow:
        """The smallest window of global pixels that holds all of it; may reach over the world's right edge."""
        ...

    def sample(self) -> npt.NDArray[np.generic]:
        """Valid pixels from all over it, (pixels, 3) in its own type; the same each time."""
        ...

    def coverage(self, zoom: int, cell: int) -> Mask:
        """Where it has data: a bool per `cell` x `cell` global pixels of `window(zoom)`, from a decimated read."""
        ...

    def at(self, view: View) -> AbstractContextManager[Source]:
        """Open a pixel source at one zoom."""
        ...

    def __enter__(self) -> Imagery: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_scenes(
    asked: str | Path | Sequence[str | Path],
    *,
    order: Order = "first",
    feather: int = 0,
    on_error: OnError = "fail",
    found: Found | None = None,
    **options: Any,
) -> Scene | SceneCollection | TileFolder:
    """Opens one scene, several as one, or a folder of tiles; a context manager.

    Args:
        asked: files, folders, patterns, URLs; see `geo2map.scene.find_scenes`. One folder that holds XYZ tiles is
            imagery itself; the other arguments do not apply to it.
        order: which of several is on top: the "first" or "last" given, the "newest" (by the acquisition's date, the
            TIFF's or the file's) or the "finest".
        feather: output pixels over which the upper of two fades into the lower along its border.
        on_error: "skip" samples what can be read of damaged scenes and tiles.
        found: the result of `geo2map.scene.discover.find_imagery` for `asked`, if known.
        options: the others of `open_scene`, for each of them.

    Raises:
        SceneError: no scene, or one that is missing, not a raster, or damaged.
        Geo2MapError: whatever else `open_scene` raises.
    """
    ReadingOptions(order=order, feather=feather)
    if (folder := is_tile_folder(asked)) is not None:
        return TileFolder(folder, on_error)
    scenes, remarks = found or find_imagery(asked)
    opened: Scene | SceneCollection
    if len(scenes) == 1:
        opened = open_scene(scenes[0], on_error=on_error, **options)
    else:
        open_one = partial(open_scene, on_error=on_error, **options)
        opened = SceneCollection(scenes, mosaic_name(asked, scenes), order=order, feather=feather, open_one=open_one)
    opened.remarks = remarks
    return opened
