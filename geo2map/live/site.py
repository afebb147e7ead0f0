"""What a server shows: layers, and what it says of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from geo2map.errors import PlanError
from geo2map.live.layers import TileLayer
from geo2map.live.livemap import LiveMap
from geo2map.live.tally import Tally
from geo2map.outputs.qgis import LegendEntries
from geo2map.outputs.sidecars import legend_of
from geo2map.tiles.tilejson import TileSet

_TOKEN = re.compile(r"[A-Za-z0-9._~-]{16,200}")
_ADDRESS = re.compile(r"https?://[^\s?#\"'<>{}]+")


@dataclass(frozen=True, kw_only=True)
class ServedSite:
    """What a server shows and to whom.

    Attributes:
        map: the layer of the map.
        source: the layer of the imagery, None where there is none.
        live: the live map behind them, None where the tiles are stored.
        archive: a .pmtiles file that may be read by byte ranges, None where there is none.
        token: a word that every request must bring, None lets everybody in.
        address: the URL under which others see this server, None takes it from each request.
        tally: counts answers.

    Raises:
        PlanError: a token or address that cannot be one.
    """

    map: TileLayer
    source: TileLayer | None = None
    live: LiveMap | None = None
    archive: Path | None = None
    token: str | None = None
    address: str | None = None
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        check_entrance(self.token, self.address)

    @property
    def layers(self) -> dict[str, TileLayer]:
        """The layers by the folder of their tiles, the topmost first."""
        return {"": self.map} if self.source is None else {"": self.map, "source/": self.source}

    @property
    def legend(self) -> LegendEntries:
        """Classes and colours of the map."""
        return legend_of(self.map.tileset)

    def title(self, folder: str) -> str:
        """What a layer is called."""
        tileset: TileSet = self.layers[folder].tileset
        return f"{tileset.name} (imagery)" if folder else tileset.name


def check_entrance(token: str | None, address: str | None) -> None:
    """
    Raises:
        PlanError: a token or address that cannot be one.
    """
    if token is not None and not _TOKEN.fullmatch(token):
        raise PlanError(
            "this token cannot be one: give 16 to 200 letters, digits, dots, dashes and underscores",
            option="token",
            usage=True,
        )
    if address is not None and not _ADDRESS.fullmatch(address):
        raise PlanError(
            f"{address} is not an address: give one such as https://maps.example/town", option="address", usage=True
        )
