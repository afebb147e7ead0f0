"""Writing a folder of pairs: hidden beside its name until it is complete."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np
import PIL.Image

from geo2map.errors import OutputError
from geo2map.files.atomic import (
    hidden_sibling,
    make_parents,
    output_errors,
    remove_parents,
    remove_stale,
    replace_folder,
    restore_replaced,
)
from geo2map.pairs.split import Cell
from geo2map.tiles.codec import SUFFIXES
from geo2map.tiles.folder import parse_number
from geo2map.types import SPLITS, Image, SplitName

_FILE_NAME = "pairs.json"
CUT = "cut"
"""The subfolder for images whose split is not decided yet."""

PairFormat = Literal["png", "jpeg"]
_OPTIONS: dict[PairFormat, dict[str, Any]] = {
    "png": {"format": "PNG", "compress_level": 6},
    "jpeg": {"format": "JPEG", "quality": 95, "subsampling": 0},
}


class PairsFolder:
    """Stores side-by-side images, sorts them into `train`, `val` and `test`, and publishes the folder atomically.

    As a context manager it removes what was not committed. One process at a time may write a folder of a name.
    """

    def __init__(self, path: Path, zoom: int, format: PairFormat, *, overwrite: bool) -> None:
        """
        Raises:
            OutputError: the folder is not empty and may not be overwritten, or contains anything but a set of
                pairs, or cannot be written.
        """
        self.path, self._zoom, self._format, self._overwrite = path, zoom, format, overwrite
        self._final = path.resolve()
        self._folder = hidden_sibling(self._final, "partial")
        with output_errors(path):
            restore_replaced(self._final)
            self._check_final()
            self._parents = make_parents(self._final.parent)
            try:
                remove_stale(self._folder, _first_unexpected)
                (self._folder / CUT).mkdir(parents=True)
            except OSError:
                remove_parents(self._parents)
                raise
        self._open = True

    def file_name(self, cell: Cell) -> str:
        """The file name for a cell, `{zoom}_{column}_{row}` and a suffix."""
        return f"{self._zoom}_{cell.column}_{cell.row}{SUFFIXES[self._format]}"

    def write(self, cell: Cell, scene: Image, drawn: Image) -> None:
        """Stores one pair, A|B, two uint8 (H, W, 3) of one size.

        Raises:
            OutputError: it cannot be written.
        """
        path = self._folder / CUT / self.file_name(cell)
        with output_errors(path):
            PIL.Image.fromarray(np.hstack([scene, drawn])).save(path, **_OPTIONS[self._format])

    def commit(self, splits: Mapping[Cell, SplitName], document: str) -> None:
        """Sorts the images, drops those without a split, and publishes the folder.

        Args:
            splits: of each remaining image.
            document: text of pairs.json.

        Raises:
            OutputError: it cannot be written; then everything is removed.
        """
        with output_errors(self.path):
            for name in SPLITS:
                if name in splits.values():
                    (self._folder / name).mkdir()
            for cell, name in splits.items():
                file_name = self.file_name(cell)
                (self._folder / CUT / file_name).rename(self._folder / name / file_name)
            shutil.rmtree(self._folder / CUT)
            (self._folder / _FILE_NAME).write_text(document, encoding="utf-8", newline="\n")
            self._check_final()
            replace_folder(self._folder, self._final, _first_unexpected)
        self._open = False

    def _check_final(self) -> None:
        """Refuses an existing folder that may not be replaced."""
        if not os.path.lexists(self._final):
            return
        if not self._final.is_dir():
            raise OutputError(f"{self.path} is a file, not a folder; choose another name")
        if not any(self._final.iterdir()):
            return
        if not self._overwrite:
            raise OutputError(f"{self.path} is not empty; choose another folder or set overwrite", option="overwrite")
        unexpected = _first_unexpected(self._final)
        if unexpected is not None or not (self._final / _FILE_NAME).is_file():
            found = f"{unexpected} in it does not belong to a set of pairs" if unexpected else f"it has no {_FILE_NAME}"
            raise OutputError(f"{self.path} is not overwritten: {found}; choose another folder or delete it yourself")

    def __enter__(self) -> PairsFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._open:
            shutil.rmtree(self._folder, ignore_errors=True)
            remove_parents(self._parents)


def _first_unexpected(folder: Path) -> Path | None:
    """The first entry of a folder that is not `PairsFolder`'s, None if there is none.

    Raises:
        OSError: a folder cannot be listed.
    """
    if folder.is_symlink() or not folder.is_dir():
        return folder
    for path in sorted(folder.iterdir()):
        if path.name in (*SPLITS, CUT) and path.is_dir() and not path.is_symlink():
            others = (picture for picture in sorted(path.iterdir()) if not _is_picture(picture))
            if (unexpected := next(others, None)) is not None:
                return unexpected
        elif path.name != _FILE_NAME or not path.is_file():
            return path
    return None


def _is_picture(path: Path) -> bool:
    numbers = path.stem.split("_")
    named = len(numbers) == 3 and all(parse_number(number, 2**40) is not None for number in numbers)
    return named and path.suffix in (".png", ".jpg") and path.is_file() and not path.is_symlink()
