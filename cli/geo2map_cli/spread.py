"""`geo2map render` on many machines: one share of a planned job, or all of one on a Dask cluster."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from geo2map_cli.options import F, stack, tmp_option
from geo2map_cli.reporting import Bar, conclude, json_text, show

if TYPE_CHECKING:
    from geo2map.pipeline.report import Report


def _parse_share(_: click.Context, __: click.Parameter, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    if not (found := re.fullmatch(r"(\d+)/(\d+)", value)) or not 1 <= int(found[1]) <= int(found[2]):
        raise click.BadParameter(f"{value!r} is no share of the shards: give e.g. 17/512, the 17th of 512.")
    return int(found[1]), int(found[2])


@dataclass(frozen=True)
class Spread:
    """What --job, --shard, --dask and --tmp say."""

    job: str | None
    shard: tuple[int, int] | None
    dask: str | None
    tmp: str | None


def spread_options(function: F) -> F:
    """--job, --shard, --dask and --tmp; the command gets them as `spread`."""
    names = ("job", "shard", "dask", "tmp")

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return function(*args, spread=Spread(**{name: kwargs.pop(name) for name in names}), **kwargs)

    return stack(
        click.option(
            "--job", type=click.Path(), help="Render this job, see geo2map plan: a share of it, or all with --dask."
        ),
        click.option("--shard", callback=_parse_share, metavar="K/N", help="With --job: the K-th of N shares."),
        tmp_option,
        click.option("--dask", metavar="ADDRESS|local:N", help="Render on a Dask cluster, or in N processes here."),
    )(wrapped)  # type: ignore[return-value]


def is_away(out: str) -> bool:
    """Whether an output is to lie in a bucket."""
    from geo2map.cluster.buckets import is_bucket

    return is_bucket(out)


def render_elsewhere(
    spread: Spread, scenes: tuple[str, ...], out: str, options: dict[str, Any], as_json: bool, alone: bool
) -> bool:
    """Does what belongs to many machines or to a bucket; False where it is an ordinary run.

    Args:
        alone: all scenes as one, into something new.
    """
    if spread.job is not None and spread.dask is not None and spread.shard is None:
        _render_job(spread, scenes, out, options, as_json)
        return True
    if spread.job is not None:
        _render_slice(spread.job, spread.shard, out, scenes, as_json)
        return True
    if spread.shard is not None:
        raise click.UsageError("--shard is a share of a planned job: give its --job, too.")
    if not scenes:
        raise click.UsageError("Missing argument 'SCENES...'.")
    if spread.dask is None and not is_away(out):
        return False
    if not alone:
        raise click.UsageError("--dask and buckets take scenes as one: leave out --each, --update and --dry-run.")
    if is_away(out):
        _render_away(spread, scenes, out, options, as_json)
    else:
        _render_spread(spread, scenes, out, options, as_json)
    return True


def _render_slice(job: str, shard: tuple[int, int] | None, out: str, scenes: tuple[str, ...], as_json: bool) -> None:
    """Renders a share of a job into a folder of parts."""
    _require_alone(scenes, {"job", "shard", "out", "scenes"})
    from geo2map.cluster import JobFile, render_slice

    with Bar() as bar:
        records = list(render_slice(JobFile.read(job), *(shard or (1, 1)), out, bar))
    tiles = sum(record.tiles for record in records)
    if as_json:
        click.echo(json_text([record.__dict__ for record in records]))
    else:
        shards = "shard" if len(records) == 1 else "shards"
        click.echo(f"{out}: {len(records)} {shards}, {tiles} tiles, {sum(r.seconds for r in records):.1f} s")


def _require_alone(scenes: tuple[str, ...], allowed: set[str]) -> None:
    """
    Raises:
        UsageError: something is said that the job says.
    """
    context = click.get_current_context()
    given = {name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    if scenes or (given := given - allowed):
        other = "SCENES" if scenes else f"--{min(given).replace('_', '-')}"
        raise click.UsageError(f"--job says what to render and how: leave out {other}.")


def _render_job(spread: Spread, scenes: tuple[str, ...], out: str, options: dict[str, Any], as_json: bool) -> None:
    """Renders all of a planned job on a Dask cluster."""
    _require_alone(scenes, {"job", "dask", "out", "scenes", "overwrite", "resume", "tmp"})
    from geo2map.cluster.dask import render_job
    from geo2map.outputs import OutputOptions

    assert spread.job is not None
    assert spread.dask is not None
    wanted = OutputOptions(overwrite=options["overwrite"], resume=options["resume"], tmp=spread.tmp)
    with Bar() as bar:
        report = render_job(spread.job, out, client=spread.dask, options=wanted, progress=bar, begin=bar.begin)
    conclude(report, out, as_json)


def _render_spread(spread: Spread, scenes: tuple[str, ...], out: str, options: dict[str, Any], as_json: bool) -> None:
    """Renders scenes as one on a Dask cluster."""
    from geo2map.cluster.dask import render_on

    assert spread.dask is not None
    with Bar() as bar:
        report = render_on(scenes, out, cluster=spread.dask, tmp=spread.tmp, progress=bar, begin=bar.begin, **options)
    conclude(report, out, as_json)


def _render_away(spread: Spread, scenes: tuple[str, ...], out: str, options: dict[str, Any], as_json: bool) -> None:
    """Renders scenes as one, here or on a Dask cluster, into a bucket."""
    from geo2map.cluster.sending import render_to_bucket

    with Bar() as bar:
        report = render_to_bucket(
            scenes, out, cluster=spread.dask, tmp=spread.tmp, progress=bar, begin=bar.begin, **options
        )
    show_sent(report, as_json)


def show_sent(report: Report, as_json: bool) -> None:
    """Says what was sent to a bucket, and what the bucket needs for its readers."""
    from geo2map.cluster.buckets import CORS_ADVICE

    show(report, as_json)
    click.echo(CORS_ADVICE, err=True)
