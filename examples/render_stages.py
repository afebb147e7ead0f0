"""Every stage in your hands: plan, look, run. Draws its own scene, so it runs anywhere.

python examples/render_stages.py OUT_FOLDER
"""

import sys
from pathlib import Path

import geo2map as g2m

out = Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
g2m.make_town(out / "town.tif", size=700, seed=5)

engine = g2m.load_engine("sat2map", device="cpu")
with g2m.open_scene(out / "town.tif") as scene:
    plan = g2m.make_plan(scene, engine.card, g2m.PlanOptions(block_span=2))
    print(plan)
    block = next(iter(plan.blocks()))
    image = g2m.preview(scene, engine, g2m.Tile(block.x, block.y, block.z))
    print("one tile:", image.shape, image.dtype)
    with scene.at(plan.maxzoom, plan.rendition) as source:
        report = g2m.run(plan, source, engine, g2m.open_sink(out / "map.tif", g2m.tile_set(plan)))
print(report)
