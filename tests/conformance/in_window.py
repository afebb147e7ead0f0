"""Runs in QGIS's own window (qgis FILE --code in_window.py): waits until the file is drawn, tells of its layers, and
saves the map as it is on the canvas.

Where to: `GEO2MAP_LAYERS`, a JSON file with the names of the layers, the uppermost first, and `GEO2MAP_CANVAS`, a PNG.
"""

import json
import os
from pathlib import Path

from qgis.core import QgsProject
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtWidgets import QApplication, QDialog, QDialogButtonBox, QPushButton
from qgis.utils import iface


def take_all():
    """Answers the question which layers of the file to add."""
    for dialog in QApplication.topLevelWidgets():
        if isinstance(dialog, QDialog) and dialog.isVisible():
            for button in dialog.findChildren(QPushButton):
                if "Select All" in button.text():
                    button.click()
            for box in dialog.findChildren(QDialogButtonBox):
                if box.button(QDialogButtonBox.Ok):
                    box.button(QDialogButtonBox.Ok).click()


def look(still=0):
    """Waits until nothing was drawn for a while; then saves the canvas."""
    layers = QgsProject.instance().layerTreeRoot().layerOrder()
    canvas = iface.mapCanvas()
    still = 0 if canvas.isDrawing() or not layers else still + 1
    if still == 1:
        canvas.zoomToFullExtent()
    if still < 6:
        take_all()
        QTimer.singleShot(500, lambda: look(still))
        return
    Path(os.environ["GEO2MAP_LAYERS"]).write_text(json.dumps([layer.name() for layer in layers]), encoding="utf-8")
    canvas.saveAsImage(os.environ["GEO2MAP_CANVAS"])
    os._exit(0)  # no question whether to save the project


QTimer.singleShot(3000, look)
