"""A single call: from a scene to a folder of tiles.

python examples/render_scene.py scene.tif tiles/
"""

import sys

import geo2map as g2m

report = g2m.render(sys.argv[1], sys.argv[2], match="auto", overwrite=True)
print(report)
