"""Everything that a few minutes of a GPU are good for, stage by stage; README.md beside this says more.

    python examples/lab/gpu/kit.py PACK.tar --out gpu-results/ [--minutes 9] [--device cuda] [--only tests,engine]
    python examples/lab/gpu/kit.py --rehearse --out gpu-results/

Each stage is a process of its own with a budget of seconds; what a failed one leaves does not stop the others. What
they say is in kit.log, what they found in summary.json. --rehearse does all of it on a CPU, tiny, on pictures of a
synthetic town.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KIT = Path(__file__).resolve().parent
ROOT = KIT.parents[2]
MAPS_VALIDATION = ROOT / "examples" / "maps-validation.txt"
"""Pictures of the pix2pix `maps` data set that overlap no other."""


@dataclass(frozen=True)
class Scale:
    """How large everything is.

    Attributes:
        seconds: budget of each stage.
        training: seconds of steps in the stages that train.
        town: pixels along a side of the town that is rendered.
        blocks: of it that are rendered.
        large, lean: options of the two trainings.
        trial: steps of the trial that measures the pace.
        limit: pictures that are evaluated.
    """

    seconds: dict[str, int]
    training: dict[str, int]
    town: int
    blocks: int
    large: tuple[str, ...]
    lean: tuple[str, ...]
    trial: int
    limit: int


DRAW = "import sys, geo2map; geo2map.make_town(sys.argv[1], *sys.argv[3:], size=int(sys.argv[2]))"
"""Draws a town: where, pixels along a side, where to put its true map."""
COMMON = ("--preset", "sat2map", "--norm", "batch", "--recalibrate", "60", "--learning-rate", "3e-4")
COMMON += ("--decay-from", "0.4", "--seed", "1")
LARGE = ("--widths", "64,128,160,192,128", "--residual-blocks", "1,3,3,2,0")  # 19.6 GFLOP a tile, 14.6 MB
FULL = Scale(
    seconds={
        "unpack": 25,
        "tests": 40,
        "engine": 30,
        "precision": 25,
        "bench": 45,
        "large": 255,
        "lean": 85,
        "scores": 30,
    },
    training={"large": 215, "lean": 50},
    town=8192,
    blocks=64,
    large=(*COMMON, *LARGE, "--batch", "32", "--elsewhere-share", "0.35"),
    lean=(*COMMON, "--batch", "48", "--elsewhere-share", "0.35"),
    trial=120,
    limit=64,
)
TINY = (
    *COMMON,
    "--widths",
    "4,8,8",
    "--residual-blocks",
    "0,1,0",
    "--autocast",
    "none",
    "--batch",
    "2",
    "--crop",
    "64",
)
TINY += ("--recalibrate", "0", "--elsewhere-share", "0.35")
REHEARSAL = Scale(
    seconds=dict.fromkeys(FULL.seconds, 300),
    training={"large": 2, "lean": 2},
    town=700,
    blocks=1,
    large=TINY,
    lean=TINY,
    trial=4,
    limit=2,
)
RESERVE = 30
"""Seconds that a training needs beside its steps: to read the pictures, to write the model."""


@dataclass
class Kit:
    """A run of the kit.

    Attributes:
        asked: the options.
        scale: how large.
        started: of everything.
        stage, began: the stage that runs, and since when.
        done: what each stage reported.
    """

    asked: argparse.Namespace
    scale: Scale
    started: float = field(default_factory=time.monotonic)
    stage: str = ""
    began: float = 0.0
    done: dict[str, Any] = field(default_factory=dict)

    @property
    def out(self) -> Path:
        return Path(self.asked.out).resolve()

    @property
    def work(self) -> Path:
        """For what need not come back."""
        return Path(self.asked.work).resolve() if self.asked.work else self.out.with_name(f"{self.out.name}.work")

    @property
    def home(self) -> Path:
        return self.work / "pairs" / "home"

    def left(self) -> float:
        """Seconds for the rest of the stage."""
        of_all = 60.0 * self.asked.minutes - (time.monotonic() - self.started)
        return min(of_all, self.scale.seconds[self.stage] - (time.monotonic() - self.began))

    def call(self, *command: object, **environment: str) -> str:
        """Runs a command within the stage's budget; its standard output. Both streams are logged."""
        with (self.out / "kit.log").open("a", encoding="utf-8") as log:
            print("$", *command, file=log, flush=True)
            found = subprocess.run(
                [sys.executable, *map(str, command)],
                stdout=subprocess.PIPE,
                stderr=log,
                timeout=max(1.0, self.left()),
                text=True,
                cwd=ROOT,
                env=os.environ | environment,
            )
            print(found.stdout, file=log)
        if found.returncode:
            raise RuntimeError(f"exit code {found.returncode} of {' '.join(map(str, command[:3]))}: see kit.log")
        return found.stdout

    def geo2map(self, *arguments: object) -> Any:
        """A command of geo2map; its report."""
        return json.loads(self.call("-m", "geo2map_cli", *arguments, "--json"))


