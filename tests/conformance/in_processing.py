"""Runs in the system's Python, with PyQGIS: an algorithm of the plugin, as the toolbox runs it.

Reads from stdin what to run, writes what came of it as the last line of stdout.
"""

import json
import sys

from qgis.core import QgsApplication, QgsProcessingContext, QgsProcessingFeedback, QgsProcessingUtils, QgsProject


class Feedback(QgsProcessingFeedback):
    """Remembers the progress; the user presses Cancel when it reaches a share."""

    def __init__(self, cancel_at):
        super().__init__()
        self.cancel_at, self.seen, self.told = cancel_at, [], []

    def setProgress(self, percent):  # noqa: N802
        self.seen.append(round(percent, 1))
        if self.cancel_at is not None and percent >= self.cancel_at:
            self.cancel()

    def pushInfo(self, text):  # noqa: N802
        self.told.append(text)


def main(asked):
    from geo2map.plugin import Geo2MapPlugin

    plugin, project = Geo2MapPlugin(), QgsProject.instance()
    plugin.initProcessing()
    context, feedback = QgsProcessingContext(), Feedback(asked.get("cancel_at"))
    context.setProject(project)
    algorithm = QgsApplication.processingRegistry().algorithmById(asked["algorithm"])
    results, ok = algorithm.run(asked["parameters"], context, feedback)
    layers = {}
    for place, details in context.layersToLoadOnCompletion().items():
        layer = QgsProcessingUtils.mapLayerFromString(place, context)
        plain = layer.renderer().type()
        details.postProcessor().postProcessLayer(layer, context, feedback)
        items = [item.label() for item in layer.renderer().legendSymbolItems()]
        layers[details.name] = {
            "valid": layer.isValid(),
            "before": plain,
            "after": layer.renderer().type(),
            "classes": items,
        }
    plugin.unload()
    return {"ok": ok, "results": results, "seen": feedback.seen, "told": feedback.told, "layers": layers}


asked = json.load(sys.stdin)
sys.path.insert(0, asked["plugins"])
app = QgsApplication([], False)
app.initQgis()
print(json.dumps(main(asked)), flush=True)
app.exitQgis()
