"""`geo2map view`: finished tiles in a browser."""

from __future__ import annotations

import click

from geo2map_cli.gathering import GroupedCommand
from geo2map_cli.reporting import report_options
from geo2map_cli.serve import announce, listening_options


@click.command("view", cls=GroupedCommand)
@report_options
@click.argument("path", type=click.Path())
@listening_options(0)
@click.option("--browser/--no-browser", default=True, show_default=True, help="Open the page in a browser.")
def command(
    path: str, host: str, port: int, token: str | None, address: str | None, browser: bool, as_json: bool
) -> None:
    """Serve PATH, finished tiles of pictures or features or a GeoPackage, and open it in a browser.

    Needs: pip install -c constraints.txt -e ".[serve]"

    \b
    geo2map view tiles/
    geo2map view map.pmtiles --no-browser
    geo2map view map.tif
    geo2map view town.gpkg
    """
    from geo2map.api.serving import listen, view

    listening = listen(host=host, port=port, browser=browser, ready=lambda addresses: announce(addresses, as_json))
    view(path, listening=listening, token=token, address=address)
