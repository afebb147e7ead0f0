"""The interface of scenes, single or stacked, from which plans are made and pixels are read."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Protocol, Unpack

import numpy as np
import numpy.typing as npt

from geo2map.grid import PixelWindow
from geo2map.protocols import Source
from geo2map.scene.collection.stack import SceneCollection
from geo2map.scene.identity import SceneIdentity
from geo2map.scene.options import ReadingKeywords, ReadingOptions
from geo2map.scene.reader import Scene, read_scene
from geo2map.scene.selection import Scenes, SceneSelection, select_scenes
from geo2map.scene.tile_folder import TileFolder
from geo2map.scene.view import View
from geo2map.types import Favours, Mask, OnError


class Imagery(Protocol):
    """Georeferenced pixels, with all that a plan needs: `Scene`, `SceneCollection`, `TileFolder`.

    Attributes:
        name: output names come from it.
        ground_resolution: metres on the ground per pixel.
        latitude: degrees, of the middle.
        zooms: the only ones at which it has pixels; None means any.
        colours_for: name of the model whose colours it has already been matched to, else "".
        favours: of the plan by which it has been matched, if it has.
        bits: of its values, if its files declare other than its type has; else None.
        identities: which scenes it consists of.
        files: every file of this machine that it is read from.
        notes: sentences a user should read.
        on_error: whether damage is an error for `sample`, or left out.
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
    def favours(self) -> Favours: ...

    @property
    def bits(self) -> int | None: ...

    @property
    def on_error(self) -> OnError: ...

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
    asked: Scenes | SceneSelection, *, on_error: OnError = "fail", **reading: Unpack[ReadingKeywords]
) -> Scene | SceneCollection | TileFolder:
    """Opens one scene, several as one, or a folder of tiles; a context manager.

    Args:
        asked: files, folders, patterns, URLs; see `geo2map.scene.find_scenes`. One folder that holds XYZ tiles is
            imagery itself; the other arguments mean nothing to it.
        on_error: "skip" samples what can be read of damaged scenes and tiles.
        reading: the fields of `geo2map.scene.ReadingOptions`.

    Raises:
        SceneError: no scene, or one that is missing, not a raster, or damaged.
        Geo2MapError: whatever else `open_scene` raises.
    """
    return open_imagery(asked, ReadingOptions(**reading), on_error=on_error)


def open_imagery(
    asked: Scenes | SceneSelection, reading: ReadingOptions, *, on_error: OnError = "fail"
) -> Scene | SceneCollection | TileFolder:
    """The same as `open_scenes`, its options as a value; a selection is not searched for again."""
    chosen = select_scenes(asked)
    if chosen.is_tiles:
        return TileFolder(Path(chosen.paths[0]), on_error)
    opened: Scene | SceneCollection
    if len(chosen.paths) == 1:
        opened = read_scene(chosen.paths[0], reading, on_error)
    else:
        open_one = partial(read_scene, options=reading, on_error=on_error)
        opened = SceneCollection(
            chosen.paths, chosen.name, order=reading.order, feather=reading.feather, open_one=open_one
        )
    opened.remarks, opened.on_error = chosen.remarks, on_error
    return opened
