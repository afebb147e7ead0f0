"""`geo2map render` on many machines: one share of a planned job, or all of one on a Dask cluster."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from geo2map_cli.options import F, stack
from geo2map_cli.reporting import Bar, finish, show, show_notes

if TYPE_CHECKING:
    from geo2map.model import ModelOptions


def _parse_share(_: click.Context, __: click.Parameter, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    if not (found := re.fullmatch(r"(\d+)/(\d+)", value)) or not 1 <= int(found[1]) <= int(found[2]):
        raise click.BadParameter(f"{value!r} is no share of the shards: give e.g. 17/512, the 17th of 512.")
    return int(found[1]), int(found[2])


def spread_options(function: F) -> F:
    """--job, --shard and --dask."""
    return stack(
        click.option("--job", type=click.Path(), help="Render a share of this job, see geo2map plan; OUT is a folder."),
        click.option("--shard", callback=_parse_share, metavar="K/N", help="With --job: the K-th of N shares."),
        click.option("--dask", metavar="ADDRESS|local:N", help="Render on a Dask cluster, or in N processes here."),
    )(function)


def require_scenes(scenes: tuple[str, ...], shard: tuple[int, int] | None) -> None:
    """Refuses a call with neither scenes nor a job."""
    if shard is not None:
        raise click.UsageError("--shard is a share of a planned job: give its --job, too.")
    if not scenes:
        raise click.UsageError("Missing argument 'SCENES...'.")


def render_slice_of(job: str, shard: tuple[int, int] | None, out: str, scenes: tuple[str, ...], as_json: bool) -> None:
    """Renders a share of a job into a folder of parts."""
    context = click.get_current_context()
    given = {name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    if scenes or (given := given - {"job", "shard", "out", "scenes"}):
        other = "SCENES" if scenes else f"--{min(given).replace('_', '-')}"
        raise click.UsageError(f"--job says what to render and how: leave out {other}.")
    from geo2map.cluster import JobFile, render_slice

    with Bar() as bar:
        records = list(render_slice(JobFile.read(job), *(shard or (1, 1)), out, bar))
    tiles = sum(record.tiles for record in records)
    if as_json:
        click.echo(json.dumps([record.__dict__ for record in records]))
    else:
        click.echo(f"{out}: {len(records)} shards, {tiles} tiles, {sum(r.seconds for r in records):.1f} s")


def render_spread(
    scenes: tuple[str, ...], out: str, dask: str, engine: ModelOptions, options: dict[str, Any], as_json: bool
) -> None:
    """Renders scenes as one on a Dask cluster."""
    from geo2map.cluster.dask import render_on

    with Bar() as bar:
        report = render_on(scenes, out, cluster=dask, model=engine, progress=bar, **options)
    show_notes(report.notes)
    show(report, as_json)
    finish([report])
