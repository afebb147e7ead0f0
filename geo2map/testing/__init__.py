"""Fakes that keep the contracts of `geo2map.protocols`: for tests, documentation and profiling."""

from geo2map.testing.fakes import (
    ArraySource,
    BlurTranslator,
    IdentityTranslator,
    MemoryOutput,
    cropped,
    fake_job,
    make_card,
)

__all__ = ["ArraySource", "BlurTranslator", "IdentityTranslator", "MemoryOutput", "cropped", "fake_job", "make_card"]
