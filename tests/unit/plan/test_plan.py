"""Plans: every tile in one block, a JSON form, a fingerprint, and the choice of zoom and margin."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo2map import grid
from geo2map.colour import ColourStatistics
from geo2map.colour.palette import Palette
from geo2map.errors import PlanError, ResolutionError, ZoomError
from geo2map.grid import PixelWindow
from geo2map.model import ModelCard
from geo2map.plan import Job, Plan, PlanOptions, Storage, choose_margin, choose_zoom, make_plan
from geo2map.scene import ColourTransform, SceneIdentity, View
from geo2map.testing import fake_job, make_card

CARD = make_card(name="sat2map", margin=160)
UNET_256 = replace(CARD, name="unet_256", margin=512, size_multiple=256)
LOOKS_AT_ALL = CARD.in_mode("faithful")
PLAN = Plan(name="town", view=View(17), window=PixelWindow(1000, 2000, 3000, 3500), block_span=4)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    zoom = draw(st.integers(3, 24))
    left, top = draw(st.integers(0, 256 * 7)), draw(st.integers(0, 256 * 7))
    width, height = draw(st.integers(1, 5000)), draw(st.integers(1, 5000))
    corner = draw(st.sampled_from([0, max(0, 2**zoom - 30) * 256]))
    window = PixelWindow(left, top, left + width, top + height)
    window = PixelWindow(*(edge + corner for edge in window)).intersection(grid.world_window(zoom))
    if window.empty:
        window = grid.world_window(zoom).intersection(PixelWindow(0, 0, width, height))
    curves = st.none() | st.just(((1, 2, 255),) * 3)
    return Plan(
        name=draw(st.text(max_size=9)),
        view=View(
            zoom,
            ColourTransform(draw(st.none() | st.just(((0.5, 4000.25),) * 3)), draw(curves)),
            draw(st.sampled_from(["cubic", "nearest"])),
        ),
        window=window,
        block_span=draw(st.sampled_from([1, 2, 4, 8])),
        margin=draw(st.integers(0, 5)) * 32,
        fill_radius=32,
        neutral=(50, 53, 46),
        favours=draw(st.sampled_from([(), (("road", 0.7), ("water", -0.5))])),
        model="sat2map 0123",
        notes=tuple(draw(st.lists(st.text(max_size=5), max_size=2))),
    )


# Blocks


@given(plans())
def test_blocks_cover_each_tile_once(plan: Plan) -> None:
    blocks = list(plan.blocks())
    tiles = Counter(tile for block in blocks for tile in block.tiles)
    expected = plan.tiles
    assert set(tiles.values()) == {1}
    assert {(tile.x, tile.y) for tile in tiles} == {
        (x, y) for x in range(expected.left, expected.right) for y in range(expected.top, expected.bottom)
    }
    assert len(blocks) == plan.block_count


@given(plans())
def test_blocks_lie_on_one_grid(plan: Plan) -> None:
    """A block's place depends on the span alone, not on the scene: scenes that meet have the same blocks."""
    for block in plan.blocks():
        assert block.x // plan.block_span == (block.x + block.columns - 1) // plan.block_span
        assert block.y // plan.block_span == (block.y + block.rows - 1) // plan.block_span
        assert (block.z, block.margin) == (plan.maxzoom, plan.margin)


@given(plans())
def test_tiles_hold_the_window_and_no_more(plan: Plan) -> None:
    tiles, window = plan.tiles, plan.window
    assert 0 <= window.left - tiles.left * 256 < 256
    assert 0 <= window.top - tiles.top * 256 < 256
    assert 0 <= tiles.right * 256 - window.right < 256
    assert 0 <= tiles.bottom * 256 - window.bottom < 256


@given(plans())
def test_a_block_holds_every_child_of_its_parents(plan: Plan) -> None:
    """So their overviews, `block_levels` zooms of them, depend on no other block: their parents are no one else's."""
    for level in range(1, plan.block_levels + 1):
        owners: dict[tuple[int, int], set[tuple[int, int]]] = {}
        for block in plan.blocks():
            for tile in block.tiles:
                owners.setdefault((tile.x >> level, tile.y >> level), set()).add(plan.block_key(block))
        assert all(len(keys) == 1 for keys in owners.values())
    assert len({plan.block_key(block) for block in plan.blocks()}) == plan.block_count


