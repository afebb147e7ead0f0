"""Every error geo2map raises on purpose: one root, one plain sentence each.

A message says what is wrong, then what to do. Where a choice of the caller's is at fault or would help, `option` is its
name in Python, so that a command line can add how it spells it. Each child also derives from the builtin that a caller
who has never heard of geo2map would catch.
"""

from __future__ import annotations

from typing import Self

TOO_MANY_FILES = "too many files are open at once; raise the limit (ulimit -n 4096), or join the sheets in a VRT"


def missing_extra(feature: str, extra: str) -> str:
    """The sentence for a feature whose packages are not installed, with the command for the project's checkout."""
    return f'{feature}: packages are missing; in the checkout run: pip install -c constraints.txt -e ".[{extra}]"'


class Geo2MapError(Exception):
    """Root of all errors that geo2map raises on purpose.

    Attributes:
        option: the Python name of the option to set or change, e.g. "crs"; None where no single one helps.
        usage: what was asked for makes no sense by itself, whatever is in files or on this machine: a value that is
            none, or options that exclude each other.
    """

    def __init__(self, *arguments: object, option: str | None = None, usage: bool = False) -> None:
        super().__init__(*arguments)
        self.option, self.usage = option, usage


class SetupError(Geo2MapError, RuntimeError):
    """The environment keeps a library from working, e.g. a variable that another program has set."""


class SceneError(Geo2MapError, OSError):
    """A scene cannot be opened or read."""


class GeoreferenceError(Geo2MapError, ValueError):
    """A scene's coordinate reference system or geotransform is missing or unusable."""


class BandError(Geo2MapError, ValueError):
    """The chosen bands are not in the scene, or are of an unusable type."""


class ZoomError(Geo2MapError, ValueError):
    """A zoom is out of range or makes no sense for this scene and model."""


class ResolutionError(Geo2MapError, ValueError):
    """The scene's ground resolution is too far from what the model was trained for."""


class PlanError(Geo2MapError, ValueError):
    """A plan asks for something that cannot be done."""


class AoiError(Geo2MapError, ValueError):
    """An area of interest cannot be read, has no area, or lies outside the scene."""


class ModelFileError(Geo2MapError, ValueError):
    """A model file is missing, damaged, or not a geo2map model."""


class DeviceError(Geo2MapError, RuntimeError):
    """The device or precision is not available, or ran out of memory."""


class OutputError(Geo2MapError, OSError):
    """An output exists already, cannot be written, or is of an unknown kind."""

    @classmethod
    def exists(cls, where: object, found: str = "") -> Self:
        """The refusal to write over something; `found` says what it is."""
        what = f"{where} exists already" + (f" ({found})" if found else "")
        return cls(f"{what}: choose another name or allow overwriting it", option="overwrite")


class OtherVersionError(OutputError):
    """An output, or the partial results of a run, whose journal another version of geo2map wrote."""

    @classmethod
    def of(cls, path: object, *, finished: bool) -> Self:
        """The error for a journal of a finished output or of a run in progress."""
        if finished:
            return cls(f"{path}: record of another version of geo2map; render or convert the output again")
        return cls(f"{path}: partial results of another version of geo2map; resume with that, or run geo2map clean")


class TileSetError(Geo2MapError, ValueError):
    """A folder of tiles is not what a stage needs: no tiles, mixed zooms, broken images."""


class DataError(Geo2MapError, ValueError):
    """Training or evaluation data are missing, broken or of the wrong shape."""


class BusyError(Geo2MapError, RuntimeError):
    """A server has as much to do as it may have.

    Attributes:
        seconds: after which asking again makes sense.
    """

    def __init__(self, message: str, seconds: int = 1, *, option: str | None = None) -> None:
        super().__init__(message, option=option)
        self.seconds = seconds
