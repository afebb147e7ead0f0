"""Rows as people and programs read them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from geo2map.evaluate.run import Row

COLUMNS = {
    "name": ("model", "{}"),
    "protocol": ("protocol", "{}"),
    "pictures": ("pictures", "{}"),
    "rmse": ("RMSE", "{:.2f}"),
    "rmse_sum": ("RMSE sum", "{:.2f}"),
    "psnr": ("PSNR dB", "{:.2f}"),
    "ssim": ("SSIM", "{:.3f}"),
    "acc5": ("ACC<5", "{:.1%}"),
    "acc10": ("ACC<10", "{:.1%}"),
    "mean_iou": ("mean IoU", "{:.3f}"),
    "road_f1": ("road F1", "{:.3f}"),
    "seam_ratio": ("seam", "{:.3f}"),
    "fid": ("FID", "{:.1f}"),
    "kid": ("KID x100", "{:.2f}"),
}
OPTIONAL = ("fid", "kid")
"""Left out where no row has them."""


def table(rows: Sequence[Row]) -> str:
    """Aligned Markdown, which is as readable on a terminal: the scores, then IoU by class where there are classes.

    "-" stands where a figure is undefined.
    """
    figures = [row.report() for row in rows]
    for each in figures:
        each |= {"mean_iou": each["class_iou"]["mean"]}
    columns = {k: v for k, v in COLUMNS.items() if k not in OPTIONAL or any(k in each for each in figures)}
    lines = [[title for title, _ in columns.values()]]
    lines += [[_cell(each.get(key), form) for key, (_, form) in columns.items()] for each in figures]
    classes = [name for name in figures[0]["class_iou"] if name != "mean"] if figures else []
    if not classes:
        return _aligned(lines)
    by_class = [["IoU of", "protocol", *classes]]
    by_class += [
        [each["name"], each["protocol"], *(_cell(each["class_iou"].get(name), "{:.3f}") for name in classes)]
        for each in figures
    ]
    return f"{_aligned(lines)}\n\n{_aligned(by_class)}"


def _cell(value: object, form: str) -> str:
    return "-" if value is None else form.format(value)


def _aligned(lines: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) + " |" for line in lines]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)


def to_json(rows: Sequence[Row]) -> str:
    """The rows as a JSON array, every figure unrounded."""
    return json.dumps([row.report() for row in rows], indent=2, allow_nan=False)
