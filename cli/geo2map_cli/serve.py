"""`geo2map serve`: a scene's map, rendered on demand."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from geo2map_cli.gathering import F, GroupedCommand, gather, grouped, requested, serve_kind
from geo2map_cli.options import model_options, plan_options, scene_options
from geo2map_cli.reporting import json_text, report_options, show_notes
from geo2map_cli.storing import storage_options

if TYPE_CHECKING:
    from geo2map.api.serving import ServeRequest
    from geo2map.live import LiveOptions
    from geo2map.live.run import Addresses


def listening_options(port: int) -> Callable[[F], F]:
    """--host, --port, --token and --address."""

    def added(function: F) -> F:
        return grouped(
            "Server",
            click.option(
                "--host",
                default="127.0.0.1",
                show_default=True,
                help="Address to listen on; other addresses expose the server.",
            ),
            click.option(
                "--port", type=click.IntRange(0, 65535), default=port, show_default=True, help="0 takes a free port."
            ),
            click.option("--token", help="Word of 16 characters or more that every request must carry."),
            click.option("--address", metavar="URL", help="Public URL, e.g. behind nginx."),
        )(function)

    return added


def announce(addresses: Addresses, as_json: bool) -> None:
    """Prints the addresses of a server that is ready."""
    if addresses.warning:
        click.echo(addresses.warning, err=True)
    click.echo(json_text(addresses.to_dict()) if as_json else str(addresses))


def _live(queue: int, cache: int) -> LiveOptions:
    from geo2map.live import LiveOptions

    return LiveOptions(queue=queue, cache=cache)


@click.command("serve", cls=GroupedCommand)
@report_options
@click.argument("scenes", nargs=-1, required=True, type=click.Path())
@listening_options(8000)
@click.option(
    "--keep", "out", type=click.Path(), metavar="OUT", help="Store rendered blocks; render to OUT completes it."
)
@click.option("--under", type=click.Path(), metavar="TILES", help="Finished tiles, or a .tif, for lower zooms.")
@gather(
    "live",
    _live,
    "Server",
    click.option("--queue", type=click.IntRange(1), default=64, show_default=True, help="Blocks that may wait."),
    click.option("--cache", type=click.IntRange(1), default=256, show_default=True, help="MiB of tiles in memory."),
)
@model_options
@scene_options
@plan_options
@storage_options
@requested(serve_kind)
def command(request: ServeRequest, host: str, port: int, as_json: bool) -> None:
    """Serve the map of SCENES, as one, to QGIS and browsers: tiles are rendered on demand.

    The three zooms below the model's are rendered on demand, too. Needs: pip install -c constraints.txt -e ".[serve]"

    \b
    geo2map serve scene.tif                    then open what it prints
    geo2map serve scene.tif --keep tiles/      and later: geo2map render scene.tif --out tiles/
    """
    from geo2map.api.serving import listen, serve_request

    listening = listen(host=host, port=port, ready=lambda addresses: announce(addresses, as_json))
    serve_request(request, listening=listening, begin=lambda _, notes: show_notes(notes))
