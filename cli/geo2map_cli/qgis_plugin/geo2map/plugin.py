"""The plugin: adds the provider to Processing, in QGIS and in `qgis_process`."""

from __future__ import annotations

from qgis.core import QgsApplication

from .provider import Geo2MapProvider


class Geo2MapPlugin:
    """Has no window of its own."""

    def __init__(self) -> None:
        self.provider: Geo2MapProvider | None = None

    def initProcessing(self) -> None:
        """Called by `qgis_process`, which has no window."""
        self.provider = Geo2MapProvider()
        QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self) -> None:
        """Called by QGIS."""
        self.initProcessing()

    def unload(self) -> None:
        """Called when the plugin is disabled."""
        if self.provider is not None:
            QgsApplication.processingRegistry().removeProvider(self.provider)
            self.provider = None