# JSON and fingerprint


@given(plans())
def test_json_round_trip(plan: Plan) -> None:
    again = Plan.from_json(plan.to_json())
    assert again == plan
    assert again.fingerprint == plan.fingerprint
    assert hash(again) == hash(plan)


@pytest.mark.parametrize(
    "change",
    [
        {"view": View(18)},
        {"window": PixelWindow(1000, 2000, 3000, 3501)},
        {"block_span": 8},
        {"margin": 32},
        {"fill_radius": 16},
        {"neutral": (1, 0, 0)},
        {"view": View(17, ColourTransform(stretch=((0.0, 255.0),) * 3))},
        {"view": View(17, ColourTransform(curves=((0, 1),) * 3))},
        {"view": View(17, resampling="nearest")},
        {"model": "sat2map 0123"},
    ],
)
def test_the_fingerprint_changes_with_what_matters(change: dict[str, Any]) -> None:
    assert replace(PLAN, **change).fingerprint != PLAN.fingerprint


def test_the_fingerprint_does_not_change_with_notes() -> None:
    assert replace(PLAN, notes=("a warning",)).fingerprint == PLAN.fingerprint


def test_the_untranslated_plan_has_the_same_tiles_and_colours() -> None:
    view = View(17, ColourTransform(((0.0, 9.0),) * 3), "nearest")
    plan = replace(PLAN, margin=160, fill_radius=32, model="m", view=view)
    cut = plan.untranslated()
    assert (cut.margin, cut.fill_radius, cut.model) == (0, 0, "")
    assert (cut.tiles, cut.view) == (plan.tiles, view)


@pytest.mark.parametrize("change", [{"minzoom": 11}, {"format": "webp"}])
def test_what_storage_changes_is_in_the_jobs_fingerprint(change: dict[str, Any]) -> None:
    jobs = [fake_job(PLAN, Storage(**{"minzoom": 12, "format": "png"} | values)) for values in ({}, change)]
    assert jobs[0].fingerprint != jobs[1].fingerprint
    assert len(jobs[0].differences(jobs[1])) == 1
    assert (jobs[0].fingerprint, jobs[0].differences(jobs[0])) == (fake_job(PLAN, Storage(minzoom=12)).fingerprint, [])


@given(plans())
def test_a_job_goes_round_in_json(plan: Plan) -> None:
    job = fake_job(plan, Storage(format="webp"))
    again = Job.from_json(job.to_json())
    assert again == job
    assert (again.fingerprint, again.differences(job)) == (job.fingerprint, [])


def test_plans_that_cannot_be() -> None:
    with pytest.raises(PlanError, match="covers no pixel"):
        replace(PLAN, window=PixelWindow(5, 5, 5, 9))
    with pytest.raises(ZoomError, match=r"minzoom 18: above the map's zoom 17; lower it") as caught:
        Storage(minzoom=18).resolve(PLAN)
    assert caught.value.option == "minzoom"
    for name, value in (("zoom", 25), ("zoom", -1), ("minzoom", 25), ("minzoom", -1)):
        with pytest.raises(ZoomError, match="give 0 to 24") as caught:
            PlanOptions(zoom=value) if name == "zoom" else Storage(minzoom=value)
        assert caught.value.option == name


@pytest.mark.parametrize(
    ("span", "said"), [(0, "1 or 2"), (-4, "1 or 2"), (3, "2 or 4"), (5, "4 or 8"), (63, "32 or 64")]
)
def test_a_block_span_that_is_no_power_of_two(span: int, said: str) -> None:
    with pytest.raises(PlanError, match=f"block span {span}: not a power of two; give {said}") as caught:
        PlanOptions(block_span=span)
    assert caught.value.option == "block_span"
    with pytest.raises(PlanError, match="not a power of two"):
        replace(PLAN, block_span=span)


# Zoom


@dataclass
class Imagined:
    """As much of a `geo2map.scene.Imagery` as planning needs, dark all over."""

    ground_resolution: float = 0.9
    latitude: float = 40.7
    level: int = 20
    name: str = "town"
    zooms: tuple[int, ...] | None = None
    colours_for: str = ""
    favours: tuple[tuple[str, float], ...] = ()
    bits: int | None = None
    notes: tuple[str, ...] = ()
    layout_digest: str = ""
    identities: tuple[SceneIdentity, ...] = ()

    def window(self, zoom: int) -> PixelWindow:
        assert zoom == (self.zooms or (17,))[-1]
        return PLAN.window

    def sample(self) -> np.ndarray:
        return np.full((99, 3), self.level, np.uint8)


