"""Picture files of pairs: side by side in one file, or two parallel folders."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
import numpy.typing as npt
from PIL import Image

from geo2map.errors import DataError
from geo2map.files.clutter import is_passed_over
from geo2map.files.encoding import read_text_file
from geo2map.types import SPLITS

Picture = npt.NDArray[np.uint8]
LabelMask = npt.NDArray[np.uint8]
_SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
LABEL_MASK_SUFFIX = "_valid.png"
"""Ends the name of the picture that says what is known of a pair: for each pixel the sum of `LABEL_BITS`, 0 nothing."""
LABEL_BITS = {"road": 1, "highway": 1, "building": 2, "water": 4, "park": 8}
"""A class is known where the map says for sure that the pixel is, or is not, of that class."""
ALL_LABELS = 15
PARALLEL = (("A", "B"), ("a", "b"), ("trainA", "trainB"), ("testA", "testB"))
"""Names of two parallel folders: ours and CycleGAN's."""
MAPS_ZOOM, MAPS_GROUND_RESOLUTION = 17, 0.905
"""Zoom and metres per pixel of the pix2pix `maps` pictures (New York)."""

_WARNINGS = Lock()
"""Held while warnings are filtered: filters belong to the process, and several threads open pictures."""


@dataclass(frozen=True)
class PairFile:
    """Where one pair is: `a` alone holds A|B side by side, or `a` and `b` are files of one name.

    Attributes:
        name: the file's name.
    """

    a: Path
    b: Path | None = None

    @property
    def name(self) -> str:
        return self.a.name

    def load(self) -> tuple[Picture, Picture]:
        """A and B, two uint8 (H, W, 3) of one shape.

        Raises:
            DataError: a broken file, an odd width, or two files of different size.
        """
        if self.b is None:
            return load_pair(self.a)
        a, b = _read(self.a), _read(self.b)
        if a.shape != b.shape:
            raise DataError(
                f"{self.a} is {a.shape[1]} x {a.shape[0]} px, but {self.b} is {b.shape[1]} x {b.shape[0]} px: "
                "the two sides of a pair need one size"
            )
        return a, b

    def load_label_mask(self, shape: tuple[int, ...] | None = None) -> LabelMask | None:
        """What is known where, see `LABEL_BITS`; uint8 (H, W). None: everything everywhere.

        Args:
            shape: the pair's height and width; None decodes it to see.

        Raises:
            DataError: a broken file, or one of another size than the pair.
        """
        spelled = (LABEL_MASK_SUFFIX, LABEL_MASK_SUFFIX.replace("png", "PNG"), LABEL_MASK_SUFFIX.upper())
        path = next(filter(Path.is_file, (self.a.with_name(self.a.stem + suffix) for suffix in spelled)), None)
        if path is None:
            return None
        known, shape = _read_label_mask(path), shape or self.load()[0].shape[:2]
        if known.shape != shape:
            raise DataError(
                f"{path} is {known.shape[1]} x {known.shape[0]} px, unlike the halves of its pair; make it again"
            )
        return known


def has_places(folder: Path) -> bool:
    """Whether the folder holds no pairs itself, but folders of them."""
    inside = _folders(folder)
    names = {path.name for path in inside} & {*SPLITS, *(name for both in PARALLEL for name in both)}
    return bool(inside) and not names and not any(_is_picture(path) for path in folder.iterdir())


def list_places(folder: Path, held_out: Path | None = None) -> dict[str, list[PairFile]]:
    """The pairs of several places: one folder of pairs a place, by its name.

    Args:
        folder: holds a folder of pairs for each place.
        held_out: a text file that names pairs to leave out, one PLACE/NAME a line.

    Raises:
        DataError: no such folder, nothing in it, or a name in the list is none of its pairs.
    """
    inside = _folders(folder)
    if not inside:
        raise DataError(f"{folder} holds no folder of pairs; give a folder with one for each place")
    places = {path.name: list_pairs(path) for path in inside}
    if held_out is None:
        return places
    known = {f"{place}/{file.name}" for place, files in places.items() for file in files}
    names = _read_names(held_out, known)
    unknown = names - known
    if unknown:
        raise DataError(f"{sorted(unknown)[0]} of {held_out} is not a pair in {folder}; correct the list")
    kept = {place: [f for f in files if f"{place}/{f.name}" not in names] for place, files in places.items()}
    return {place: files for place, files in kept.items() if files}


def list_pairs(folder: Path) -> list[PairFile]:
    """The pairs of a folder, in natural order (2.jpg before 10.jpg).

    Args:
        folder: holds A|B pictures, or two folders A and B (or trainA and trainB) of pictures of the same names.

    Raises:
        DataError: no such folder, nothing in it, or a picture without its counterpart.
    """
    for first, second in PARALLEL:
        if (folder / first).is_dir() and (folder / second).is_dir():
            return _parallel(folder / first, folder / second)
    return [PairFile(path) for path in list_pictures(folder)]


