"""Your own city: scene and reference map -> pairs -> train -> evaluate -> render.

python examples/train_your_city.py OUT_FOLDER

Draws a small town, so it runs anywhere. For your city, replace `town.tif` and `truth.tif` by your own files, omit
size, --batch and --crop, and set --steps to some thousands: a model of 4 steps produces washed-out maps.
"""

import subprocess
import sys
from pathlib import Path

import geo2map as g2m


def geo2map(*arguments: object) -> None:
    """Runs the command line, as you would in a shell."""
    subprocess.run([sys.executable, "-m", "geo2map_cli", *map(str, arguments)], check=True)


out = Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
scene, reference, model = out / "town.tif", out / "truth.tif", out / "mine.safetensors"
g2m.make_town(scene, reference, size=700, seed=6)

pairs = g2m.make_pairs(scene, reference, out / "pairs", zoom=17, size=128, overwrite=True)
print(pairs, flush=True)

geo2map("train", out / "pairs", "--out", model, "--steps", 4, "--batch", 1, "--crop", 64)
geo2map("evaluate", "--data", out / "pairs" / "test", "--model", model)
geo2map("render", scene, "--model", model, "--out", out / "map.tif", "--overwrite")