def a_scene(ground_resolution: float, latitude: float = 40.7) -> Any:
    return Imagined(ground_resolution, latitude)


@given(st.floats(-85, 85), st.floats(0.1, 5), st.floats(0.2, 2.9))
def test_the_chosen_zoom_is_within_a_factor_of_1_42(latitude: float, resolution: float, coarser: float) -> None:
    card = replace(CARD, ground_resolution=resolution)
    zoom = choose_zoom(a_scene(resolution * coarser, latitude), card, PlanOptions())
    ratio = grid.ground_resolution(zoom, latitude) / resolution
    assert max(ratio, 1 / ratio) < 1.42


@pytest.mark.parametrize(("latitude", "zoom"), [(0, 17), (40.7, 17), (-40.7, 17), (60, 16), (75, 15)])
def test_the_zoom_follows_the_ground_not_the_map(latitude: float, zoom: int) -> None:
    assert choose_zoom(a_scene(0.9, latitude), CARD, PlanOptions()) == zoom


def test_a_scene_too_coarse_for_the_model() -> None:
    assert choose_zoom(a_scene(0.905 * 3), CARD, PlanOptions()) == 17
    with pytest.raises(ResolutionError, match=r"10 m on .* too coarse .* trained at 0.905 m; .* force it") as caught:
        choose_zoom(a_scene(10), CARD, PlanOptions())
    assert caught.value.option == "force"
    with pytest.raises(ResolutionError):
        choose_zoom(a_scene(10), CARD, PlanOptions(zoom=13))
    assert choose_zoom(a_scene(10), CARD, PlanOptions(zoom=13, force=True)) == 13


@given(st.floats(-85, 85), st.floats(0.1, 2.5))
def test_the_finest_useful_zoom_is_named_and_allowed(latitude: float, resolution: float) -> None:
    scene = a_scene(resolution, latitude)
    with pytest.raises(ZoomError, match="lower the zoom to") as caught:
        choose_zoom(scene, CARD, PlanOptions(zoom=24))
    assert caught.value.option == "force"
    finest = int(str(caught.value).split("lower the zoom to ")[1].split(",")[0])
    assert choose_zoom(scene, CARD, PlanOptions(zoom=finest)) == finest
    usual = choose_zoom(scene, CARD, PlanOptions())
    enlarged = resolution / grid.ground_resolution(finest, latitude)
    assert finest == usual or 2**0.5 - 1e-9 < enlarged < 2**1.5 + 1e-9
    assert finest >= usual
    with pytest.raises(ZoomError):
        choose_zoom(scene, CARD, PlanOptions(zoom=finest + 1))
    assert choose_zoom(scene, CARD, PlanOptions(zoom=24, force=True)) == 24


@pytest.mark.parametrize(("resolution", "finest"), [(0.9, 18), (0.5, 19), (2.0, 17), (2.7, 17)])
def test_one_zoom_beyond_the_nearest_or_the_models_is_allowed(resolution: float, finest: int) -> None:
    assert choose_zoom(a_scene(resolution), CARD, PlanOptions(zoom=finest)) == finest
    with pytest.raises(ZoomError, match=rf"zoom {finest + 1}: would only enlarge the pixels of town, .* or force it"):
        choose_zoom(a_scene(resolution), CARD, PlanOptions(zoom=finest + 1))


def test_tiles_give_their_own_zooms() -> None:
    tiles: Any = Imagined(10, zooms=(12, 13, 16))
    assert choose_zoom(tiles, CARD, PlanOptions()) == 16
    assert choose_zoom(tiles, CARD, PlanOptions(zoom=12)) == 12
    with pytest.raises(ZoomError, match="zoom 14: not in town, which has 12, 13, 16") as caught:
        choose_zoom(tiles, CARD, PlanOptions(zoom=14))
    assert caught.value.option == "zoom"


# Margin


