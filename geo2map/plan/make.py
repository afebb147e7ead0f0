"""Deciding a plan: zoom, window, margin and colours for a scene and a model."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from geo2map import grid
from geo2map.aoi import make_aoi
from geo2map.colour.statistics import DIFFERENT, ColourStatistics
from geo2map.colour.stretch import stretch_of_bits
from geo2map.colour.transform import ColourTransform, make_rendition
from geo2map.colour.trial import shares_to_try
from geo2map.errors import PlanError, ResolutionError, ZoomError
from geo2map.grid.fill import FILL_RADIUS
from geo2map.model.card import ModelCard
from geo2map.plan.options import PlanOptions
from geo2map.plan.value import Plan
from geo2map.scene.imagery import Imagery
from geo2map.scene.view import View
from geo2map.types import Favours

_COARSEST = 3.0
"""Scene metres per model metre above which a model cannot recognise anything."""
BEYOND = 1
"""Useful zooms beyond the one nearest to the scene's resolution."""
ENLARGED = 1.5
"""Scene metres per output metre, or per model metre, above which a note warns."""
FAR = 40.0
"""Grey levels between a scene and the model's imagery above which a note warns."""
Trial = Callable[[Imagery, Sequence[Plan]], int | None]
"""Which of several plans for a scene, that differ in colours, suits it best; None where that cannot be seen."""
WIDEST_MARGIN = 256
"""Largest default margin; a model that needs more is exact only with an explicit `margin`."""


def make_plan(
    scene: Imagery, card: ModelCard, options: PlanOptions | None = None, *, trial: Trial | None = None
) -> Plan:
    """Decide everything about rendering imagery with a model.

    Args:
        trial: chooses how far to match where the match is "auto" and the colours differ, see
            `geo2map.pipeline.trial.choose_plan`; None matches as far as the card says.

    Raises:
        ResolutionError: the scene is far coarser than the model was trained for.
        ZoomError: the zoom is out of range, missing, or only enlarges pixels.
        SceneError: the scene's pixels cannot be sampled.
    """
    options = options or PlanOptions()
    if options.match == "model" and card.colours is None:
        raise PlanError(f"match: the card of {card.name} has no colour statistics; leave it out", option="match")
    zoom = choose_zoom(scene, card, options)
    sample = scene.sample()
    colours = _choose_colours(scene, sample, card, options)
    margin, margin_notes = choose_margin(card, options.margin)
    window = scene.window(zoom)
    aoi = None if options.aoi is None else make_aoi(options.aoi)
    if aoi is not None:
        window = aoi.cut(window, zoom, options.clip, scene.name)
    plan = Plan(
        name=scene.name,
        view=View(zoom, colours.rendition, options.resampling),
        window=window,
        block_span=options.block_span,
        margin=margin,
        fill_radius=FILL_RADIUS,
        neutral=card.neutral,
        noise=card.noise,
        favours=colours.favours,
        model=card.identity,
        content=sample_digest(sample, scene),
        aoi=aoi,
        clip=options.clip,
    )
    matching = card.matching if options.match == "auto" else 1.0
    if trial is not None and options.match == "auto" and card.can_try and colours.rendition.curves is not None:
        renditions = {share: colours.towards(card, share) for share in shares_to_try(card.matching)}
        plans = [replace(plan, view=replace(plan.view, rendition=found)) for found in renditions.values()]
        if (number := trial(scene, plans)) is not None:
            matching, plan = list(renditions)[number], plans[number]
    colour_notes = _match_notes(colours, plan.view.rendition, card, matching)
    return replace(plan, notes=(*scene.notes, *_scale_notes(scene, card, zoom), *colour_notes, *margin_notes))


def sample_digest(sample: npt.NDArray[np.generic], scene: Imagery) -> str:
    """Sixteen hex digits over the pixels of a scene's sample, its position and reading options."""
    pixels = hashlib.sha256(sample.tobytes()).hexdigest()[:16]
    return hashlib.sha256(f"{pixels} {scene.layout_digest}".encode()).hexdigest()[:16]


@dataclass(frozen=True)
class _Colours:
    """What the colours of a scene decide.

    Attributes:
        rendition: stretch and match.
        distance: mean grey levels to the model's imagery.
        favours: of the plan.
        statistics: of the stretched scene; None where nobody needs them.
        given: whether the rendition is that of another map.
    """

    rendition: ColourTransform
    distance: float
    favours: Favours
    statistics: ColourStatistics | None = None
    given: bool = False

    def towards(self, card: ModelCard, share: float) -> ColourTransform:
        """The rendition, matched by a share of the way instead."""
        assert self.statistics is not None, "who matches has looked at the scene's colours"
        assert card.colours is not None, "there is something to match to"
        return self.rendition.matched(self.statistics, card.colours, share)


def _choose_colours(scene: Imagery, sample: npt.NDArray[np.generic], card: ModelCard, options: PlanOptions) -> _Colours:
    if scene.colours_for == card.name:
        found = choose_rendition(sample, card, replace(options, match="none"), scene.bits)
        return _Colours(*found, card.favours_elsewhere if scene.favours else ())  # the numbers are the card's to say
    rendition, distance = choose_rendition(sample, card, options, scene.bits)
    favours = card.favours_elsewhere if distance > DIFFERENT else ()
    if options.rendition is not None:
        return _Colours(options.rendition, distance, favours, given=True)
    statistics = ColourStatistics.of(rendition.stretched(sample)) if rendition.curves else None
    return _Colours(rendition, distance, favours, statistics)


