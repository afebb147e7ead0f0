"""geo2map for QGIS: a Processing provider that runs the installed `geo2map`. Standard library and PyQGIS alone."""

from __future__ import annotations

from typing import Any


def classFactory(_: Any) -> Any:
    """What QGIS calls to get the plugin."""
    from .plugin import Geo2MapPlugin

    return Geo2MapPlugin()
