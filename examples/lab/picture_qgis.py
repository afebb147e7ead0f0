"""Takes the pictures of QGIS for the documentation, on a screen of its own (Debian: qgis, python3-qgis, xvfb):

    geo2map demo --size 2048 --out town
    geo2map serve town/town.tif
    xvfb-run -s "-screen 0 1280x800x24" python examples/lab/picture_qgis.py ADDRESS docs/qgis-live.png
    xvfb-run -s "-screen 0 1280x800x24" python examples/lab/picture_qgis.py town/town.gpkg docs/qgis-features.png

where ADDRESS is what `serve` tells for QGIS. QGIS has a fresh profile, adds the layer as it does after "Add", or opens
the file, waits until the map is drawn, and saves the picture of its window.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

INSIDE = """
import os
from qgis.core import QgsCoordinateReferenceSystem, QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtWidgets import QDockWidget
from qgis.utils import iface

ADDRESS = os.environ["GEO2MAP_WMTS"]
SOURCE = ("crs=EPSG:3857&dpiMode=7&format=image/png&layers=layer0&styles=default"
          "&tileMatrixSet=GoogleMapsCompatible&url=" + ADDRESS)

def begin():
    window = iface.mainWindow()
    window.resize(1280, 800)
    for dock in window.findChildren(QDockWidget):
        dock.setVisible(dock.objectName() in ("Layers", "Browser"))
    QgsProject.instance().setCrs(QgsCoordinateReferenceSystem("EPSG:3857"))
    if ADDRESS:
        layer = QgsRasterLayer(SOURCE, "town", "wms")
        QgsProject.instance().addMapLayer(layer)
    extent = layer.extent() if ADDRESS else iface.mapCanvas().fullExtent()
    extent.scale(1.05)
    iface.mapCanvas().setExtent(extent)
    iface.mapCanvas().refresh()
    look()

def look(still=[0]):
    still[0] = 0 if iface.mapCanvas().isDrawing() else still[0] + 1
    if still[0] < 6:
        QTimer.singleShot(500, look)
        return
    iface.mainWindow().grab().save(os.environ["GEO2MAP_PICTURE"])
    os._exit(0)  # no question whether to save the project

QTimer.singleShot(3000, begin)
"""


def take_picture(source: str, picture: Path) -> None:
    """Has QGIS show the first layer of a WMTS by its address, or a file."""
    file = [str(Path(source).resolve())] if Path(source).exists() else []
    with tempfile.TemporaryDirectory() as home:
        script = Path(home) / "inside.py"
        script.write_text(INSIDE, encoding="utf-8")
        given = {"GEO2MAP_WMTS": "" if file else source, "GEO2MAP_PICTURE": str(picture.resolve())}
        given |= {name: word for name, word in os.environ.items() if name in ("DISPLAY", "XAUTHORITY")}
        given |= {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "HOME": home}  # QGIS looks for the system's Python
        command = ["/usr/bin/qgis", "--nologo", "--noversioncheck", "--profiles-path", home, "--code", str(script)]
        subprocess.run([*command, *file], check=True, env=given, timeout=120)
    shown = Image.open(picture).convert("RGB")
    shown.quantize(256, dither=Image.Dither.NONE).save(picture, optimize=True)


if __name__ == "__main__":
    take_picture(sys.argv[1], Path(sys.argv[2]))
