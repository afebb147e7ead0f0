"""Breaks roofs into the parts one sees from above: ridges, parapets, patches, and the boxes on flat roofs."""

from __future__ import annotations

import numpy as np

from geo2map.demo import site as ink
from geo2map.demo.plan import Frame
from geo2map.demo.site import Mix, Rects, clutter, join

SUN = np.array([0.6, 0.8])
"""Towards the sun, which stands in the south-east: x to the east, y to the south."""

BOXES: Mix = {ink.WHITE: 0.25, ink.LIGHT: 0.2, ink.GREY: 0.15, ink.BLACK: 0.4}


def roof_parts(buildings: Rects, frame: Frame, rng: np.random.Generator) -> Rects:
    """The visible parts of the roofs of `buildings`, in drawing order."""
    flat = buildings.take(~buildings.gabled)
    ridged = buildings.take(buildings.gabled)
    inner = _inset(flat, 0.8)
    patches = clutter(flat, None, per_metre=1 / 200, sizes=(4.0, 14.0), rng=rng)
    boxes = clutter(flat, BOXES, per_metre=1 / 75, sizes=(1.2, 3.6), rng=rng)
    return join([flat.tinted(0.62), inner, patches, boxes, *_slopes(ridged, frame)])


def _inset(roofs: Rects, metres: float) -> Rects:
    """Roofs without the parapet around them, which throws shade."""
    return roofs.with_uv(roofs.uv + np.array([metres, metres, -metres, -metres]))


def _slopes(roofs: Rects, frame: Frame) -> list[Rects]:
    """The two halves of ridged roofs; the one that faces the sun is the lighter."""
    u0, v0, u1, v1 = roofs.uv.T
    lengthwise = (u1 - u0) > (v1 - v0)
    middle_u, middle_v = (u0 + u1) / 2, (v0 + v1) / 2
    first = np.stack([u0, v0, np.where(lengthwise, u1, middle_u), np.where(lengthwise, middle_v, v1)], axis=1)
    second = np.stack([np.where(lengthwise, u0, middle_u), np.where(lengthwise, middle_v, v0), u1, v1], axis=1)
    axes = frame.to_scene(np.eye(2)) - (frame.x, frame.y)
    sunward = np.where(lengthwise, axes[1] @ SUN, axes[0] @ SUN)
    return [roofs.with_uv(first).tinted(1 - 0.32 * sunward), roofs.with_uv(second).tinted(1 + 0.32 * sunward)]
