"""Packs pairs so that they can travel to a GPU machine, and makes pairs of a pack again.

    python examples/lab/gpu/pack.py PACK.tar maps/train [--elsewhere places/] [--mib 28] [--home-share 0.55]
    python examples/lab/gpu/pack.py --unpack PACK.tar pairs/

Imagery becomes AVIF (Pillow 11.3 or later), maps become indices of the palette, label masks stay. Pictures are taken in
an order that is spread over each folder until its share of the bytes is used up, so a smaller pack is a thinner one.
"""

from __future__ import annotations

import argparse
import io
import tarfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from geo2map.colour.palette import MAPS_PALETTE
from geo2map.train.pictures import LABEL_MASK_SUFFIX, PairFile, list_pairs, list_places

HOME, ELSEWHERE = "home", "elsewhere"
GOLDEN = 0.6180339887


def spread(files: Sequence[PairFile]) -> list[PairFile]:
    """The same files in an order of which every beginning is spread over all of them."""
    ranks = [(number * GOLDEN) % 1.0 for number in range(len(files))]
    return [files[number] for number in sorted(range(len(files)), key=ranks.__getitem__)]


def encoded(file: PairFile, quality: int) -> dict[str, bytes]:
    """The parts of a packed pair by the ends of their names."""
    a, b = file.load()
    distances = [((b.astype(np.int32) - colour.astype(np.int32)) ** 2).sum(2) for colour in MAPS_PALETTE.colours]
    drawn = Image.fromarray(np.stack(distances).argmin(0).astype(np.uint8))
    drawn.putpalette(MAPS_PALETTE.colours.flatten().tolist())
    parts: dict[str, tuple[Image.Image, dict[str, Any]]] = {
        "_a.avif": (Image.fromarray(a), {"quality": quality, "speed": 8}),
        "_b.png": (drawn, {"optimize": True}),
    }
    labels = file.load_label_mask(a.shape[:2])
    if labels is not None:
        parts[LABEL_MASK_SUFFIX] = (Image.fromarray(labels), {"optimize": True})
    found = {}
    for end, (image, options) in parts.items():
        buffer = io.BytesIO()
        image.save(buffer, Path(end).suffix[1:], **options)
        found[end] = buffer.getvalue()
    return found


def entries(files: Sequence[PairFile], folder: str, most: float, quality: int) -> Iterator[tuple[str, bytes]]:
    """Names and bytes of packed pairs until so many bytes are used up."""
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(files), 64):
            some = files[start : start + 64]
            for file, parts in zip(some, pool.map(lambda f: encoded(f, quality), some), strict=True):
                most -= sum(-(-len(part) // 512) * 512 + 512 for part in parts.values())  # as tar rounds
                if most < 0:
                    return
                yield from ((f"{folder}/{file.a.stem}{end}", part) for end, part in parts.items())


def pack(pack_file: Path, home: Path, elsewhere: Path | None, mib: float, home_share: float, quality: int) -> int:
    """Writes a pack; its number of pairs."""
    most = mib * 2**20 - 20_480
    places = list_places(elsewhere) if elsewhere else {}
    shares = {HOME: home_share if places else 1.0}
    pairs = {HOME: list_pairs(home), **{f"{ELSEWHERE}/{name}": files for name, files in places.items()}}
    areas = {name: len(files) ** 0.5 for name, files in pairs.items() if name != HOME}
    shares |= {name: (1 - home_share) * area / sum(areas.values()) for name, area in areas.items()}
    count = 0
    with tarfile.open(pack_file, "w") as tar:
        for name, files in pairs.items():
            for path, data in entries(spread(files), name, most * shares[name], quality):
                entry = tarfile.TarInfo(path)
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
                count += path.endswith(".avif")
    return count


def unpack(pack_file: Path, out: Path) -> int:
    """Makes pairs of a pack: `out`/home/NAME.png and `out`/elsewhere/PLACE/NAME.png with their masks; how many."""
    with tarfile.open(pack_file) as tar:
        files = {entry.name: tar.extractfile(entry) for entry in tar if entry.isfile()}
        parts = {PurePosixPath(name): file.read() for name, file in files.items() if file}

    def pair(path: PurePosixPath) -> int:
        stem = path.name.removesuffix("_a.avif")
        sides = [Image.open(io.BytesIO(parts[p])).convert("RGB") for p in (path, path.with_name(f"{stem}_b.png"))]
        folder = out / path.parent
        folder.mkdir(parents=True, exist_ok=True)
        joined = np.concatenate([np.asarray(side) for side in sides], axis=1)
        Image.fromarray(joined).save(folder / f"{stem}.png", compress_level=1)
        mask = path.with_name(stem + LABEL_MASK_SUFFIX)
        if mask in parts:
            (folder / mask.name).write_bytes(parts[mask])
        return 1

    with ThreadPoolExecutor() as pool:
        return sum(pool.map(pair, [path for path in parts if path.name.endswith("_a.avif")]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", type=Path)
    parser.add_argument("folder", type=Path, help="of pairs; with --unpack, where to put them")
    parser.add_argument("--unpack", action="store_true")
    parser.add_argument("--elsewhere", type=Path)
    parser.add_argument("--mib", type=float, default=28.0)
    parser.add_argument("--home-share", type=float, default=0.55, help="of the bytes, for the first folder")
    parser.add_argument("--quality", type=int, default=45, help="AVIF's")
    asked = parser.parse_args()
    if asked.unpack:
        print(unpack(asked.pack, asked.folder), "pairs")
        return
    count = pack(asked.pack, asked.folder, asked.elsewhere, asked.mib, asked.home_share, asked.quality)
    print(f"{count} pairs, {asked.pack.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
