"""Lists of colours as files, and the one of the packaged model's style."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np

from geo2map.colour.palette import load_palette
from geo2map.colour.quantizer import Colours, check_colours
from geo2map.errors import DataError
from geo2map.files.encoding import read_text_file

_HEX = re.compile("#[0-9a-f]{6}", re.IGNORECASE)


@cache
def maps_colours() -> Colours:
    """The colours of the pix2pix `maps` style: those of `MAPS_PALETTE` and 248 learned between them, uint8 (255, 3)."""
    with as_file(files("geo2map.colour").joinpath("data", "maps.json")) as path:
        colours = load_colours(path)
    colours.flags.writeable = False  # shared: read-only
    return colours


def load_colours(path: str | Path) -> Colours:
    """Reads colours: a JSON list of "#rrggbb", or a table of classes as for `geo2map.colour.load_palette`.

    Returns:
        uint8 (N, 3), N from 1 to 255, no colour twice.

    Raises:
        DataError: no such file, neither format, or colours that `PaletteQuantizer` cannot use.
    """
    path = Path(path)
    try:
        text = read_text_file(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: colours cannot be read ({error}); check the path") from error
    if not text.lstrip().startswith("["):
        entries = [colour for _, colour in load_palette(path).entries]
        return check_colours(list(dict.fromkeys(entries)))
    try:
        return check_colours([_parse(entry) for entry in json.loads(text)])
    except (ValueError, DataError) as error:
        raise DataError(f'{path} is not a list of colours, e.g. ["#e8e4de"] ({error})') from error


def colours_json(colours: Colours) -> str:
    """The text that `load_colours` reads, eight colours a line."""
    names = [json.dumps("#{:02x}{:02x}{:02x}".format(*colour)) for colour in np.asarray(colours).tolist()]
    lines = [", ".join(names[start : start + 8]) for start in range(0, len(names), 8)]
    return "[\n  " + ",\n  ".join(lines) + "\n]\n"


def _parse(entry: Any) -> tuple[int, int, int]:
    if not isinstance(entry, str) or not _HEX.fullmatch(entry):
        raise ValueError(f"{entry!r} is no colour")
    red, green, blue = bytes.fromhex(entry[1:])
    return red, green, blue
