"""Where the scenes of a collection lie at one zoom, so that it is opened without opening any of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np

from geo2map.errors import SceneError
from geo2map.grid import PixelWindow
from geo2map.scene.collection.stack import CollectionSource, SceneCollection, stack_scenes
from geo2map.scene.identity import SceneIdentity
from geo2map.scene.reader import Scene
from geo2map.scene.view import View


@dataclass(frozen=True)
class SheetIndex:
    """Where scenes lie. A value with a JSON form, some 40 bytes a scene.

    Attributes:
        zoom: of the pixels.
        z_order: the scenes by number, as they were given, from the top down.
        frames: global pixels of each, in the order given; may reach over the world's right edge.
    """

    zoom: int
    z_order: tuple[int, ...]
    frames: tuple[PixelWindow, ...]

    @classmethod
    def of(cls, collection: SceneCollection, zoom: int) -> Self:
        """The index of an open collection."""
        numbers = {id(identity): number for number, identity in enumerate(collection.identities)}
        z_order = tuple(numbers[id(entry.identity)] for entry in collection.entries)
        windows = {number: entry.window(zoom) for number, entry in zip(z_order, collection.entries, strict=True)}
        return cls(zoom, z_order, tuple(windows[number] for number in range(len(windows))))

    def to_dict(self) -> dict[str, Any]:
        """JSON-able values."""
        return {"zoom": self.zoom, "top_down": list(self.z_order), "frames": [list(frame) for frame in self.frames]}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Reads what `to_dict` made.

        Raises:
            ValueError: inconsistent.
        """
        frames = tuple(PixelWindow(*map(int, frame)) for frame in values["frames"])
        z_order = tuple(map(int, values["top_down"]))
        if sorted(z_order) != list(range(len(frames))):
            raise ValueError("the entries' order does not name each once")
        return cls(int(values["zoom"]), z_order, frames)


class IndexedCollection:
    """Several scenes as one, of which only those that are read are opened; the pixels of `SceneCollection`.

    Attributes:
        identities: the files, in the order given, as they were when the index was made. A scene that is
            another one now is refused when it is opened.
    """

    def __init__(
        self,
        paths: Sequence[str],
        identities: tuple[SceneIdentity, ...],
        index: SheetIndex,
        *,
        feather: int,
        open_one: Callable[[str], Scene],
    ) -> None:
        self.identities = identities
        self._paths, self._index, self._feather, self._open_one = paths, index, feather, open_one

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Does nothing: no file is open."""

    def at(self, view: View) -> CollectionSource:
        """The scenes as a source of pixels at the index's zoom."""
        assert view.zoom == self._index.zoom, "an index is for one zoom"
        frames = np.array([self._index.frames[number] for number in self._index.z_order], dtype=np.int64)
        return stack_scenes(lambda place: self._open(self._index.z_order[place]), frames, view, self._feather)

    def _open(self, number: int) -> Scene:
        """
        Raises:
            SceneError: the scene has changed since the index was made.
        """
        known = self.identities[number]
        with ExitStack() as stack:
            scene = stack.enter_context(self._open_one(self._paths[number]))
            (found,) = scene.identities
            if (found.size, found.content) != (known.size, known.content):
                raise SceneError(f"{known.difference(found)} since the job was planned: bring it back, or plan anew")
            stack.pop_all()  # whoever asked closes it
        return scene
