"""What features read out of a translation are worth: drawn again, as a road graph, as buildings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import shapely

from geo2map.colour.palette import Palette
from geo2map.errors import DataError
from geo2map.evaluate.scores import ROAD_CLASSES, Scores
from geo2map.features import Box, ClassMap, Reading, Region, RoadLine, extract
from geo2map.features.buildings import LEAST_BUILDING
from geo2map.features.draw import Drawing
from geo2map.features.streets import UNITS
from geo2map.features.style import palette_style
from geo2map.metrics import Classes, Mean, Summed, classify, finite
from geo2map.metrics.buildings import BuildingMatches, outlines
from geo2map.metrics.road_graph import RoadGraph, apls, roughness
from geo2map.protocols import EVIDENCE
from geo2map.train.pictures import LABEL_BITS, LabelMask
from geo2map.types import Image, Mask


@dataclass(frozen=True)
class RoadNet(Summed):
    """How the roads of pictures hang together.

    Attributes:
        kilometres: of road.
        dead_ends: a kilometre; what is cut by a picture's border is none.
        parts: that are connected in themselves, a picture.
        largest: share of the longest part of each picture.
        borders: length of the roads' borders in the picture for each of theirs; 2 where borders are smooth.
        paths: similarity of average path lengths (APLS) to the true graph, 0 to 1.
    """

    kilometres: float
    dead_ends: Mean
    parts: Mean
    largest: Mean
    borders: Mean
    paths: Mean

    @classmethod
    def of(cls, graph: RoadGraph, roads: Mask, truth: RoadGraph, metres: float) -> Self:
        """Measures one picture.

        Args:
            graph: its roads.
            roads: bool (H, W), where it shows them.
            truth: the true roads.
            metres: of a pixel.
        """
        kilometres, lengths = graph.length * metres / 1000, graph.parts()
        similar, rough = apls(truth, graph, metres), roughness(roads, graph)
        return cls(
            kilometres,
            Mean(graph.dead_ends(), kilometres),
            Mean(len(lengths), 1),
            Mean(max(lengths, default=0.0), sum(lengths)),
            Mean() if math.isnan(rough) else Mean(rough * graph.length, graph.length),
            Mean() if math.isnan(similar) else Mean(similar, 1),
        )

    def report(self) -> dict[str, Any]:
        """Figures ready for JSON."""
        return {
            "road_km": self.kilometres,
            "dead_ends_per_km": finite(self.dead_ends.value),
            "parts": finite(self.parts.value),
            "largest_part": finite(self.largest.value),
            "border_per_length": finite(self.borders.value),
            "apls": finite(self.paths.value),
        }


@dataclass(frozen=True)
class VectorScores(Summed):
    """Features against the truth, and beside them the picture that they were read from.

    Attributes:
        redrawn: scores of the features drawn again in the palette's colours.
        truth, network, lines: roads of the true picture, of the translation as it is, and of the features.
        drawn, squared: buildings of the translation as it is, and of the features.
    """

    redrawn: Scores
    truth: RoadNet
    network: RoadNet
    lines: RoadNet
    drawn: BuildingMatches
    squared: BuildingMatches

    def report(self) -> dict[str, Any]:
        """Figures ready for JSON; distances of corners in pixels."""
        network = self.network.report() | _building_report(self.drawn)
        features = self.lines.report() | _building_report(self.squared)
        return {
            "redrawn": self.redrawn.report(),
            "truth": self.truth.report(),
            "network": network,
            "features": features,
        }


def _building_report(matches: BuildingMatches) -> dict[str, Any]:
    return {
        "building_precision": finite(matches.precision.value),
        "building_recall": finite(matches.recall.value),
        "building_corners": finite(matches.corners.value),
    }


def measure_vectors(
    truth: Image,
    prediction: Image,
    evidence: npt.NDArray[np.uint8] | None,
    *,
    palette: Palette,
    metres: float,
    known: LabelMask | None = None,
) -> VectorScores:
    """Reads features out of a translation and compares them with the true picture.

    Args:
        truth, prediction: uint8 (H, W, 3).
        evidence: uint8 (2, H, W), 255 times the probabilities of road and of building; None where there are none.
        palette: of both pictures.
        metres: of a pixel.
        known: what is known where, see `geo2map.train.pictures.LABEL_BITS`; None: everything.

    Raises:
        DataError: the shapes differ.
    """
    shape = truth.shape[:2]
    if evidence is not None and evidence.shape != (len(EVIDENCE), *shape):
        raise DataError(f"evidence of shape {evidence.shape}: give a plane of {shape} for each of {EVIDENCE}")
    true, drawn = classify(truth, palette), classify(prediction, palette)
    features = _features(drawn, evidence, palette, metres)
    redrawn = Drawing(features, palette_style(palette.entries), metres).draw(0, 0, max(shape))[: shape[0], : shape[1]]
    pictures = (true, drawn, classify(redrawn, palette))
    where = _known(known, "road", shape)
    roads = [_of(classes, palette, *ROAD_CLASSES) & where for classes in pictures]
    graph = RoadGraph.of_mask(roads[0], where)
    lines = [feature.line / UNITS for feature in features if isinstance(feature, RoadLine)]
    graphs = (graph, RoadGraph.of_mask(roads[1], where), RoadGraph.of_lines(lines, where))
    nets = [RoadNet.of(each, mask, graph, metres) for each, mask in zip(graphs, roads, strict=True)]
    built = _known(known, "building", shape)
    houses = _outlined(_of(true, palette, "building") & built)
    return VectorScores(
        Scores.of(truth, redrawn, palette, known=known),
        nets[0],
        nets[1],
        nets[2],
        BuildingMatches.of(houses, _outlined(_of(drawn, palette, "building") & built)),
        BuildingMatches.of(houses, _buildings(features, built)),
    )


def _features(
    classes: Classes, evidence: npt.NDArray[np.uint8] | None, palette: Palette, metres: float
) -> list[RoadLine | Region]:
    planes = (classes.astype(np.uint8), *(evidence if evidence is not None else ()))
    height, width = classes.shape

    def read(box: Box) -> Reading:
        return Reading(*(plane[box.top : box.bottom, box.left : box.right] for plane in planes))

    return list(extract(ClassMap(read, Box(0, 0, width, height), palette.classes, metres)))


def _of(classes: Classes, palette: Palette, *names: str) -> Mask:
    """Pixels of some classes."""
    return np.isin(classes, [index for index, name in enumerate(palette.classes) if name in names])


def _known(known: LabelMask | None, name: str, shape: tuple[int, int]) -> Mask:
    return np.ones(shape, bool) if known is None else (known & np.uint8(LABEL_BITS[name])) > 0


def _outlined(mask: Mask) -> list[shapely.Polygon]:
    """Outlines of buildings in a picture, without specks."""
    return [outline for outline in outlines(mask) if outline.area >= LEAST_BUILDING]


def _buildings(features: Sequence[RoadLine | Region], where: Mask) -> list[shapely.Polygon]:
    """Outlines of buildings in pixels, those whose middle lies where buildings are known."""
    found = []
    for feature in features:
        if isinstance(feature, Region) and feature.kind == "building":
            outline = shapely.transform(feature.polygon, lambda points: points / UNITS)
            column, row = outline.centroid.coords[0]
            if where[min(int(row), len(where) - 1), min(int(column), where.shape[1] - 1)]:
                found.append(outline)
    return found