def unpack(kit: Kit) -> dict[str, Any]:
    """Pairs of the pack; a rehearsal makes them of a synthetic town and packs them first."""
    pairs, packed = kit.work / "pairs", kit.asked.pack
    if kit.asked.rehearse:
        packed = kit.work / "pack.tar"
        kit.call("-c", DRAW, kit.work / "town.tif", kit.scale.town, kit.work / "truth.tif")
        for folder, size in (("home", 128), ("elsewhere", 96)):
            made = ("--map", kit.work / "truth.tif", "--out", kit.work / "made" / folder, "--size", size)
            options = ("--zoom", 17, "--split", "100,0,0", "--registration", "off", "--overwrite")
            kit.geo2map("pairs", kit.work / "town.tif", *made, *options)
        elsewhere = ("--elsewhere", kit.work / "made" / "elsewhere", "--mib", 2)
        kit.call(KIT / "pack.py", packed, kit.work / "made" / "home" / "train", *elsewhere)
    if packed.is_dir():
        pairs.symlink_to(packed.resolve())
    else:
        kit.call(KIT / "pack.py", "--unpack", packed, pairs)
    return {"home": _count(kit.home), "elsewhere": _count(pairs / "elsewhere")}


def _count(folder: Path) -> int:
    return sum(not path.name.endswith("_valid.png") for path in folder.rglob("*.*")) if folder.is_dir() else 0


def tests(kit: Kit) -> dict[str, Any]:
    """`pytest -m cuda`: bytes, batches, memory, training on the device."""
    files = sorted(ROOT.glob("tests/unit/*/test_*_on_cuda.py"))  # only these: the others may need more packages
    chosen = ("-m", "pytest", "-m", "cuda", "-q", "-n", "0", "-p", "no:cacheprovider", *files)
    device = {"GEO2MAP_TEST_DEVICE": kit.asked.device} if kit.asked.rehearse else {}
    said = kit.call(*chosen, CUBLAS_WORKSPACE_CONFIG=":4096:8", **device)
    return {"said": said.strip().splitlines()[-1]}


def engine(kit: Kit) -> dict[str, Any]:
    """The engine's share of the measured matrix rate, precision by precision."""
    tiny = ("--span", 1, "--side", 256, "--runs", 1) if kit.asked.rehearse else ()
    found: dict[str, Any] = json.loads(kit.call(KIT / "measure_engine.py", "--device", kit.asked.device, *tiny))
    return found


def precision(kit: Kit) -> dict[str, Any]:
    """What each precision changes in levels, class IoU and road F1."""
    options = (
        "--device",
        kit.asked.device,
        "--limit",
        kit.scale.limit,
        *(("--model", "sat2map") if kit.asked.rehearse else ()),
    )
    found: dict[str, Any] = json.loads(kit.call(KIT / "measure_precision.py", kit.home, *options))
    return found


def bench(kit: Kit) -> dict[str, Any]:
    """From scene to map, each stage alone and all together, precision by precision."""
    town, found = kit.work / "large-town.tif", {}
    kit.call("-c", DRAW, town, kit.scale.town)
    for name in ("fp32", "bf16") if kit.asked.rehearse or kit.asked.device == "cpu" else ("fp32", "bf16", "fp16"):
        options = ("--blocks", kit.scale.blocks, "--precision", name, "--device", kit.asked.device)
        report = kit.geo2map("bench", town, *options)
        found[name] = {key: report[key] for key in ("tiles", "rate", "cores_busy", "verdict")}
    return found


