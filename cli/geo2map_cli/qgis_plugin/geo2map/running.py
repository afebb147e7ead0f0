"""Runs the installed `geo2map` in another process; knows nothing of QGIS."""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess  # fixed arguments, no shell  # nosec B404
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

COMMAND = Path(__file__).parent / "command.json"
"""The words that start geo2map; written by `geo2map qgis-install`."""
FOREIGN = ("PYTHON", "QGIS", "QT_", "OSGEO4W", "GRASS", "SAGA")
"""Beginnings of the names of variables that QGIS sets for its own Python, Qt and helpers."""
DATA_FOLDERS = frozenset({"PROJ_LIB", "PROJ_DATA", "GDAL_DATA", "GDAL_DRIVER_PATH", "GISBASE", "VSI_CACHE"})
"""Variables that lead PROJ and GDAL to files of QGIS's versions."""
POLL_SECONDS = 0.1
"""Seconds between two looks at whether the user has cancelled."""
GRACE_SECONDS = 60.0
"""Seconds that a cancelled process has to finish the block in hand."""


class CommandFailedError(Exception):
    """geo2map refused or failed; the message is its own sentence."""


class CommandCancelledError(Exception):
    """The user cancelled; nothing is left of the output."""


def find_command() -> list[str]:
    """The words that start geo2map.

    Raises:
        CommandFailedError: it is not installed where this plugin can find it.
    """
    if COMMAND.is_file():
        words: list[str] = json.loads(COMMAND.read_text(encoding="utf-8"))
        if Path(words[0]).is_file():
            return words
    found = shutil.which("geo2map")
    if found is None:
        raise CommandFailedError(
            'geo2map: not found; install it in a Python of its own, and run "geo2map qgis-install" there'
        )
    return [found]


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables for a process that has its own Python, PROJ and GDAL; those of QGIS left out."""
    kept = {
        name: value
        for name, value in environment.items()
        if not name.upper().startswith(FOREIGN) and name.upper() not in DATA_FOLDERS
    }
    for name in kept:
        if name.upper() == "PATH":
            places = kept[name].split(os.pathsep)
            kept[name] = os.pathsep.join(place for place in places if not _is_of_qgis(place))
    return kept


def _is_of_qgis(place: str) -> bool:
    """Whether a folder belongs to QGIS for Windows or macOS: C:/Program Files/QGIS 3.22/bin, C:/OSGeo4W64/bin."""
    return any(part.lower().startswith(("qgis", "osgeo4w")) for part in place.replace("\\", "/").split("/"))


def run(
    arguments: Sequence[str],
    out: str,
    told: Callable[[str], None],
    advanced: Callable[[str, float], None],
    cancelled: Callable[[], bool],
) -> dict[str, Any]:
    """Runs geo2map to its end.

    Args:
        arguments: without the program and without how it reports.
        out: the output; its partial results are deleted when the user cancels.
        told: called with each message.
        advanced: called with a stage and its share that is done, 0 to 1.
        cancelled: whether the user has cancelled.

    Returns:
        The report.

    Raises:
        CommandFailedError: it did not succeed.
        CommandCancelledError: the user cancelled.
    """
    command = find_command()
    words = [*command, *arguments, "--json"]
    process = _start(words)
    lines: queue.Queue[str | None] = queue.Queue()
    answer: list[str | None] = []
    readers = [_reader(process.stderr, lines.put), _reader(process.stdout, answer.append)]
    last = ""
    while (line := _next(lines, process, cancelled, command, out)) is not None:
        last = _tell(line, told, advanced) or last
    for reader in readers:
        reader.join()
    if process.wait() != 0:
        raise CommandFailedError(last or f"geo2map: ended with {process.returncode}")
    report: dict[str, Any] = json.loads("".join(filter(None, answer)))
    return report


def _start(words: Sequence[str]) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(  # nosec B603
            list(words),
            env=clean_environment(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except OSError as error:
        raise CommandFailedError(
            f'{words[0]}: cannot be started ({error}); run "geo2map qgis-install" again'
        ) from error


def _reader(stream: Any, take: Callable[[str | None], None]) -> threading.Thread:
    """Reads a pipe to its end, so that it is never full; None follows the last line."""

    def read() -> None:
        with stream:
            for line in stream:
                take(line)
        take(None)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread


def _next(
    lines: queue.Queue[str | None],
    process: subprocess.Popen[str],
    cancelled: Callable[[], bool],
    command: Sequence[str],
    out: str,
) -> str | None:
    """The next line; None after the last."""
    while True:
        if cancelled():
            _stop(process, command, out)
            raise CommandCancelledError
        with suppress(queue.Empty):
            return lines.get(timeout=POLL_SECONDS)


def _stop(process: subprocess.Popen[str], command: Sequence[str], out: str) -> None:
    """Ends the process and deletes its partial results."""
    process.terminate()
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    _start([*command, "clean", out]).communicate()


def _tell(line: str, told: Callable[[str], None], advanced: Callable[[str, float], None]) -> str:
    """Passes a line on; returns it if it is a message."""
    text = line.rstrip()
    if text.startswith("{"):
        step = json.loads(text)
        advanced(step["stage"], step["done"] / max(step["total"], 1))
        return ""
    if text:
        told(text)
    return text
