"""Values of options that are lists of numbers."""

from __future__ import annotations

from typing import TypeAlias

import click

LngLat: TypeAlias = tuple[float, float, float, float]
"""West, south, east, north in degrees."""


def parse_indexes(_: click.Context, __: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    if value is None:
        return None
    try:
        indexes = tuple(int(part) for part in value.split(","))
    except ValueError:
        indexes = ()
    if len(indexes) not in (1, 3):
        raise click.BadParameter(f"{value!r} is neither one band nor three: give e.g. 3,2,1.")
    return indexes


def parse_bounds(_: click.Context, __: click.Parameter, value: str | None) -> LngLat | None:
    if value is None:
        return None
    try:
        west, south, east, north = (float(part) for part in value.split(","))
    except ValueError:
        raise click.BadParameter(f"{value!r} is not west,south,east,north: four numbers in degrees.") from None
    return west, south, east, north


def parse_zooms(_: click.Context, __: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """14 or 10-14."""
    if value is None:
        return None
    first, _dash, last = value.partition("-")
    try:
        return int(first), int(last or first)
    except ValueError:
        raise click.BadParameter(f"{value!r} is neither a zoom nor two: give e.g. 14 or 10-14.") from None
