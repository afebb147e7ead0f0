"""Rows as people and programs read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from geo2map.evaluate.run import Row
from geo2map.files.plain_json import plain_json

COLUMNS = {
    "name": ("model", "{}"),
    "place": ("place", "{}"),
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
    "edge_ratio": ("edge ratio", "{:.2f}"),
    "flat_noise": ("flat noise", "{:.2f}"),
    "flat_noise_truth": ("its truth", "{:.2f}"),
    "false_water": ("false water", "{:.1%}"),
    "seam_ratio": ("seam", "{:.3f}"),
    "calibration_error": ("ECE", "{:.3f}"),
    "aurc": ("AURC", "{:.3f}"),
    "aurc_best": ("at best", "{:.3f}"),
    "aurc_control": ("by contrast", "{:.3f}"),
    "accuracy_of_certain_half": ("certain half", "{:.1%}"),
    "fid": ("FID", "{:.1f}"),
    "kid": ("KID x100", "{:.2f}"),
}
VECTOR_COLUMNS = {
    "road_km": ("km", "{:.1f}"),
    "dead_ends_per_km": ("dead ends/km", "{:.2f}"),
    "parts": ("parts", "{:.1f}"),
    "largest_part": ("largest", "{:.3f}"),
    "border_per_length": ("border/length", "{:.2f}"),
    "apls": ("APLS", "{:.3f}"),
    "building_precision": ("buildings right", "{:.1%}"),
    "building_recall": ("buildings found", "{:.1%}"),
    "building_corners": ("corners px", "{:.2f}"),
}
"""Columns of the table of road graphs and buildings."""
REDRAWN = ", vectors"
"""What the name of features adds to that of the model."""
MEAN = "mean of places"
CONFIDENCE = ("calibration_error", "aurc", "aurc_best", "aurc_control", "accuracy_of_certain_half")
OPTIONAL = ("place", "false_water", *CONFIDENCE, "fid", "kid")
"""Left out where no row has them; false water is told where there are places."""


def table(rows: Sequence[Row]) -> str:
    """Aligned Markdown, which is as readable on a terminal: the scores, then IoU by class where there are classes.

    "-" stands where a figure is undefined.
    """
    figures = _with_redrawn(reports(rows))
    abroad = any("place" in each for each in figures)
    for each in figures:
        each |= {"mean_iou": each["class_iou"]["mean"]} | each.get("confidence", {})
        if not abroad:
            del each["false_water"]
    columns = {k: v for k, v in COLUMNS.items() if k not in OPTIONAL or any(k in each for each in figures)}
    tables = [_table(columns, figures)]
    classes = {name: (name, "{:.3f}") for each in figures[:1] for name in each["class_iou"] if name != "mean"}
    second = "place" if abroad else "protocol"
    who: dict[str, tuple[str, str]] = {second: (second, "{}")}
    if classes:
        by_class = [each["class_iou"] | {"name": each["name"], second: each.get(second, "all")} for each in figures]
        tables.append(_table({"name": ("IoU of", "{}")} | who | classes, by_class))
    if networks := [line for each in figures for line in _roads(each)]:
        tables.append(_table({"name": ("roads of", "{}")} | who | VECTOR_COLUMNS, networks))
    return "\n\n".join(tables)


def _with_redrawn(figures: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """After each row with features one of what is drawn of them."""
    found = []
    for each in figures:
        found.append(each)
        if "vectors" in each:
            who: dict[str, Any] = {key: each[key] for key in ("protocol", "place") if key in each}
            found.append({"name": f"{each['name']}{REDRAWN}", **who, **each["vectors"]["redrawn"]})
    return found


def _roads(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of one model about roads and buildings: the truth, the picture, the features."""
    names = {"truth": "truth", "network": figures["name"], "features": f"{figures['name']}{REDRAWN}"}
    return [figures | figures["vectors"][key] | {"name": name} for key, name in names.items() if "vectors" in figures]


def _table(columns: Mapping[str, tuple[str, str]], figures: Sequence[dict[str, Any]]) -> str:
    lines = [[title for title, _ in columns.values()]]
    lines += [[_cell(each.get(key), form) for key, (_, form) in columns.items()] for each in figures]
    return _aligned(lines)


def _cell(value: object, form: str) -> str:
    return "-" if value is None else form.format(value)


def _aligned(lines: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) + " |" for line in lines]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)


def to_json(rows: Sequence[Row]) -> str:
    """The rows as a JSON array, every figure unrounded."""
    return plain_json(reports(rows), indent=2)


def reports(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """What each row reports; after the places of a model the mean over them, each place counting alike."""
    found: list[dict[str, Any]] = []
    for name, group in groupby(rows, key=lambda row: row.name):
        own = [row.report() for row in group]
        found += own
        if sum("place" in each for each in own) > 1:
            found.append({"name": name, "protocol": own[0]["protocol"], "place": MEAN, **_mean(own)})
    return found


def _mean(figures: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The mean of each figure over those that have it, in nested mappings too; what is no number is left out."""
    found: dict[str, Any] = {}
    for key in dict.fromkeys(key for each in figures for key in each):
        values = [each[key] for each in figures if each.get(key) is not None]
        if values and all(isinstance(value, dict) for value in values):
            found[key] = _mean(values)
        elif all(isinstance(value, int | float) for value in values):
            found[key] = sum(values) / len(values) if values else None
    return found | ({"pictures": sum(each["pictures"] for each in figures)} if "pictures" in found else {})
