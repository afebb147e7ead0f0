"""`geo2map translate`: XYZ tiles in, XYZ tiles out."""

from __future__ import annotations

from typing import Any

import click

from geo2map_cli.options import (
    ENGINE_OPTIONS,
    Bar,
    format_option,
    model_options,
    overwrite_option,
    plan_options,
    report_options,
    show,
    show_notes,
)


@click.command("translate")
@click.argument("tiles", type=click.Path())
@click.option("--out", required=True, type=click.Path(), help="A folder for XYZ tiles, or a .tif.")
@model_options
@plan_options
@format_option
@overwrite_option
@report_options
def command(tiles: str, out: str, overwrite: bool, as_json: bool, **options: Any) -> None:
    """Translate a folder of XYZ TILES at its largest zoom; every block reads its neighbours for context."""
    from geo2map.api import translate_tiles
    from geo2map.engine import load_engine

    engine = load_engine(**{name: options.pop(name) for name in ENGINE_OPTIONS})
    with Bar() as bar:
        report = translate_tiles(tiles, out, engine=engine, overwrite=overwrite, progress=bar, **options)
    show_notes(report.notes)
    show(report, as_json)
