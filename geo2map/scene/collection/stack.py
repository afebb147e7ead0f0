"""Many scenes as one: scenes of any CRS, resolution and number of bands, of which few are open at once."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from threading import Lock
from types import TracebackType

import numpy as np
import numpy.typing as npt

from geo2map import grid
from geo2map.errors import SceneError
from geo2map.files.closing import Closing
from geo2map.grid import PixelWindow
from geo2map.grid.block import Block, BlockImage
from geo2map.scene.collection.feather import Part, overlay
from geo2map.scene.collection.order import SceneEntry, files_of, in_order, openers
from geo2map.scene.collection.samples import require_alike, thin
from geo2map.scene.identity import SceneIdentity
from geo2map.scene.reader import Scene
from geo2map.scene.sample import SAMPLE_SIDE
from geo2map.scene.source import SceneSource
from geo2map.scene.view import View
from geo2map.types import Favours, Mask, OnError, Order, RawPixels

OPEN_SCENES = 32
"""Scenes that a source keeps open; a system may limit a process to 256 files."""
OPEN_ELSEWHERE = 8
"""The same for each further thread that reads."""
SHOWN_NOTES = 3
TOP = {"first": "the first given", "last": "the last given", "newest": "the newest", "finest": "the finest"}


class SceneCollection:
    """Several scenes as one (a `geo2map.scene.Imagery`): per pixel the first of them that has data.

    Each is opened once to read its georeference and closed again; the rest happens scene by scene.

    Attributes:
        name: of the whole.
        entries: from the top down.
        feather: pixels over which a scene fades into those below along its border.
        ground_resolution: metres per pixel, of the finest scene.
        latitude: degrees, of the middle of all.
        zooms: None: it has pixels at any zoom.
        colours_for, favours: empty: not prepared for any model.
        remarks: notes on how they were found.
        bits: of their values, if all files declare the same.
        files: all local files that they are read from.
    """

    zooms: tuple[int, ...] | None = None
    colours_for: str = ""
    favours: Favours = ()
    remarks: tuple[str, ...] = ()
    on_error: OnError = "fail"

    def __init__(
        self,
        paths: Sequence[str],
        name: str,
        *,
        order: Order = "first",
        feather: int = 0,
        open_one: Callable[[str], Scene],
    ) -> None:
        """Surveys every scene.

        Args:
            open_one: opens one of the paths, with its reading options.

        Raises:
            Geo2MapError: the first of the scenes that cannot be used, by name.
        """
        self.name, self.order, self.feather, self.open_one = name, order, feather, open_one
        looked = self._look_at_all(paths)
        self._identities = tuple(entry.identity for entry in looked)
        self.entries = in_order(looked, order)
        self.bits = looked[0].bits if len({entry.bits for entry in looked}) == 1 else None
        self.files = files_of(self.entries)
        self.ground_resolution = min(entry.ground_resolution for entry in self.entries)
        self.latitude = grid.window_latitude(self.window(grid.MAX_ZOOM), grid.MAX_ZOOM)

    def __enter__(self) -> SceneCollection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Does nothing: no file is open."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the user on the stack, and on a few of the scenes."""
        finest, coarsest = self.ground_resolution, max(entry.ground_resolution for entry in self.entries)
        faded = f", faded over {self.feather} px" if self.feather else ""
        mixed = f"; {finest:.3g} to {coarsest:.3g} m per pixel" if coarsest > 1.5 * finest else ""
        more = len(self._looked[1]) - SHOWN_NOTES
        return (
            *self.remarks,
            f"{len(self.entries)} scenes as one, {TOP[self.order]} on top{faded}{mixed}",
            *self._looked[1][:SHOWN_NOTES],
            *([f"and {more} more notes on other scenes"] if more > 0 else []),
        )

    @property
    def layout_digest(self) -> str:
        """Changes when scene positions or their order change; independent of their pixels."""
        lying = [self.order, self.feather, self._frames(grid.MAX_ZOOM).tolist()]
        return hashlib.sha256(repr(lying).encode()).hexdigest()[:16]

    def window(self, zoom: int) -> PixelWindow:
        """The smallest window of global pixels that holds all scenes; may reach over the world's right edge."""
        frames, world = self._frames(zoom), grid.world_window(zoom)
        frames = frames[frames[:, 0].argsort(kind="stable")]
        reached = np.maximum.accumulate(frames[:, 2])
        gaps = np.append(frames[1:, 0], frames[0, 0] + world.width) - reached
        before = len(gaps) - 1 - int(gaps[::-1].argmax())  # the last entry before the widest gap around the Earth
        first = (before + 1) % len(gaps)
        right = max(reached[-1], reached[before] + world.width) if first else reached[-1]
        window = PixelWindow(int(frames[first, 0]), int(frames[:, 1].min()), int(right), int(frames[:, 3].max()))
        if grid.tile_range(window).width * grid.TILE_SIZE > world.width:
            return PixelWindow(world.left, window.top, world.right, window.bottom)
        return window

    def sample(self) -> RawPixels:
        """Valid pixels from all over the scenes, at most about as many as of one scene, (pixels, 3).

        Each scene gives as many as its share of the area, however fine it is; what is hidden counts, too.

        Raises:
            SceneError: damaged data.
            BandError: 8-bit colours beside narrower or wider numbers: no stretch suits both.
        """
        return self._looked[0]

    @cached_property
    def _looked(self) -> tuple[RawPixels, tuple[str, ...]]:
        """The sample, and the scenes' notes."""
        density = SAMPLE_SIDE**2 / sum(entry.area for entry in self.entries)
        found: dict[SceneEntry, RawPixels] = {}
        notes = []
        for entry in self.entries:
            with self.open_one(entry.path) as scene:
                try:
                    found[entry] = thin(scene.sample(), round(scene.valid_share * entry.area * density))
                    notes += [f"{scene.name}: {note}" for note in scene.notes]
                except SceneError as error:
                    if scene.on_error == "fail" or (entry is self.entries[-1] and not found):
                        raise
                    notes.append(f"warning: {error}; the other scenes decide the colours")
        require_alike(list(found), list(found.values()))
        return np.concatenate(list(found.values())), tuple(notes)

    def coverage(self, zoom: int, cell: int) -> Mask:
        """Where any scene has data: one bool per `cell` x `cell` global pixels of `window(zoom)`, (rows, columns).

        From a decimated read: suitable for estimates, not for deciding what to skip.
        """
        whole, world = self.window(zoom), grid.world_window(zoom)
        covered = np.zeros((-(-whole.height // cell), -(-whole.width // cell)), dtype=np.bool_)
        for entry in self.entries:
            with self.open_one(entry.path) as scene:
                seen = scene.coverage(zoom, cell)
            frame = entry.window(zoom)
            rows, columns = np.nonzero(seen)
            rows = np.minimum(frame.top + rows * cell + cell // 2, frame.bottom - 1) - whole.top
            columns = np.minimum(frame.left + columns * cell + cell // 2, frame.right - 1) - whole.left
            covered[rows // cell, columns % world.width // cell] = True
        return covered

    @property
    def identities(self) -> tuple[SceneIdentity, ...]:
        """The identities of the scenes, in the order given."""
        return self._identities

    def at(self, view: View) -> CollectionSource:
        """The scenes as a source of pixels at one zoom."""
        return stack_scenes(
            lambda index: self.open_one(self.entries[index].path), self._frames(view.zoom), view, self.feather
        )

    def _look_at_all(self, paths: Sequence[str]) -> list[SceneEntry]:
        with openers(paths) as pool:
            try:
                return list(pool.map(self._look_at, paths))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _look_at(self, path: str) -> SceneEntry:
        with self.open_one(path) as scene:
            return SceneEntry.of(scene)

    def _frames(self, zoom: int) -> npt.NDArray[np.int64]:
        """The windows of the scenes, (entries, 4)."""
        return np.array([entry.window(zoom) for entry in self.entries], dtype=np.int64)


def stack_scenes(
    open_one: Callable[[int], Scene], frames: npt.NDArray[np.int64], view: View, feather: int
) -> CollectionSource:
    """Scenes as a source of pixels at one zoom; each is surveyed once, when it is first read.

    Args:
        open_one: opens a scene by its number, from the top down.
        frames: see `CollectionSource`.
    """
    known: dict[int, SceneSource] = {}
    lock = Lock()

    def open_source(index: int) -> SceneSource:
        with lock:
            if index not in known:
                with open_one(index) as scene:
                    known[index] = scene.at(view)
        return known[index].another()

    return CollectionSource(open_source, frames, view.zoom, feather)


class CollectionSource(Closing):
    """Scenes at one zoom, one over the other (a `geo2map.protocols.Source`).

    A block touches its own scenes only, and at most `OPEN_SCENES` are open, those used last.
    """

    def __init__(
        self,
        open_source: Callable[[int], SceneSource],
        frames: npt.NDArray[np.int64],
        zoom: int,
        feather: int,
        most_open: int = OPEN_SCENES,
    ) -> None:
        """
        Args:
            open_source: makes the source of a scene, by its number; called from any thread.
            frames: global pixels of the scenes from the top down, int (entries, 4); may reach over the world's edge.
            most_open: scenes that may be open at once.
        """
        self._open_source, self._frames, self._feather = open_source, frames, feather
        self._zoom, self._world, self._most_open = zoom, grid.world_window(zoom).width, most_open
        self._known: dict[int, SceneSource] = {}
        self._open: OrderedDict[int, SceneSource] = OrderedDict()

    def close(self) -> None:
        """Closes the files."""
        for source in self._open.values():
            source.close()

    def another(self) -> CollectionSource:
        """The same pixels through handles of their own, fewer of them, for another thread."""
        return CollectionSource(self._open_source, self._frames, self._zoom, self._feather, OPEN_ELSEWHERE)

    def is_empty(self, window: PixelWindow) -> bool:
        """Whether a window of global pixels provably contains no valid one; False if only reading can decide."""
        return all(self._sheet(index).is_empty(window) for index in self._touching(window))

    def read(self, block: Block) -> BlockImage:
        """Reads a block; see `geo2map.scene.collection.feather.overlay` for how the scenes make one image.

        Raises:
            SceneError: damaged data.
        """
        return BlockImage(block, *overlay(block.window, self._parts(block.window), self._feather))

    def _parts(self, window: PixelWindow) -> Iterator[Part]:
        """What each scene has in a window, from the top down; columns are counted modulo the world."""
        for index in self._touching(window):
            for turn in (-self._world, 0, self._world):
                frame = PixelWindow(*self._frames[index].tolist())
                part = window.intersection(frame.shift(turn))
                if not part.empty:
                    yield Part(part, *self._sheet(index).read_window(part.grow(self._feather)))

    def _touching(self, window: PixelWindow) -> list[int]:
        """The scenes that reach into a window, by number."""
        left, top, right, bottom = self._frames.T
        level = (top < window.bottom) & (bottom > window.top)
        turns = (-self._world, 0, self._world)
        touched = [level & (left + turn < window.right) & (right + turn > window.left) for turn in turns]
        found: list[int] = np.flatnonzero(np.any(touched, axis=0)).tolist()
        return found

    def _sheet(self, index: int) -> SceneSource:
        """Opens a scene for reading; the least recently used one is closed for it."""
        if index not in self._known:
            self._known[index] = self._open_source(index)
        self._open[index] = self._known[index]
        self._open.move_to_end(index)
        while len(self._open) > self._most_open:
            self._open.popitem(last=False)[1].close()
        return self._known[index]
