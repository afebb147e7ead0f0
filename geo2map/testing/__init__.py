"""Fakes that keep the contracts of `geo2map.protocols`: for tests, documentation and profiling."""

from geo2map.testing.fakes import (
    ArraySource,
    BlurTranslator,
    IdentityTranslator,
    MemoryOutput,
    cropped,
    make_card,
    make_job,
)

__all__ = ["ArraySource", "BlurTranslator", "IdentityTranslator", "MemoryOutput", "cropped", "make_card", "make_job"]
