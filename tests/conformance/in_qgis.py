"""Loads layers in QGIS, tells what it says of them, and draws them. Run by the interpreter that has PyQGIS.

    /usr/bin/python3 in_qgis.py < asked.json > told.json

`asked` is {"layers": {name: {"source": ..., "provider": ...}}, "definitions": {name: path of a .qlr},
"pictures": [{"layer", "crs", "bounds", "size", "path"}], "samples": {name: [[longitude, latitude], ...]},
"dragged": {name: {"definition", "crs", "size", "path"}}}. Layers of a definition are called "NAME/0", "NAME/1" ... in
their order from the top. A picture's "layer" may be a list of names, the topmost first. What is dragged is dropped on
the canvas of an empty project of a CRS, and zoomed to.
"""

import json
import sys

from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsExpressionContext,
    QgsExpressionContextUtils,
    QgsLayerDefinition,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsPointXY,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
    QgsVectorTileLayer,
)
from qgis.gui import QgsLayerTreeMapCanvasBridge, QgsMapCanvas
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor


def draw(layer, picture):
    settings = QgsMapSettings()
    settings.setLayers(layer if isinstance(layer, list) else [layer])
    settings.setDestinationCrs(QgsCoordinateReferenceSystem(picture["crs"]))
    settings.setExtent(QgsRectangle(*picture["bounds"]))
    settings.setOutputSize(QSize(*picture["size"]))
    settings.setOutputDpi(96)
    settings.setBackgroundColor(QColor(0, 0, 0, 0))
    context = QgsExpressionContext()
    context.appendScope(QgsExpressionContextUtils.mapSettingsScope(settings))  # as a canvas does
    settings.setExpressionContext(context)
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    assert job.renderedImage().save(picture["path"])


def resolutions(layer):
    """Metres or degrees a pixel of all that a raster has ready, the finest first."""
    provider = layer.dataProvider()
    if layer.providerType() != "gdal":
        return sorted(provider.nativeResolutions())
    finest = layer.rasterUnitsPerPixelX()
    made = [pyramid for pyramid in provider.buildPyramidList() if pyramid.exists]
    return [finest, *(finest * round(provider.xSize() / pyramid.xDim) for pyramid in made)]


def describe(layer):
    box = layer.extent()
    told = {"valid": layer.isValid(), "name": layer.name(), "crs": layer.crs().authid(), "source": layer.source()}
    told["crs_valid"] = layer.crs().isValid()
    told["extent"] = [box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()]
    if isinstance(layer, QgsRasterLayer):
        told["resolutions"] = resolutions(layer)
        classes = getattr(layer.renderer(), "classes", list)()
        told["legend"] = [[entry.value, entry.label, entry.color.name()] for entry in classes]
    elif isinstance(layer, QgsVectorTileLayer):
        styles = layer.renderer().styles()
        told["legend"] = [[each.styleName(), each.layerName(), each.symbol().color().name()] for each in styles]
    else:
        told["renderer"], told["count"] = layer.renderer().type(), layer.featureCount()
        told["legend"] = [[item.label(), item.symbol().color().name()] for item in layer.renderer().categories()]
    return told


def sample(layer, places):
    """Every band's value at places in degrees."""
    there = QgsCoordinateTransform(QgsCoordinateReferenceSystem("EPSG:4326"), layer.crs(), QgsProject.instance())
    provider, points = layer.dataProvider(), [there.transform(QgsPointXY(*place)) for place in places]
    return [[provider.sample(point, band)[0] for band in range(1, layer.bandCount() + 1)] for point in points]


def opened(path):
    """The layers of a definition, and the names of its groups."""
    project = QgsProject.instance()
    project.clear()
    ok, message = QgsLayerDefinition.loadLayerDefinition(path, project, project.layerTreeRoot())
    assert ok, message
    layers = [node.layer().clone() for node in project.layerTreeRoot().findLayers()]
    return layers, [group.name() for group in project.layerTreeRoot().findGroups()]


def drag(asked):
    """The canvas after a definition was dropped on it and "Zoom to Layer" was chosen for its first layer."""
    project, canvas = QgsProject.instance(), QgsMapCanvas()
    project.clear()
    project.setCrs(QgsCoordinateReferenceSystem(asked["crs"]))
    bridge = QgsLayerTreeMapCanvasBridge(project.layerTreeRoot(), canvas)
    bridge.setAutoSetupOnFirstLayer(False)  # which would give the project another CRS
    canvas.setDestinationCrs(project.crs())
    canvas.resize(*asked["size"])
    canvas.show()
    app.processEvents()
    ok, message = QgsLayerDefinition.loadLayerDefinition(asked["definition"], project, project.layerTreeRoot())
    assert ok, message
    bridge.setCanvasLayers()
    layers = [node.layer() for node in project.layerTreeRoot().findLayers()]
    canvas.setExtent(canvas.mapSettings().layerExtentToOutputExtent(layers[0], layers[0].extent()))
    canvas.refresh()
    canvas.waitWhileRendering()
    canvas.saveAsImage(asked["path"])
    box = canvas.extent()
    extent = [box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()]
    size = canvas.mapSettings().outputSize()
    shown = {"extent": extent, "size": [size.width(), size.height()]}
    return shown | {"layers": [describe(layer) for layer in layers]}


def main(asked):
    told, layers = {"groups": {}}, {}
    for name, layer in asked["layers"].items():
        kind = QgsVectorLayer if layer["provider"] == "ogr" else QgsRasterLayer
        layers[name] = kind(layer["source"], name, layer["provider"])
    for name, path in asked.get("definitions", {}).items():
        found, told["groups"][name] = opened(path)
        layers |= {f"{name}/{number}": layer for number, layer in enumerate(found)}
    told["layers"] = {name: describe(layer) for name, layer in layers.items()}
    told["samples"] = {name: sample(layers[name], places) for name, places in asked.get("samples", {}).items()}
    told["dragged"] = {name: drag(each) for name, each in asked.get("dragged", {}).items()}
    for picture in asked["pictures"]:
        named = picture["layer"]
        draw([layers[name] for name in named] if isinstance(named, list) else layers[named], picture)
    return told


app = QgsApplication([], True)  # a canvas is a widget
app.initQgis()
print(json.dumps(main(json.load(sys.stdin))), flush=True)
app.exitQgis()
