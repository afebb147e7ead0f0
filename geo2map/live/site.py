"""A site: its layers and their documents."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from geo2map.errors import PlanError
from geo2map.formats.documents.shown_styles import LegendEntries
from geo2map.formats.documents.sidecars import legend_of
from geo2map.live.layers import TileLayer
from geo2map.live.livemap import LiveMap
from geo2map.live.tally import Tally
from geo2map.tiles.layer import MAP
from geo2map.tiles.tilejson import TileSet

_TOKEN = re.compile(r"[A-Za-z0-9._~-]{16,200}")
_ADDRESS = re.compile(r"https?://[^\s?#\"'<>{}]+")


@dataclass(frozen=True, kw_only=True)
class ServedSite:
    """What a server serves, and to whom.

    Attributes:
        map: the map's layer.
        further: other layers by name, the imagery among them.
        live: the live map behind them, None where the tiles are stored.
        archive: a .pmtiles file that is served by byte ranges, if any.
        token: a word that every request must carry, None grants access to everyone.
        address: the server's public URL, None takes it from each request.
        tally: counts answers.

    Raises:
        PlanError: a malformed token or address.
    """

    map: TileLayer
    further: Mapping[str, TileLayer] = field(default_factory=dict)
    live: LiveMap | None = None
    archive: Path | None = None
    token: str | None = None
    address: str | None = None
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        check_entrance(self.token, self.address)

    @classmethod
    def of(cls, live: LiveMap, *, token: str | None = None, address: str | None = None) -> Self:
        """The site of a live map."""
        further = {name: layer for name, layer in live.layers.items() if name != MAP}
        return cls(map=live.map, further=further, live=live, token=token, address=address, tally=live.tally)

    @property
    def layers(self) -> dict[str, TileLayer]:
        """The layers by the folder of their tiles, the topmost first."""
        return {"": self.map} | {f"{name}/": layer for name, layer in self.further.items()}

    @property
    def pictures(self) -> dict[str, TileLayer]:
        """The layers whose tiles are pictures, by the folder of their tiles."""
        return {folder: layer for folder, layer in self.layers.items() if layer.tileset.format != "mvt"}

    @property
    def is_vector(self) -> bool:
        """Whether the map's tiles hold features."""
        return self.map.tileset.format == "mvt"

    @property
    def legend(self) -> LegendEntries:
        """Classes and colours of the map."""
        return legend_of(self.map.tileset)

    def title(self, folder: str) -> str:
        """A layer's title."""
        tileset: TileSet = self.layers[folder].tileset
        if not folder:
            return tileset.name
        return f"{tileset.name} ({'imagery' if tileset.is_imagery else folder.rstrip('/')})"


def check_entrance(token: str | None, address: str | None) -> None:
    """
    Raises:
        PlanError: a malformed token or address.
    """
    if token is not None and not _TOKEN.fullmatch(token):
        raise PlanError(
            "the token is malformed: give 16 to 200 letters, digits, dots, dashes and underscores",
            option="token",
            usage=True,
        )
    if address is not None and not _ADDRESS.fullmatch(address):
        raise PlanError(
            f"{address}: not a URL; give one such as https://maps.example/town", option="address", usage=True
        )