@pytest.mark.parametrize(
    ("card", "asked", "margin", "warning"),
    [
        (CARD, None, 160, None),
        (CARD, 192, 192, None),
        (CARD, 128, 128, "needs a margin of 160 px"),
        (CARD, 0, 0, "needs a margin of 160 px"),
        (UNET_256, None, 256, "a margin of 512 removes them"),
        (UNET_256, 512, 512, None),
        (UNET_256, 256, 256, "seams remain, but weaker"),
        (LOOKS_AT_ALL, None, 0, "there are seams"),
        (LOOKS_AT_ALL, 0, 0, "there are seams"),
    ],
)
def test_the_margin_and_its_warning(card: ModelCard, asked: int | None, margin: int, warning: str | None) -> None:
    found, notes = choose_margin(card, asked)
    assert found == margin
    assert len(notes) == (warning is not None)
    if warning is not None:
        assert notes[0].startswith("warning: ")
        assert warning in notes[0]


@pytest.mark.parametrize("asked", [-32, 1, 33, 100])
def test_a_margin_off_the_models_grid(asked: int) -> None:
    with pytest.raises(PlanError, match="multiple of 32") as caught:
        choose_margin(CARD, asked)
    assert caught.value.option == "margin"


def test_a_margin_for_tiles_by_themselves() -> None:
    with pytest.raises(PlanError, match=r"margin 256.*each tile by itself .*leave it out") as caught:
        choose_margin(LOOKS_AT_ALL, 256)
    assert caught.value.option == "margin"


# Colours


def plan_of(card: ModelCard, options: PlanOptions, **scene: Any) -> Plan:
    imagined: Any = Imagined(**scene)
    return make_plan(imagined, card, options)


def test_a_model_of_unknown_colours_leaves_the_scenes_alone() -> None:
    known, unknown = plan_of(CARD, PlanOptions()), plan_of(replace(CARD, colours=None), PlanOptions())
    assert known.view.rendition.curves is not None
    assert unknown.view.rendition == ColourTransform()
    assert unknown.neutral == (128, 128, 128)
    assert "no colour statistics: colours unchanged" in unknown.notes[1]
    with pytest.raises(PlanError, match="no colour statistics") as caught:
        plan_of(replace(CARD, colours=None), PlanOptions(match="model"))
    assert caught.value.option == "match"


@pytest.mark.parametrize("match", ["auto", "model"])
def test_tiles_of_the_models_own_colours_are_not_matched_again(match: str) -> None:
    """What was cut for another model is."""
    options = PlanOptions(match=match)  # type: ignore[arg-type]
    assert plan_of(CARD, options, colours_for="sat2map").view.rendition == ColourTransform()
    assert plan_of(CARD, options, colours_for="map2sat").view.rendition.curves is not None


SCORING = replace(
    CARD,
    config={"legend": [[232, 227, 219], [255, 255, 255], [170, 204, 255]]},
    palette=Palette((("land", (232, 227, 219)), ("road", (255, 255, 255)), ("water", (170, 204, 255)))),
    colours=ColourStatistics.of(np.full((9, 3), 128, np.uint8)),
    matching=0.5,
    training={"calibration": {"elsewhere": {"water": -0.5, "road": 0.7}}},
)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_trial_chooses_how_far_to_match(number: int) -> None:
    """Among not at all, as far as the card says, and all the way; the plans are equal but for that."""
    tried: list[Plan] = []

    def trial(_: Any, plans: Sequence[Plan]) -> int:
        tried.extend(plans)
        return number

    imagined: Any = Imagined()
    plan = make_plan(imagined, SCORING, trial=trial)
    assert [each.view.rendition.curves is None for each in tried] == [True, False, False]
    assert replace(plan, notes=()) == replace(tried[number], notes=())
    assert len({each.fingerprint for each in tried}) == 3
    assert tried[1].fingerprint == make_plan(imagined, SCORING).fingerprint
    assert tried[2].fingerprint == make_plan(imagined, SCORING, PlanOptions(match="model")).fingerprint
    assert ("unchanged", "matched by 50%", "matched")[number] in " ".join(plan.notes)


@pytest.mark.parametrize(
    ("card", "options", "scene"),
    [
        (SCORING, PlanOptions(match="none"), {}),
        (SCORING, PlanOptions(match="model"), {}),
        (replace(SCORING, matching=1.0), PlanOptions(), {}),
        (CARD, PlanOptions(), {}),
        (SCORING, PlanOptions(), {"level": 128}),
        (SCORING, PlanOptions(), {"colours_for": "sat2map"}),
        (SCORING, PlanOptions(rendition=ColourTransform()), {}),
    ],
)
def test_nothing_is_tried_where_nothing_is_open(card: ModelCard, options: PlanOptions, scene: dict[str, Any]) -> None:
    def trial(_: Any, __: Sequence[Plan]) -> int:
        raise AssertionError

    imagined: Any = Imagined(**scene)
    make_plan(imagined, card, options, trial=trial)


