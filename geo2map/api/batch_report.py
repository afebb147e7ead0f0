"""What became of each scene of a batch, as a table beside the outputs."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from geo2map.errors import OutputError
from geo2map.files.atomic import output_errors, write_whole
from geo2map.pipeline.report import Report
from geo2map.types import PathLike

BATCH_REPORT = "report.csv"
_COLUMNS = ("scene", "state", "output", "minzoom", "maxzoom", "west", "south", "east", "north", "layers", "error")


def check_batch_report(folder: PathLike) -> None:
    """Refuses to replace a file of somebody else's.

    Raises:
        OutputError: the folder has a report.csv that no batch wrote.
    """
    path = Path(folder) / BATCH_REPORT
    with output_errors(path):
        if path.exists() and path.read_bytes()[: len(_header())] != _header():
            raise OutputError(f"{path}: not a report of geo2map; rename it, or choose another folder", option="out")


def write_batch_report(folder: PathLike, reports: Sequence[Report]) -> Path:
    """Writes a line for each scene of a batch; the same outcome has the same bytes, and is not written again.

    Args:
        folder: the outputs are in it.
        reports: of the scenes that were rendered, were complete, or failed.

    Returns:
        The path of the CSV file: UTF-8, one header, bounds in degrees, layers separated by spaces; states as in
        `Report.state`.

    Raises:
        OutputError: it cannot be written.
    """
    path = Path(folder) / BATCH_REPORT
    text = io.StringIO(newline="")
    lines = csv.writer(text, lineterminator="\n")
    lines.writerows([_COLUMNS, *map(_row, reports)])
    data = text.getvalue().encode()
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_bytes() != data:
            write_whole(path, data)
    return path


def _header() -> bytes:
    return f"{','.join(_COLUMNS)}\n".encode()


def _row(report: Report) -> list[object]:
    if report.error is not None:
        return [report.name, report.state, *[""] * (len(_COLUMNS) - 3), report.error]
    assert report.bounds is not None, "a report of a job has bounds"
    bounds = [f"{degrees:.7f}" for degrees in report.bounds]
    return [
        report.name,
        report.state,
        Path(report.path).name,
        report.minzoom,
        report.maxzoom,
        *bounds,
        " ".join(report.layers),
        "",
    ]
