"""The provider `geo2map` of Processing."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from .algorithms import PreviewAlgorithm, RenderAlgorithm, VectorsAlgorithm


class Geo2MapProvider(QgsProcessingProvider):
    """Lists the algorithms and the kinds of files that they write."""

    def id(self) -> str:
        return "geo2map"

    def name(self) -> str:
        return "geo2map"

    def icon(self) -> QIcon:
        return QIcon(str(Path(__file__).parent / "icon.svg"))

    def supportedOutputRasterLayerExtensions(self) -> list[str]:
        return ["tif", "mbtiles"]

    def loadAlgorithms(self) -> None:
        for algorithm in (RenderAlgorithm, PreviewAlgorithm, VectorsAlgorithm):
            self.addAlgorithm(algorithm())
