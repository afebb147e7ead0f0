"""`geo2map serve`: look at a scene's map while it is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from geo2map_cli.options import F, model_options, plan_options, scene_options, stack, storage_options
from geo2map_cli.reporting import json_text, report_options, show_notes

if TYPE_CHECKING:
    from geo2map.live.run import Addresses
    from geo2map.model import ModelOptions


def listening_options(port: int) -> Callable[[F], F]:
    """--host, --port, --token and --address."""

    def added(function: F) -> F:
        return stack(
            click.option(
                "--host", default="127.0.0.1", show_default=True, help="Where to listen; any other lets strangers in."
            ),
            click.option(
                "--port", type=click.IntRange(0, 65535), default=port, show_default=True, help="0 takes a free one."
            ),
            click.option("--token", help="A word of 16 characters or more that every request must bring."),
            click.option("--address", metavar="URL", help="Under which others see it, e.g. behind nginx."),
        )(function)

    return added


def announce(addresses: Addresses, as_json: bool) -> None:
    """Prints where a server can be found, once it can be asked."""
    if addresses.warning:
        click.echo(addresses.warning, err=True)
    click.echo(json_text(addresses.to_dict()) if as_json else str(addresses))


@click.command("serve")
@click.argument("scenes", nargs=-1, required=True, type=click.Path())
@listening_options(8000)
@click.option("--keep", type=click.Path(), metavar="OUT", help="Keep what was looked at; render to OUT completes it.")
@click.option("--under", type=click.Path(), metavar="TILES", help="Finished tiles, or a .tif, for lower zooms.")
@click.option("--queue", type=click.IntRange(1), default=64, show_default=True, help="Blocks that may wait.")
@click.option("--cache", type=click.IntRange(1), default=256, show_default=True, help="MiB of tiles in memory.")
@model_options
@scene_options
@plan_options
@storage_options
@report_options
def command(scenes: tuple[str, ...], host: str, port: int, model: ModelOptions, as_json: bool, **options: Any) -> None:
    """Serve the map of SCENES, as one, to QGIS and browsers: tiles are made where somebody looks.

    Three zooms below the model's are made on demand as well. Needs: pip install -c constraints.txt -e ".[serve]"

    \b
    geo2map serve scene.tif                    then open what it prints
    geo2map serve scene.tif --keep tiles/      and later: geo2map render scene.tif --out tiles/
    """
    from geo2map.api.serving import listen, serve

    serve(
        scenes,
        engine=model,
        listening=listen(host=host, port=port, ready=lambda addresses: announce(addresses, as_json)),
        begin=lambda _, notes: show_notes(notes),
        **options,
    )
