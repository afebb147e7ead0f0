"""Options are described once: the typed keywords, the values they fill and the public calls agree."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from dataclasses import InitVar
from pathlib import Path
from typing import Any, ClassVar, Optional, get_origin, get_type_hints

import pytest

import geo2map
from geo2map.api import requests
from geo2map.api.batch import split_request
from geo2map.api.evaluating import Measuring
from geo2map.api.keywords import ConvertKeywords, RenderKeywords, ServeKeywords, ShardKeywords
from geo2map.api.model_keywords import EvaluateKeywords, RecipeKeywords, TrainKeywords
from geo2map.api.models import ResolvedModel, resolve_model
from geo2map.api.requests import ConvertRequest, RenderRequest, resolve
from geo2map.api.serving import ServeRequest
from geo2map.api.training import Training
from geo2map.cluster.planning import plan_job
from geo2map.errors import Geo2MapError, PlanError
from geo2map.ledger import OutputOptions
from geo2map.live import LiveOptions
from geo2map.model import ModelOptions, split_identity
from geo2map.plan import PlanOptions, Storage
from geo2map.scene import ReadingOptions, select_scenes
from geo2map.scene import imagery as imagery_module
from geo2map.scene.options import ReadingKeywords, SceneKeywords, SceneOptions
from geo2map.testing import make_card
from geo2map.train.config import TrainConfig
from geo2map.types import OnError

OF_RENDER = (ReadingOptions, PlanOptions, Storage, OutputOptions)
INTERNAL = {"sink"}
"""Fields that the library fills by itself."""
ENGINE = {"Engine": object}
"""A name that is imported for type checkers only."""


def hints(*kinds: type) -> dict[str, Any]:
    return {
        name: hint.type if isinstance(hint, InitVar) else hint
        for kind in kinds
        for name, hint in get_type_hints(kind, None, ENGINE).items()
        if name not in INTERNAL and get_origin(hint) is not ClassVar
    }


def test_keywords_are_the_fields_of_the_options() -> None:
    assert hints(SceneKeywords) == hints(SceneOptions)
    assert hints(ReadingKeywords) == hints(ReadingOptions)
    assert hints(RenderKeywords) == {**hints(*OF_RENDER), "on_error": OnError}
    assert hints(EvaluateKeywords) == hints(Measuring)


def test_no_option_belongs_to_two_values() -> None:
    """One keyword fills one field."""
    names = [name for kind in OF_RENDER for name in hints(kind)]
    assert len(names) == len(set(names))


def test_keywords_of_a_recipe_are_the_fields_of_its_config() -> None:
    assert hints(RecipeKeywords) == {name: Optional[hint] for name, hint in hints(TrainConfig).items()}  # noqa: UP045
    own = {name: hint for name, hint in hints(TrainKeywords).items() if name not in hints(RecipeKeywords)}
    of_training = {name: hint for name, hint in hints(Training).items() if name not in ("data", "out")}
    assert {name: own[name] for name in of_training} == of_training
    assert own.keys() - of_training.keys() == {"preset", "device", "threads", "deterministic"}


def test_keywords_of_a_live_map_are_the_fields_of_its_request() -> None:
    more = {name: hint for name, hint in hints(ServeKeywords).items() if name not in hints(RenderKeywords)}
    fields = hints(ServeRequest)
    assert more == {"keep": fields["out"], **{name: fields[name] for name in ("under", "token")}, **hints(LiveOptions)}
    assert hints(ServeKeywords)["address"] == fields["address"]


def test_keywords_of_a_conversion_are_fields_of_its_values() -> None:
    known = {**hints(ConvertRequest), **hints(Storage), **hints(OutputOptions)}
    found = hints(ConvertKeywords)
    assert found == {name: known[name] for name in found}


@pytest.mark.parametrize(
    "keywords",
    [SceneKeywords, ReadingKeywords, RenderKeywords, ShardKeywords, ServeKeywords, ConvertKeywords, EvaluateKeywords],
)
def test_each_keyword_has_its_line(keywords: type) -> None:
    """A docstring follows each key."""
    body = ast.parse(inspect.getsource(keywords)).body[0].body  # type: ignore[attr-defined]
    assert isinstance(body.pop(0), ast.Expr)
    assert body
    for key, line in zip(body[::2], body[1::2], strict=True):
        assert isinstance(key, ast.AnnAssign)
        assert isinstance(line, ast.Expr)


def calls() -> Iterator[Callable[..., object]]:
    """The public calls that take keywords, with arguments that would be fine."""
    yield lambda **options: geo2map.render("s.tif", "out", **options)
    yield lambda **options: geo2map.tile("s.tif", "out", card=make_card(), **options)
    yield lambda **options: geo2map.render_each("s.tif", "out", **options)
    yield lambda **options: geo2map.dry_run("s.tif", **options)
    yield lambda **options: geo2map.preview("s.tif", **options)
    yield lambda **options: geo2map.bench("s.tif", **options)
    yield lambda **options: geo2map.serve("s.tif", **options)
    yield lambda **options: plan_job("s.tif", **options)


@pytest.mark.parametrize("call", list(calls()))
def test_an_unknown_keyword_names_the_nearest(call: Callable[..., object]) -> None:
    with pytest.raises(TypeError, match=r"^unknown option 'formt'; did you mean 'format'\?$"):
        call(formt="webp")
    with pytest.raises(TypeError, match=r"^unknown option 'qqqqqq'$"):
        call(qqqqqq=1)


def test_unknown_keywords_of_the_other_calls() -> None:
    with pytest.raises(TypeError, match="did you mean 'scheme'"):
        geo2map.convert("a", "b", schem="tms")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="did you mean 'limit'"):
        geo2map.evaluate_model("pairs", limits=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="did you mean 'lambda_l1'"):
        geo2map.train_model("pairs", "m.safetensors", lambda_l2=3)  # type: ignore[call-arg]


def test_a_value_that_makes_no_sense_is_refused_with_the_request() -> None:
    with pytest.raises(PlanError, match="on_error 'skp' is not supported: give fail or skip") as refused:
        geo2map.render("s.tif", "out", on_error="skp")  # type: ignore[typeddict-item]
    assert refused.value.usage
    assert refused.value.option == "on_error"


def test_a_request_is_resolved_once(monkeypatch: pytest.MonkeyPatch, small_scene: Path, tmp_path: Path) -> None:
    """One search for scenes, one reading of the card, for a whole render."""
    counts = {"scenes": 0, "cards": 0}

    def count(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            counts[name] += 1
            return function(*arguments)

        return counted

    from geo2map.scene import selection

    monkeypatch.setattr(selection, "find_imagery", count("scenes", selection.find_imagery))
    monkeypatch.setattr(ModelOptions, "load_card", count("cards", ModelOptions.load_card))
    request = RenderRequest(scenes=small_scene, out=tmp_path / "tiles", planning=PlanOptions(zoom=17))
    resolved = resolve(request)
    with resolved.open() as imagery:
        job = resolved.job(imagery, resolved.plan(imagery))
    assert counts == {"scenes": 1, "cards": 1}
    assert job.plan.model == resolved.model.card.identity
    assert resolved.container is not None
    assert resolved.container.is_folder


def test_what_is_resolved_stays_as_it_is(small_scene: Path) -> None:
    selection, model = select_scenes(small_scene), resolve_model(make_card())
    assert select_scenes(selection) is selection
    assert resolve_model(model) is model


def test_a_card_alone_translates_nothing() -> None:
    model = ResolvedModel(make_card())
    assert (model.translates, model.engine, model.precision, model.device) == (False, None, "", "")


def test_each_scene_is_a_request_and_all_share_a_model(tmp_path: Path, small_scene: Path) -> None:
    copy = tmp_path / "b.tif"
    copy.write_bytes(small_scene.read_bytes())
    request = RenderRequest(scenes=[small_scene, copy], out=tmp_path / "maps", model=make_card())
    first, second = split_request(request, ".tif")
    assert first.model is second.model
    assert [str(each.out) for each in (first, second)] == [
        str(tmp_path / "maps" / f"{path.stem}.tif") for path in (small_scene, copy)
    ]


def test_cut_tiles_are_png(small_scene: Path, tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="as PNG: leave the format out"):
        geo2map.tile(small_scene, tmp_path / "tiles", card=make_card(), format="webp")
    assert not (tmp_path / "tiles").exists()


def test_cheap_refusals_come_first(monkeypatch: pytest.MonkeyPatch, small_scene: Path, tmp_path: Path) -> None:
    """An output that cannot be is refused before scenes are opened or a card is read."""
    monkeypatch.setattr(imagery_module, "read_scene", lambda *_: pytest.fail("a scene was opened"))
    monkeypatch.setattr(requests, "resolve_model", lambda _: pytest.fail("a card was read"))
    with pytest.raises(Geo2MapError):
        geo2map.render(small_scene, tmp_path / "map.xyz")


def test_the_identity_of_a_model_is_split_where_it_is_joined() -> None:
    card = make_card(name="my town model")
    assert split_identity(card.identity) == ("my town model", card.fingerprint)
