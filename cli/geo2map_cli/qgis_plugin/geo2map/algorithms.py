"""The algorithms: each puts one command together, runs it, and loads the result."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProviderRegistry,
)

from .running import CommandCancelledError, CommandFailedError, run

MATCHES = ("auto", "model", "none")
MAIN_STAGE, MAIN_SHARE = "blocks", 90.0
"""What takes longest, and its part of the progress in percent."""
ORDER = ("coverage", "water", "parks", "buildings", "road_areas", "roads")
"""Layers of features from the lowest to the highest."""


class CommandAlgorithm(QgsProcessingAlgorithm):
    """One command of geo2map; subclasses name it.

    Attributes:
        command: the command, which is also the algorithm's name.
        title, help_text: what Processing shows.
        progresses: whether the command tells how far it is.
    """

    command = ""
    title = ""
    help_text = ""
    progresses = True

    def name(self) -> str:
        return self.command

    def displayName(self) -> str:
        return self.title

    def shortHelpString(self) -> str:
        return f"{self.help_text}\n\nA neural network's map is a guess: do not navigate by it."

    def helpUrl(self) -> str:
        return "https://github.com/geo2map/geo2map#readme"

    def createInstance(self) -> CommandAlgorithm:
        return type(self)()

    def initAlgorithm(self, configuration: Mapping[str, Any] | None = None) -> None:
        del configuration
        self.addParameter(QgsProcessingParameterRasterLayer("INPUT", "Scene: imagery with a CRS"))
        self.addParameter(
            QgsProcessingParameterString("MODEL", "Model: a packaged one's name, or a file", defaultValue="sat2map")
        )
        self.addParameter(QgsProcessingParameterExtent("AREA", "Area (all, if empty)", optional=True))
        self.addParameter(
            QgsProcessingParameterNumber(
                "ZOOM", "Zoom (the model's, if empty)", optional=True, minValue=0, maxValue=24, defaultValue=None
            )
        )
        self.addParameter(
            QgsProcessingParameterEnum(
                "MATCH", "Match the scene's colours to the model's", list(MATCHES), defaultValue=0
            )
        )
        self.addParameter(self.destination())

    def destination(self) -> Any:
        """The parameter OUTPUT."""
        raise NotImplementedError

    def processAlgorithm(
        self, parameters: Mapping[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        is_file = isinstance(self.parameterDefinition("OUTPUT"), QgsProcessingParameterFileDestination)
        path_of = self.parameterAsFileOutput if is_file else self.parameterAsOutputLayer
        out = path_of(parameters, "OUTPUT", context)
        words = self.arguments(parameters, context, out)
        feedback.pushCommandInfo(" ".join(["geo2map", *words]))

        def advanced(stage: str, share: float) -> None:
            main = stage == MAIN_STAGE
            feedback.setProgressText(stage)
            feedback.setProgress(MAIN_SHARE * share if main else MAIN_SHARE + (100 - MAIN_SHARE) * share)

        try:
            run(words, out, feedback.pushInfo, advanced, feedback.isCanceled)
        except CommandCancelledError:
            return {}
        except CommandFailedError as error:
            raise QgsProcessingException(str(error)) from error
        self.load(out, context)
        return {"OUTPUT": out}

    def arguments(self, parameters: Mapping[str, Any], context: QgsProcessingContext, out: str) -> list[str]:
        """The words of the command."""
        layer = self.parameterAsRasterLayer(parameters, "INPUT", context)
        if layer is None or layer.providerType() != "gdal":
            raise QgsProcessingException("INPUT: not a raster file; choose a layer that GDAL opened")
        words = [self.command_word(), layer.source(), "--out", out, "--overwrite"]
        words += ["--progress", "json"] if self.progresses else []
        words += ["--model", self.parameterAsString(parameters, "MODEL", context)]
        words += ["--match", MATCHES[self.parameterAsEnum(parameters, "MATCH", context)]]
        degrees = QgsCoordinateReferenceSystem("EPSG:4326")
        box = self.parameterAsExtent(parameters, "AREA", context, degrees)
        if not box.isNull() and not box.isEmpty():
            bounds = (box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum())
            words.append(f"--bounds={','.join(f'{value:.9f}' for value in bounds)}")
        if parameters.get("ZOOM") is not None:
            words += ["--zoom", str(self.parameterAsInt(parameters, "ZOOM", context))]
        return words

    def command_word(self) -> str:
        """The command of geo2map."""
        return self.command

    def load(self, out: str, context: QgsProcessingContext) -> None:
        """Loads what Processing does not load itself."""


class RenderAlgorithm(CommandAlgorithm):
    """`geo2map:render`: imagery to a map."""

    command = "render"
    title = "Render a map"
    help_text = "Translates imagery into a seamless map: a GeoTIFF with overviews and transparency, or an MBTiles file."

    def destination(self) -> Any:
        return QgsProcessingParameterRasterDestination("OUTPUT", "Map")


class PreviewAlgorithm(CommandAlgorithm):
    """`geo2map:preview`: the middle of the imagery beside its map."""

    command = "preview"
    title = "Preview a map"
    help_text = "Translates a few blocks in the middle of the imagery, and writes both side by side into a PNG."
    progresses = False

    def destination(self) -> Any:
        return QgsProcessingParameterFileDestination("OUTPUT", "Picture", "PNG (*.png)")


class VectorsAlgorithm(CommandAlgorithm):
    """`geo2map:vectors`: imagery to roads, buildings, water and parks."""

    command = "vectors"
    title = "Extract roads, buildings, water and parks"
    help_text = "Translates imagery, and reads the features out of the result: a GeoPackage with a styled layer each."

    def command_word(self) -> str:
        return "render"

    def destination(self) -> Any:
        return QgsProcessingParameterFileDestination("OUTPUT", "Features", "GeoPackage (*.gpkg)")

    def load(self, out: str, context: QgsProcessingContext) -> None:
        if context.project() is None:  # qgis_process without a project
            return
        for layer in QgsProviderRegistry.instance().querySublayers(out):
            if layer.name() == "layer_styles":
                continue
            details = QgsProcessingContext.LayerDetails(layer.name(), context.project(), layer.name())
            details.groupName = Path(out).stem  # QGIS 3.32 and later
            details.layerSortKey = ORDER.index(layer.name()) if layer.name() in ORDER else len(ORDER)
            styler = _Styler()
            _STYLERS.append(styler)
            details.setPostProcessor(styler)
            context.addLayerToLoadOnCompletion(layer.uri(), details)


class _Styler(QgsProcessingLayerPostProcessorInterface):
    """Gives a layer the style that its GeoPackage holds; Processing opens layers without."""

    def postProcessLayer(self, layer: Any, context: Any, feedback: Any) -> None:
        del context, feedback
        layer.loadDefaultStyle()
        layer.triggerRepaint()


_STYLERS: list[_Styler] = []
"""One a layer, which 3.22 deletes with the layer's details; Python must keep them until then."""
