"""Which of several scenes lies on top."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from geo2map.files.address import is_file_path
from geo2map.grid import PixelWindow
from geo2map.scene.identity import SceneIdentity
from geo2map.scene.reader import Scene
from geo2map.threads import Budget, start_threads
from geo2map.types import Order

DATES = (("IMAGERY", "ACQUISITIONDATETIME"), (None, "ACQUISITIONDATETIME"), (None, "TIFFTAG_DATETIME"))

OPENERS = 8


def openers(paths: Sequence[str]) -> Executor:
    """Threads that open sheets: a server answers many as fast as one, files of this machine take processors."""
    remote = not all(map(is_file_path, paths))
    return start_threads(OPENERS, "open") if remote else Budget.make().pool(OPENERS, "open")


@dataclass(frozen=True)
class SceneEntry:
    """What a collection stores of a scene that is not open.

    Attributes:
        path: as `open_scene` takes it.
        window: smallest window of global pixels at a zoom that holds it.
        ground_resolution: metres on the ground per pixel.
        area: square metres on the ground.
        date: when it was taken, seconds since 1970; see `taken`.
        bits: of its values, if the file declares them.
        identity: which file it is.
        files: the others that it is read from: sidecars, the sources of a VRT.
    """

    path: str
    window: Callable[[int], PixelWindow]
    ground_resolution: float
    area: float
    date: float
    bits: int | None
    identity: SceneIdentity
    files: tuple[str, ...] = ()

    @classmethod
    def of(cls, scene: Scene) -> SceneEntry:
        """The entry of an open scene."""
        area = scene.dataset.width * scene.dataset.height * scene.ground_resolution**2
        (identity,), files = scene.identities, tuple(file for file in scene.files if file != scene.path)
        return cls(scene.path, scene.window, scene.ground_resolution, area, taken(scene), scene.bits, identity, files)


def files_of(entries: Sequence[SceneEntry]) -> tuple[str, ...]:
    """Every file of this machine that scenes are read from."""
    return tuple(file for entry in entries for file in (entry.path, *entry.files) if is_file_path(file))


def in_order(entries: Sequence[SceneEntry], order: Order) -> list[SceneEntry]:
    """The scenes from the top down; those that are equal stay as they were given."""
    if order == "last":
        return list(reversed(entries))
    if order == "newest":
        return sorted(entries, key=lambda entry: -entry.date)
    if order == "finest":
        return sorted(entries, key=lambda entry: entry.ground_resolution)
    return list(entries)


def taken(scene: Scene) -> float:
    """When a scene was taken, seconds since 1970: the acquisition's date if the file has one, else its TIFF date,
    else that of the file itself; 0 if unknown. Dates without a time zone are UTC."""
    for namespace, name in DATES:
        text = str(scene.dataset.tags(ns=namespace).get(name, "")).strip()
        if text[4:5] == ":":  # TIFF's 2021:05:06 07:08:09
            text = text.replace(":", "-", 2)
        try:
            date = datetime.fromisoformat(text)
        except ValueError:
            continue
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    return Path(scene.path).stat().st_mtime if is_file_path(scene.path) else 0.0
