"""`geo2map render` beyond one process: a share of a planned job, a Dask cluster, a bucket."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from geo2map_cli.gathering import expert_option, gather
from geo2map_cli.progress import open_progress
from geo2map_cli.reporting import conclude, json_text, show

if TYPE_CHECKING:
    from geo2map.api.batch import Renderer
    from geo2map.api.requests import RenderRequest
    from geo2map.pipeline.report import Report


def _parse_share(_: click.Context, __: click.Parameter, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    if not (found := re.fullmatch(r"(\d+)/(\d+)", value)) or not 1 <= int(found[1]) <= int(found[2]):
        raise click.BadParameter(f"{value!r} is not a share of the shards: give e.g. 17/512, the 17th of 512.")
    return int(found[1]), int(found[2])


@dataclass(frozen=True)
class RemoteOptions:
    """Values of --job, --shard and --dask."""

    job: str | None
    shard: tuple[int, int] | None
    dask: str | None


remote_options = gather(
    "remote",
    RemoteOptions,
    "Machine",
    expert_option(
        "--job", type=click.Path(), help="Render this job, see geo2map plan: a share of it, or all with --dask."
    ),
    expert_option("--shard", callback=_parse_share, metavar="K/N", help="With --job: the K-th of N shares."),
    expert_option("--dask", metavar="ADDRESS|local:N", help="Render on a Dask cluster, or in N processes here."),
)
"""The command gets `remote`, a `RemoteOptions`."""


def names_bucket(out: str) -> bool:
    """Whether an output's address is in a bucket; loads nothing before it is asked."""
    from geo2map.buckets.objects import is_bucket

    return is_bucket(out)


def renderer(cluster: str | None) -> Renderer:
    """What carries out a request: this process, or a Dask cluster."""
    if cluster is None:
        from geo2map.api.rendering import render_request

        return render_request
    from geo2map.cluster.dask import dispatch_request

    return partial(dispatch_request, cluster=cluster)


def run_remotely(remote: RemoteOptions, request: RenderRequest, as_json: bool, *, each: bool, alone: bool) -> bool:
    """Carries out what belongs to a cluster or a bucket; False for an ordinary run, and for scenes one by one.

    Args:
        each: scenes one by one, see `renderer`.
        alone: into something new.
    """
    if remote.job is not None:
        if remote.dask is not None and remote.shard is None:
            _render_job(remote.job, remote.dask, request, as_json)
        else:
            _render_slice(remote.job, remote.shard or (1, 1), request, as_json)
        return True
    if remote.shard is not None:
        raise click.UsageError("--shard is a share of a planned job: give its --job, too.")
    if not request.scenes:
        raise click.UsageError("Missing argument 'SCENES...'.")
    in_bucket = names_bucket(str(request.out))
    if remote.dask is None and not in_bucket:
        return False
    if not alone:
        raise click.UsageError("--dask and buckets make something new: leave out --update and --dry-run.")
    if each and in_bucket:
        raise click.UsageError("--each writes to a local folder: copy it to the bucket, or leave out --each.")
    if each:
        return False
    if in_bucket:
        _render_to_bucket(request, remote.dask, as_json)
    elif remote.dask is not None:
        with open_progress() as bar:
            report = renderer(remote.dask)(request, progress=bar, begin=bar.begin)
        conclude(report, str(request.out), as_json)
    return True


def _render_slice(job: str, share: tuple[int, int], request: RenderRequest, as_json: bool) -> None:
    """Renders a share of a job into a folder of parts."""
    _require_alone({"job", "shard", "out"})
    from geo2map.cluster import JobFile, render_slice

    with open_progress() as bar:
        records = list(render_slice(JobFile.read(job), *share, str(request.out), bar))
    tiles = sum(record.tiles for record in records)
    if as_json:
        click.echo(json_text([record.__dict__ for record in records]))
    else:
        shards = "shard" if len(records) == 1 else "shards"
        seconds = sum(record.seconds for record in records)
        click.echo(f"{request.out}: {len(records)} {shards}, {tiles} tiles, {seconds:.1f} s")


def _require_alone(allowed: set[str]) -> None:
    """
    Raises:
        UsageError: an option that the job has fixed.
    """
    context = click.get_current_context()
    given = {name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    if context.params["scenes"] or (given := given - allowed - {"as_json", "verbose", "log_file"}):
        other = "SCENES" if context.params["scenes"] else f"--{min(given).replace('_', '-')}"
        raise click.UsageError(f"--job has its scenes and options: leave out {other}.")


def _render_job(job: str, cluster: str, request: RenderRequest, as_json: bool) -> None:
    """Renders all of a planned job on a Dask cluster."""
    _require_alone({"job", "dask", "out", "overwrite", "resume", "tmp"})
    from geo2map.cluster.dask import render_job

    out = str(request.out)
    with open_progress() as bar:
        report = render_job(job, out, client=cluster, options=request.output, progress=bar, begin=bar.begin)
    conclude(report, out, as_json)


def _render_to_bucket(request: RenderRequest, cluster: str | None, as_json: bool) -> None:
    """Renders scenes as one, here or on a Dask cluster, into a bucket."""
    from geo2map.cluster.sending import send_request

    with open_progress() as bar:
        report = send_request(request, cluster=cluster, progress=bar, begin=bar.begin)
    show_sent(report, as_json)


def show_sent(report: Report, as_json: bool) -> None:
    """Prints the report of an output in a bucket, and advice on the bucket's settings."""
    from geo2map.buckets.objects import ADVICE

    show(report, as_json)
    click.echo(ADVICE, err=True)
