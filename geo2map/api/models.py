"""Which model a call uses: its card is read once, its weights are loaded when they are needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, Union

from geo2map.files.closing import Closing
from geo2map.model import ModelCard, ModelOptions

if TYPE_CHECKING:
    from geo2map.engine import Engine

ModelLike: TypeAlias = Union["Engine", ModelOptions, str, Path]
"""A loaded engine, options to load one, or a model's packaged name or file."""


class ResolvedModel(Closing):
    """A model whose card has been read. A context manager that closes the engine that it loaded.

    Attributes:
        card: what the plan follows.
        options: how to load the model, here or in another process; None for a loaded engine, and for a card alone.
        translates: False where tiles are cut for the model; then it only helps to plan.
        precision, device: as a job records them before the model is loaded; "" where nothing is translated.
    """

    def __init__(self, choice: Engine | ModelOptions | ModelCard, *, translates: bool = True) -> None:
        """
        Args:
            translates: False cuts tiles for the model; a card alone can do nothing else.

        Raises:
            ModelFileError: not a model, or it lacks the mode.
        """
        self.options = choice if isinstance(choice, ModelOptions) else None
        self.translates = translates and not isinstance(choice, ModelCard)
        self.precision = self.device = ""
        if isinstance(choice, ModelOptions):
            self.card = choice.load_card()
            device = choice.device.split(":")[0]
            precision = "fp32" if choice.precision == "auto" else str(choice.precision)
        elif isinstance(choice, ModelCard):
            self.card, self.loaded = choice, None
            return
        else:
            self.card, self.loaded = choice.card, choice
            device, precision = choice.device.type, choice.precision
        if self.translates:
            self.precision, self.device = precision, device

    @cached_property
    def loaded(self) -> Engine | None:
        """The loaded model; None of a card alone.

        Raises:
            ModelFileError: not a model.
            DeviceError: the device is missing.
        """
        assert self.options is not None, "engines and cards are stored when the model is resolved"
        return as_engine(self.options)

    @property
    def is_card_alone(self) -> bool:
        """Whether there is no network to load."""
        return self.options is None and self.loaded is None

    @property
    def engine(self) -> Engine | None:
        """What translates, loaded; None where nothing is translated. Raises what `loaded` raises."""
        return self.loaded if self.translates else None

    def close(self) -> None:
        """Closes the engine that was loaded here; harmless when repeated."""
        if self.options is not None and (loaded := vars(self).pop("loaded", None)) is not None:
            loaded.close()


def resolve_model(choice: ModelLike | ModelCard | ResolvedModel) -> ResolvedModel:
    """Reads a model's card; returns a resolved model unchanged."""
    if isinstance(choice, ResolvedModel):
        return choice
    return ResolvedModel(choice if isinstance(choice, ModelCard) else as_choice(choice))


def as_choice(engine: ModelLike) -> Engine | ModelOptions:
    """A model's name or file as options; anything else unchanged."""
    return ModelOptions(model=engine) if isinstance(engine, str | Path) else engine


def as_engine(engine: ModelLike) -> Engine:
    """A loaded engine.

    Raises:
        ModelFileError: not a model.
        DeviceError: the device is missing.
    """
    choice = as_choice(engine)
    if not isinstance(choice, ModelOptions):
        return choice
    from geo2map.engine import load_engine  # torch takes a second to import

    return load_engine(
        choice.model,
        device=choice.device,
        precision=choice.precision,
        threads=choice.threads,
        batch=choice.batch,
        mode=choice.mode,
    )


@contextmanager
def open_engine(engine: ModelLike) -> Iterator[Engine]:
    """A loaded engine; one that is loaded here is closed on leaving the `with` block.

    Raises:
        ModelFileError: not a model.
        DeviceError: the device is missing.
    """
    loaded = as_engine(engine)
    with nullcontext(loaded) if loaded is engine else loaded:
        yield loaded