def trained(kit: Kit, options: tuple[str, ...]) -> dict[str, Any]:
    """A model after so many seconds of training as the stage has: a trial on a few pictures measures the pace."""
    aside, few, stage = kit.work / "aside.txt", kit.work / "few", kit.stage
    if not few.exists():
        names = sorted(path.name for path in kit.home.iterdir())
        listed = {Path(name).stem for name in MAPS_VALIDATION.read_text(encoding="utf-8").split()}
        known = [name for name in names if Path(name).stem in listed]
        aside.write_text("\n".join(known or names[:: max(2, len(names) // 24)]) + "\n", encoding="utf-8")
        few.mkdir()
        for name in names[:64]:
            (few / name).hardlink_to(kit.home / name)
    machine = ("--device", kit.asked.device)
    trial = kit.geo2map(
        *(
            "train",
            few,
            *machine,
            *options,
            "--steps",
            kit.scale.trial,
            "--out",
            kit.work / f"{stage}-trial.safetensors",
        )
    )
    batch = int(options[options.index("--batch") + 1])
    rate = trial["crops_per_second"] / batch if "crops_per_second" in trial else trial["steps"] / trial["seconds"]
    steps = max(2, round(min(kit.scale.training[stage], kit.left() - RESERVE) * rate))
    pairs = (kit.home, "--validation", aside, "--elsewhere", kit.work / "pairs" / "elsewhere")
    files = ("--out", kit.out / f"{stage}.safetensors", "--run", kit.work / f"{stage}.run")
    report = kit.geo2map("train", *pairs, *machine, *options, "--steps", steps, *files)
    kept = ("steps", "seconds", "gflop_per_tile", "parameters", "crops_per_second", "l1", "cross_entropy", "jaccard")
    return {name: report[name] for name in kept if name in report}


def large(kit: Kit) -> dict[str, Any]:
    """A large model from nothing on all places."""
    return trained(kit, kit.scale.large)


def lean(kit: Kit) -> dict[str, Any]:
    """The lean model, distilled from it."""
    teacher = kit.out / "large.safetensors"
    distilled = ("--teacher", str(teacher), "--lambda-teacher", "20", "--teacher-cache", str(kit.work / "taught"))
    return trained(kit, kit.scale.lean + (distilled if teacher.exists() else ()))


def scores(kit: Kit) -> dict[str, Any]:
    """Both models, and the packaged one, on the pictures that training held out."""
    held_out = kit.work / "held-out"
    held_out.mkdir(exist_ok=True)
    for name in (kit.work / "aside.txt").read_text(encoding="utf-8").split():
        (held_out / name).unlink(missing_ok=True)
        (held_out / name).hardlink_to(kit.home / name)
    found = {}
    for model in ("sat2map", kit.out / "large.safetensors", kit.out / "lean.safetensors"):
        if model == "sat2map" or Path(model).exists():
            options = ("--model", model, "--limit", kit.scale.limit, "--seams", 0, "--device", kit.asked.device)
            report = kit.geo2map("evaluate", "--data", held_out, *options)
            found[Path(model).stem] = report[0]
    return found


STAGES: tuple[Callable[[Kit], dict[str, Any]], ...] = (unpack, tests, engine, precision, bench, large, lean, scores)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", type=Path, nargs="?", help="of pack.py; or a folder with home/ and elsewhere/")
    parser.add_argument("--out", default="gpu-results", help="folder for what comes back")
    parser.add_argument("--work", help="folder for what need not; default beside --out")
    parser.add_argument("--minutes", type=float, default=9.0, help="for everything")
    parser.add_argument("--device", default=None, help="default cuda, in a rehearsal cpu")
    parser.add_argument("--only", help="stages, separated by commas")
    parser.add_argument("--rehearse", action="store_true")
    asked = parser.parse_args()
    if not asked.pack and not asked.rehearse:
        parser.error("give a pack, or --rehearse")
    asked.device = asked.device or ("cpu" if asked.rehearse else "cuda")
    kit = Kit(asked, REHEARSAL if asked.rehearse else FULL)
    kit.out.mkdir(parents=True, exist_ok=True)
    kit.work.mkdir(parents=True, exist_ok=True)
    chosen = asked.only.split(",") if asked.only else [stage.__name__ for stage in STAGES]
    for stage in (stage for stage in STAGES if stage.__name__ in chosen):
        kit.stage, kit.began = stage.__name__, time.monotonic()
        try:
            report = {"ok": True, **stage(kit)}
        except Exception as error:  # the others go on
            report = {"ok": False, "error": f"{type(error).__name__}: {error}"}
        kit.done[stage.__name__] = report | {"took": round(time.monotonic() - kit.began, 1)}
        (kit.out / "summary.json").write_text(json.dumps(kit.done, indent=1), encoding="utf-8")
        print(stage.__name__, json.dumps(kit.done[stage.__name__]), flush=True)
    return 0 if all(report["ok"] for report in kit.done.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
