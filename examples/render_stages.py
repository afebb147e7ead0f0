"""Step by step: preview, plan, run. Draws a town as its scene, so it runs anywhere.

python examples/render_stages.py OUT_FOLDER
"""

import sys
from pathlib import Path

import geo2map as g2m

out = Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
g2m.make_town(out / "town.tif", size=700, seed=5)

engine = g2m.load_engine("sat2map", device="cpu")
source, drawn, plan = g2m.preview(out / "town.tif", engine=engine, span=1)
print("one tile:", drawn.shape, drawn.dtype)

with g2m.open_scenes(out / "town.tif") as scene:
    plan = g2m.make_plan(scene, engine.card, g2m.PlanOptions(block_span=2))
    print(plan)
    job = g2m.make_job(scene, plan, engine)
    with scene.at(plan.view) as source, g2m.open_output(out / "map.tif", job) as output:
        report = g2m.run(source, engine, output)  # finished blocks are stored; the next run resumes
print(report)