def list_splits(data: Path, validation: Path | None = None) -> tuple[list[PairFile], list[PairFile]]:
    """The pairs to train on and those held out.

    Args:
        data: a folder of pairs, or one with a folder `train` (and perhaps `val`) of pairs, as `geo2map pairs` makes.
        validation: another folder of pairs; or a text file that names pictures of `data` to hold out, one a line.

    Raises:
        DataError: a folder or file is missing, or a name in the list is no picture of `data`.
    """
    inside = data / "train"
    files = list_pairs(inside if inside.is_dir() else data)
    if validation is None:
        return files, list_pairs(data / "val") if inside.is_dir() and (data / "val").is_dir() else []
    if validation.is_dir():
        return files, list_pairs(validation)
    known = {file.name for file in files}
    names = _read_names(validation, known)
    unknown = names - known
    if unknown or len(names) == len(files):
        found = f"{sorted(unknown)[0]} is not one of them" if unknown else "nothing is left to train on"
        raise DataError(f"{validation}: cannot hold out pictures of {data}, {found}; correct the list")
    return [f for f in files if f.name not in names], [f for f in files if f.name in names]


def read_facts(data: Path) -> tuple[int, float]:
    """Zoom and ground resolution (metres per pixel) of a folder of pairs: of its `pairs.json`, else the maps set's.

    Raises:
        DataError: a pairs.json that cannot be read.
    """
    for path in (data / "pairs.json", data.parent / "pairs.json"):
        if path.is_file():
            try:
                facts = json.loads(path.read_text(encoding="utf-8"))
                return int(facts["zoom"]), float(facts["ground_resolution"])
            except (OSError, KeyError, TypeError, ValueError) as error:
                raise DataError(
                    f"{path}: cannot be read ({error}); give zoom and ground resolution", option="zoom"
                ) from error
    return MAPS_ZOOM, MAPS_GROUND_RESOLUTION


def list_pictures(folder: Path) -> list[Path]:
    """Pictures of a folder, in natural order.

    Raises:
        DataError: the folder is missing or holds no JPEG or PNG.
    """
    if not folder.is_dir():
        raise DataError(f"folder of pairs not found: {folder}; check the path")
    found = sorted(
        (path for path in folder.iterdir() if _is_picture(path) and not path.name.lower().endswith(LABEL_MASK_SUFFIX)),
        key=lambda path: (len(path.stem), path.name),
    )
    if not found:
        inside = [name for name in SPLITS if (folder / name).is_dir()]
        advice = f"give {' or '.join(str(folder / name) for name in inside)}" if inside else "give A|B pictures"
        raise DataError(f"{folder} holds no .jpg or .png; {advice}")
    for path in found:
        if path.is_symlink() and not path.exists():
            raise DataError(f"{path} is a link to a file that does not exist; correct or remove it")
    return found


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES and not is_passed_over(path.name) and not path.is_dir()


def _folders(folder: Path) -> list[Path]:
    inside = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in inside if path.is_dir() and not is_passed_over(path.name))


def _read_names(path: Path, known: set[str]) -> set[str]:
    """The names in a list, one a line; or several, where each of them is known and the line as a whole is not."""
    try:
        lines = [line.strip() for line in read_text_file(path).splitlines()]
    except FileNotFoundError as error:
        raise DataError(f"list of names not found: {path}; check the path") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as text ({error}); give a text file with one name a line") from error
    several = {line for line in lines if line not in known and known.issuperset(line.split())}
    return {name for line in lines if line for name in (line.split() if line in several else [line])}


def _parallel(a: Path, b: Path) -> list[PairFile]:
    partners: dict[str, Path] = {}
    for path in list_pictures(b):
        if (other := partners.setdefault(path.stem, path)) != path:
            raise DataError(f"{other} and {path.name} are two pictures of one name; keep one of them")
    found = [PairFile(path, partners.pop(path.stem, None)) for path in list_pictures(a)]
    lonely = [pair.a for pair in found if pair.b is None] or list(partners.values())
    if lonely:
        raise DataError(f"{lonely[0]} has no picture of its name on the other side: {a} and {b} need the same names")
    return found


def load_pair(path: Path) -> tuple[Picture, Picture]:
    """Reads a side-by-side A|B picture; two uint8 (H, W, 3).

    Raises:
        DataError: the file is broken or its width is odd.
    """
    pixels = _read(path)
    if pixels.shape[1] % 2:
        raise DataError(f"{path} is {pixels.shape[1]} px wide: A|B side by side need an even width")
    half = pixels.shape[1] // 2
    return pixels[:, :half], pixels[:, half:]


def _read(path: Path) -> Picture:
    """A picture's colours, uint8 (H, W, 3).

    Raises:
        DataError: broken, of more than 8 bits, or with transparent pixels: what is below these was never seen.
    """
    image, deep = _open(path)
    if deep:
        raise DataError(f"{path} has 16 bits a channel; save it with 8 bits, as it looks on a screen")
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        if np.asarray(image)[..., 3].min() < 255:
            raise DataError(f"{path} has transparent pixels; give them a colour, or cut the picture to what is seen")
    return np.asarray(image.convert("RGB"))


def _read_label_mask(path: Path) -> LabelMask:
    """The bits of a `_valid.png`, uint8 (H, W): the stored numbers, of a palette's entries, too."""
    image, _ = _open(path)
    values = np.asarray(image.convert("L") if image.mode == "1" else image)
    return (values if values.ndim == 2 else values[..., 0]).astype(np.uint8) & np.uint8(ALL_LABELS)


def _open(path: Path) -> tuple[Image.Image, bool]:
    """A decoded picture, and whether it has more than 8 bits a channel: Pillow keeps only 8 of a colour's 16."""
    try:
        with _WARNINGS, warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(path)
        with image:
            stored = [str(tile[3]) for tile in getattr(image, "tile", ())]
            deep = image.mode.startswith(("I", "F")) or any("16" in mode for mode in stored)
            image.load()
            return image, deep
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} is not a readable picture ({error}); remove or replace it") from error