def choose_zoom(scene: Imagery, card: ModelCard, options: PlanOptions) -> int:
    """The requested zoom, or the one nearest to the model's ground resolution.

    Imagery at fixed zooms, such as tiles, defaults to the largest.
    """
    if scene.zooms is not None:
        if options.zoom is not None and options.zoom not in scene.zooms:
            found = ", ".join(map(str, scene.zooms))
            raise ZoomError(f"zoom {options.zoom}: not in {scene.name}, which has {found}", option="zoom")
        return scene.zooms[-1] if options.zoom is None else options.zoom
    coarser = scene.ground_resolution / card.ground_resolution
    if coarser > _COARSEST and not options.force:
        raise ResolutionError(
            f"{scene.name}: {scene.ground_resolution:.3g} m on the ground is too coarse for {card.name}, which was "
            f"trained at {card.ground_resolution:.3g} m; use finer imagery or another model, or force it",
            option="force",
        )
    usual = grid.nearest_zoom(card.ground_resolution, scene.latitude)
    if options.zoom is None:
        return usual
    finest = max(usual, grid.nearest_zoom(scene.ground_resolution, scene.latitude) + BEYOND)
    if options.zoom > finest and not options.force:
        raise ZoomError(
            f"zoom {options.zoom}: would only enlarge the pixels of {scene.name}, which has "
            f"{scene.ground_resolution:.3g} m on the ground; lower the zoom to {finest}, or force it",
            option="force",
        )
    return options.zoom


def choose_rendition(
    sample: npt.NDArray[np.generic], card: ModelCard, options: PlanOptions, bits: int | None = None
) -> tuple[ColourTransform, float]:
    """Stretch and match, and the distance to the model's colours; see `make_rendition`.

    Args:
        bits: bit depth of the scene, if its files state one; see `geo2map.scene.Imagery`.
    """
    # colours of a map denote classes: not matched by default
    match = "none" if options.match == "auto" and card.direction == "b2a" else options.match
    stretch = stretch_of_bits(options.stretch, bits)
    return make_rendition(sample, card.colours, match, stretch, card.matching)


def choose_margin(card: ModelCard, requested: int | None) -> tuple[int, tuple[str, ...]]:
    """The margin, and a warning if it is too small for an exact output."""
    if not card.exact:
        if requested:
            raise PlanError(
                f"margin {requested}: has no effect on {card.name}, which translates each tile by itself (mode "
                "faithful); leave it out",
                option="margin",
            )
        return 0, (
            f"warning: {card.name} translates each tile by itself (mode faithful): there are seams between its tiles",
        )
    margin = min(card.margin, WIDEST_MARGIN) if requested is None else requested
    if margin < 0 or margin % card.size_multiple:
        raise PlanError(
            f"margin {margin}: does not fit {card.name}; give a multiple of {card.size_multiple} px", option="margin"
        )
    if margin < card.margin:
        return margin, (
            f"warning: {card.name} needs a margin of {card.margin} px for seamless output; with {margin} "
            f"px seams remain, but weaker (a margin of {card.margin} removes them)",
        )
    return margin, ()


def _scale_notes(scene: Imagery, card: ModelCard, zoom: int) -> Iterator[str]:
    resolution = grid.ground_resolution(zoom, scene.latitude)
    ratio = resolution / card.ground_resolution
    yield (
        f"zoom {zoom} is {resolution:.3g} m per pixel here, {card.name} was trained at {card.ground_resolution:.3g} m "
        f"(scale mismatch {max(ratio, 1 / ratio):.2f})"
    )
    if card.resolutions and not 0.99 * card.resolutions[0] <= resolution <= 1.01 * card.resolutions[1]:
        finest, coarsest = card.resolutions
        yield (
            f"warning: {resolution:.3g} m per pixel is outside the {finest:.3g} to {coarsest:.3g} m that {card.name} "
            "was trained on; check the map visually"
        )
    if scene.ground_resolution > ENLARGED * card.ground_resolution:
        yield f"warning: the scene has only {scene.ground_resolution:.3g} m per pixel; expect a coarse map"
    elif scene.ground_resolution > ENLARGED * resolution:
        yield f"warning: the scene has only {scene.ground_resolution:.3g} m per pixel; its pixels are enlarged"


def _match_notes(colours: _Colours, rendition: ColourTransform, card: ModelCard, matching: float) -> tuple[str, ...]:
    distance = colours.distance
    if colours.given:
        return ("colours: taken from another map",)
    if card.colours is None:
        return (f"{card.name} has no colour statistics: colours unchanged",)
    done = "unchanged"
    if rendition.curves:
        done = "matched" if matching == 1 else f"matched by {matching:.0%}"
    imagery = "maps" if card.direction == "b2a" else "imagery"
    note = f"colours are {distance:.0f} grey levels from the {imagery} {card.name} was trained on: {done}"
    if distance <= FAR:
        return (note,)
    other = " and compare with match=model" if rendition.curves and matching < 1 else ""
    return (
        note,
        f"warning: sensor, season or landscape differ from the training data of {card.name}; check the map visually"
        f"{other}",
    )
