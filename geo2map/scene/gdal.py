"""GDAL's settings for local and remote files, and the translation of its errors."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import rasterio
from rasterio.env import get_gdal_config, getenv, hasenv
from rasterio.io import DatasetReader

from geo2map.errors import Geo2MapError, SceneError
from geo2map.files.address import gdal_path, is_remote, redact
from geo2map.files.rasterio_internals import GDAL_ERRORS
from geo2map.grid.mercator import web_mercator
from geo2map.scene.causes import DAMAGED, MISSING, NOT_A_RASTER, PREFIXED, advise
from geo2map.scene.quiet import quiet

GDAL_OPTIONS = {
    "GDAL_CACHEMAX": 128 * 2**20,  # in bytes: unlike GDAL, rasterio does not take small numbers for megabytes
    "VRT_SHARED_SOURCE": "0",
    "GDAL_HTTP_MULTIRANGE": "YES",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_HTTP_TCP_KEEPALIVE": "YES",
    "GDAL_HTTP_MAX_RETRY": 3,
    "GDAL_HTTP_RETRY_DELAY": 0.5,  # seconds, doubled each time
    "GDAL_HTTP_CONNECTTIMEOUT": 10,  # seconds
    "GDAL_HTTP_LOW_SPEED_TIME": 20,  # seconds below the limit, in bytes per second, until a server counts as gone
    "GDAL_HTTP_LOW_SPEED_LIMIT": 1,
}
NEVER = {"GDAL_VRT_ENABLE_PYTHON": "NO"}
"""Settings that a user cannot override: a VRT is data, and no code in it is run."""
REMOTE_OPTIONS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # no listing, no guessing at sidecars: each costs a request
    "GDAL_INGESTED_BYTES_AT_OPEN": 32768,  # the header of most COGs
    "GDAL_VRT_ENABLE_RAWRASTERBAND": "NO",  # a server may answer with another VRT each time; see geo2map.scene.trust
}
UNREACHED = "check the address, your credentials and the connection, and try again"
GONE = "the server or the connection failed: try again later"
GENERAL = (DAMAGED, MISSING, NOT_A_RASTER, PREFIXED, UNREACHED, GONE)
"""Advice without a cause of its own: GDAL's message is added."""
FORGET = {"CPL_VSIL_CURL_NON_CACHED": ":".join(f"/vsi{home}/" for home in ("curl", "s3", "gs", "az"))}

WAY_DOWN = re.compile(r"(?:\S+, band \d+: )?IReadBlock failed at X offset \d+, Y offset \d+: ")

_T = TypeVar("_T")


def gdal_env(path: str | Path) -> rasterio.Env:
    """GDAL's settings for a path, as a context.

    The user's settings, by environment, `rasterio.Env` or file, take precedence, except over `NEVER`.
    """
    wanted: dict[str, Any] = GDAL_OPTIONS | (REMOTE_OPTIONS if is_remote(path) else {})
    return rasterio.Env(**{key: value for key, value in wanted.items() if not _is_set(key)} | NEVER)


def _is_set(key: str) -> bool:
    if key == "GDAL_CACHEMAX":  # for which rasterio answers with the size in force, set or not
        return key in os.environ or (hasenv() and key in getenv())
    return get_gdal_config(key, normalize=False) is not None


def open_raster(address: str, **options: Any) -> DatasetReader:
    """Opens a raster, or a VRT document, without rasterio's warning of a missing geotransform."""
    with quiet():
        return rasterio.open(address, **options)


@contextmanager
def opening(path: str | Path) -> Iterator[None]:
    """Context with GDAL's settings for opening a scene; translates its errors."""
    web_mercator()  # first: without PROJ, GDAL silently finds no CRS
    with gdal_env(path), _scene_errors("open", path, UNREACHED if is_remote(path) else DAMAGED):
        yield


@contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Context with GDAL's settings for reading a scene's pixels; translates its errors."""
    with gdal_env(path), _scene_errors("read", path, GONE if is_remote(path) else DAMAGED):
        yield


def overview_factors(dataset: DatasetReader, band: int = 1) -> list[int]:
    """How much smaller each overview of a band is, at least 1: in a broken file an overview may be larger."""
    try:
        return [max(1, factor) for factor in dataset.overviews(band)]
    except ZeroDivisionError:  # a VRT names an overview that is not there
        return []


def retry(path: str | Path, call: Callable[[], _T]) -> _T:
    """Calls a function, and once more if a remote scene failed.

    GDAL repeats requests that are refused, but not those whose answer breaks off, and it remembers what it got
    of them; so its cache of the path is cleared in between. `call` opens the scene again.
    """
    try:
        return call()
    except SceneError:
        if not is_remote(path):
            raise
    with opening(path), rasterio.Env(**FORGET):  # forgotten when it closes; says why if the server is gone
        rasterio.open(gdal_path(path)).close()
    return call()


@contextmanager
def _scene_errors(act: str, path: str | Path, otherwise: str) -> Iterator[None]:
    """Turns GDAL's errors into a `SceneError`, by their cause."""
    try:
        yield
    except Geo2MapError:
        raise
    except (*GDAL_ERRORS, OSError, ValueError) as error:
        advice, shown = advise(path, error, otherwise), redact(path)
        said = f": {_said(error)}" if advice in GENERAL else ""
        raise SceneError(f"cannot {act} {shown}{said}{';' if said else ':'} {advice}") from error


@contextmanager
def wrap_gdal(fault: str, kind: type[Exception], advice: str) -> Iterator[None]:
    """Turns GDAL's errors into one sentence: the fault, GDAL's message and what to do."""
    try:
        yield
    except Geo2MapError:
        raise
    except (*GDAL_ERRORS, OSError, ValueError) as error:
        raise kind(f"{fault}: {_said(error)}; {advice}") from error


def _said(error: BaseException) -> str:
    """GDAL's message on one line, without documents, secrets and the details of the failed block."""
    text = re.split("(?: from [`'])?{", redact(str(error.__cause__ or error)))[0]
    text = WAY_DOWN.sub("", " ".join(text.split()))
    return text[:300].rstrip(".!")
