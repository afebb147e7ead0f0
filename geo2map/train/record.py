"""What a run leaves for people to look at: losses as CSV, sample sheets as PNG."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from geo2map.errors import DataError
from geo2map.files.picture import GAP, side_by_side, write_picture
from geo2map.train.pictures import Picture

COLUMNS = (
    *("step", "epoch", "learning_rate", "seconds"),
    *("l1", "teacher", "commit", "cross_entropy", "jaccard", "gan", "features", "discriminator"),
)


class LossLog:
    """A CSV of the losses of every step; a resumed run takes back the rows of steps that it repeats.

    Args:
        path: of the CSV.
        step: steps done; later rows are dropped.
    """

    def __init__(self, path: Path, step: int) -> None:
        rows: list[dict[str, str]] = []
        try:
            if step and path.exists():
                with path.open(encoding="utf-8", newline="") as file:
                    rows = [row for row in csv.DictReader(file) if _whole(row) and int(row["step"]) <= step]
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("w", encoding="utf-8", newline="")
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: losses cannot be written ({error}); give another run folder") from error
        self._writer = csv.DictWriter(self._file, COLUMNS, extrasaction="ignore", lineterminator="\n")
        self._writer.writeheader()
        self._writer.writerows(rows)

    def write(self, **values: float) -> None:
        """One row; values by column name, missing ones stay empty."""
        self._writer.writerow({name: _figure(value) for name, value in values.items()})

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def _whole(row: dict[str, str]) -> bool:
    """Whether a row was written to its end; a killed run's last may not be."""
    return None not in row and None not in row.values()


def _figure(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6g}"


def write_sample_sheet(path: Path, rows: list[tuple[Picture, Picture, Picture]]) -> None:
    """A PNG of rows real A | fake B | real B, each uint8 (H, W, 3) of one size.

    Raises:
        OutputError: it cannot be written.
    """
    lines = [side_by_side(*row) for row in rows]
    gap = np.full((GAP, lines[0].shape[1], 3), 255, dtype=np.uint8)
    write_picture(np.concatenate([part for line in lines for part in (gap, line)][1:]), path)
