"""Errors: one sentence, and the name of the option that helps."""

from __future__ import annotations

import pickle

import pytest

from geo2map import errors

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.Geo2MapError)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_says_its_sentence_and_names_its_option(kind: type[errors.Geo2MapError]) -> None:
    assert (str(kind("no CRS")), kind("no CRS").option) == ("no CRS", None)
    found = pickle.loads(pickle.dumps(kind("no CRS", option="crs")))
    assert (type(found), str(found), found.option) == (kind, "no CRS", "crs")