def test_a_trial_that_sees_nothing_leaves_it_to_the_card() -> None:
    imagined: Any = Imagined()
    assert make_plan(imagined, SCORING, trial=lambda *_: None) == make_plan(imagined, SCORING)


@pytest.mark.parametrize("match", ["auto", "none", "model"])
def test_colours_that_differ_bring_the_card_s_favours_elsewhere(match: str) -> None:
    options = PlanOptions(match=match)  # type: ignore[arg-type]
    away, home = plan_of(SCORING, options), plan_of(SCORING, options, level=128)
    assert away.favours == (("road", 0.7), ("water", -0.5))
    assert home.favours == ()
    assert Plan.from_json(away.to_json()) == away
    assert away.fingerprint != replace(away, favours=()).fingerprint
    kept = plan_of(SCORING, options, level=128, colours_for="sat2map", favours=away.favours)
    assert kept.favours == away.favours


def test_another_maps_colours_are_taken_as_they_are() -> None:
    colours = ColourTransform(((0.0, 9.0),) * 3, ((1, 2, 255),) * 3)
    assert plan_of(CARD, PlanOptions(rendition=colours)).view.rendition == colours


def test_scenes_that_differ_are_other_plans() -> None:
    """Name, zoom and window may be the same."""
    plans = [plan_of(CARD, PlanOptions(match="none"), **scene) for scene in ({}, {"level": 21}, {"layout_digest": "a"})]
    assert len({plan.fingerprint for plan in plans}) == 3
    assert plans[0] == plan_of(CARD, PlanOptions(match="none"))


def test_half_a_zoom_is_the_worst_mismatch() -> None:
    """The bound above is tight: between two zooms the mismatch is the square root of 2."""
    between = math.sqrt(grid.mercator_resolution(17) * grid.mercator_resolution(16)) * 1.0001
    assert choose_zoom(a_scene(1, 0), replace(CARD, ground_resolution=between), PlanOptions()) == 16
    assert choose_zoom(a_scene(1, 0), replace(CARD, ground_resolution=between / 1.0002), PlanOptions()) == 17


def test_what_a_model_did_not_see_is_said() -> None:
    def notes(resolutions: tuple[float, float], colours: ColourStatistics | None) -> str:
        return " ".join(plan_of(replace(CARD, resolutions=resolutions, colours=colours), PlanOptions()).notes)

    dark = ColourStatistics.of(np.full((100, 3), 30, dtype=np.uint8))

    assert "outside the 0.01 to 0.02 m" in notes((0.01, 0.02), None)
    assert "sensor, season or landscape differ" in notes((0.01, 2.0), CARD.colours)
    assert "check the map visually" not in notes((0.01, 2.0), dark)


@pytest.mark.parametrize(
    ("matching", "match", "said"),
    [
        (0.5, "auto", "matched by 50% warning: .*compare with match=model"),
        (0.5, "model", "trained on: matched warning:"),
        (1.0, "auto", "trained on: matched warning:"),
        (0.5, "none", "trained on: unchanged"),
    ],
)
def test_how_far_colours_are_matched_is_said(matching: float, match: str, said: str) -> None:
    card = replace(CARD, matching=matching)
    notes = " ".join(plan_of(card, PlanOptions(match=match), level=240).notes)  # type: ignore[arg-type]
    assert re.search(said, notes)
    assert ("match=model" in notes) == (said.endswith("model"))


@pytest.mark.parametrize(("direction", "matched"), [("a2b", True), ("b2a", False)])
def test_maps_are_not_matched_like_imagery(direction: str, matched: bool) -> None:
    """The colours of a map are classes; `--match model` still matches what it is told to."""
    card = replace(CARD, training={"recipe": {"direction": direction}})
    plans = [plan_of(card, PlanOptions(match=match), level=240) for match in ("auto", "model")]  # type: ignore[arg-type]
    assert [plan.view.rendition.curves is not None for plan in plans] == [matched, True]
