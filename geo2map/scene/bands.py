"""Which bands of a file hold its colours, and which pixels are valid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from rasterio.dtypes import in_dtype_range
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.io import DatasetReader

from geo2map.errors import BandError
from geo2map.scene.numbers import Linear, declared_bits, meant_dtype, meant_values

RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)


@dataclass(frozen=True)
class Bands:
    """The roles of a file's bands.

    Attributes:
        indexes: the bands used as red, green and blue, counted from 1; a gray band three times.
        palette: for each value of a paletted band its colour (red, green, blue, alpha); None for plain bands.
        alpha: GDAL's name of the alpha band, "4" or "mask,1"; None if there is none.
        alpha_max: its value where a pixel is opaque.
        nodata: for each of `colours` the value of pixels without data, NaN included; None if none is declared.
        dtype: numpy's name of the type that can hold all of `indexes`, their meaning, and 0 to 255.
        bits: of the values that reading gives, if the file declares fewer than its type has; else None.
        meant: for each of `colours` the scale and offset that reading applies; None if values are read
            as they are stored.
    """

    indexes: tuple[int, int, int]
    palette: tuple[tuple[int, int, int, int], ...] | None
    alpha: str | None
    nodata: tuple[float, ...] | None
    dtype: str
    alpha_max: float = 255
    # not in the representation, so that the digests of other files do not change
    bits: int | None = field(default=None, repr=False)
    meant: tuple[Linear, ...] | None = field(default=None, repr=False)

    @property
    def colours(self) -> tuple[int, ...]:
        """The bands to read: one for gray and for a palette, else three."""
        return self.indexes[:1] if len(set(self.indexes)) == 1 else self.indexes

    @property
    def count(self) -> int:
        """Colours that reading gives: one for gray, else three."""
        return len(self.colours) if self.palette is None else 3

    @property
    def has_alpha(self) -> bool:
        """Whether reading gives an alpha band after the colours; a palette always does."""
        return self.alpha is not None or self.palette is not None

    @property
    def missing(self) -> tuple[float, ...] | None:
        """`nodata` as reading gives it."""
        if self.nodata is None or self.meant is None:
            return self.nodata
        exact = np.dtype(self.dtype).type
        pairs = zip(self.nodata, self.meant, strict=True)
        return tuple(float(exact(value * ratio + offset)) for value, (ratio, offset) in pairs)

    @property
    def channels(self) -> list[list[int]]:
        """For red, green and blue the level of each value of the palette, and for alpha if no other band is alpha.

        One value more than the palette has: values without a colour are black and transparent.
        """
        columns = [list(column) for column in zip(*(self.palette or ()), (0, 0, 0, 0), strict=True)]
        hidden = set(self.nodata or ())
        columns[3] = [0 if value in hidden else alpha for value, alpha in enumerate(columns[3])]
        return columns if self.alpha is None else columns[:3]

    def valid(self, pixels: npt.NDArray[np.generic]) -> npt.NDArray[np.bool_]:
        """Which of some pixels (bands, ...), colours and alpha as read, hold data, bool (...).

        A pixel does unless it is less than half opaque, or all of its colours are nodata, or one is not finite.
        """
        colours = pixels[: self.count]
        mask = np.isfinite(colours).all(axis=0)
        if self.has_alpha:
            mask &= pixels[self.count] >= self.alpha_max / 2
        if self.missing is not None and self.palette is None:
            near = 2e-7 if colours.dtype.kind == "f" else 0.0  # a decimal nodata may be off in its last bit
            values = np.array(self.missing).reshape(-1, *[1] * (colours.ndim - 1))
            mask &= ~np.isclose(colours, values, rtol=near, atol=0, equal_nan=True).all(axis=0)
        return np.asarray(mask, dtype=np.bool_)

    def blank(self, pixels: npt.NDArray[np.generic]) -> npt.NDArray[np.bool_]:
        """Which pixels (bands, ...), as read, cannot contribute to any kernel, bool (...).

        Stricter than not `valid`: they are wholly transparent, or exactly nodata in every colour.
        """
        colours = pixels[: self.count]
        found = np.zeros(colours.shape[1:], dtype=np.bool_)
        if self.has_alpha:
            found |= pixels[self.count] == 0
        if self.missing is not None and self.palette is None:
            values = np.array(self.missing).reshape(-1, *[1] * (colours.ndim - 1))
            if colours.dtype.kind in "iu" and np.array_equal(own := values.astype(colours.dtype), values):
                found |= (colours == own).all(axis=0)  # several times faster than as floats
            else:
                found |= ((colours == values) | (np.isnan(values) & (colours != colours))).all(axis=0)
        return found


def choose_bands(
    dataset: DatasetReader, name: str, indexes: Sequence[int] | None = None, nodata: float | None = None
) -> Bands:
    """The chosen bands, or those that the file marks as colours.

    By default: a palette; bands marked red, green and blue; the first three; the first one as gray where there
    are only one or two. Bands marked as alpha are never colours. If a file declares validity in several
    ways, a pixel is valid where all of them agree.

    Args:
        nodata: used instead of the file's own.

    Raises:
        BandError: bands that the file does not have, or values that are not colours.
    """
    roles = dataset.colorinterp
    chosen = _require(indexes, dataset.count, name) if indexes else _default(roles)
    dtypes = [np.dtype(dataset.dtypes[index - 1].replace("complex_int16", "complex64")) for index in chosen]
    if any(dtype.kind == "c" for dtype in dtypes):
        raise BandError(f"{name} holds complex numbers, which are no colours; take their magnitude first")
    palette = None
    if len(set(chosen)) == 1 and roles[chosen[0] - 1] == ColorInterp.palette:
        palette = tuple(colour for _, colour in sorted(dataset.colormap(chosen[0]).items()))
    found = Bands(chosen, palette, _alpha(dataset, chosen), None, "uint8")
    if palette is None:
        meant = meant_values(dataset, found.colours)
        dtype = meant_dtype(dataset, found.colours, str(np.result_type(*dtypes, np.uint8)), meant)
        bits = declared_bits(dataset, found.colours) if np.dtype(dtype).kind == "u" else None
        found = replace(found, bits=bits, meant=meant, dtype=dtype)
    return replace(found, nodata=_nodata(dataset, name, found.colours, nodata))


def _require(indexes: Sequence[int], count: int, name: str) -> tuple[int, int, int]:
    if not all(1 <= index <= count for index in indexes):
        given = ",".join(map(str, indexes))
        raise BandError(f"{name} has no bands {given}; choose among 1 to {count}", option="indexes")
    red, green, blue = tuple(indexes) * (3 // len(indexes))
    return red, green, blue


def _default(roles: Sequence[ColorInterp]) -> tuple[int, int, int]:
    if all(role in roles for role in RGB):
        red, green, blue = (roles.index(role) + 1 for role in RGB)
        return red, green, blue
    plain = [index for index, role in enumerate(roles, 1) if role != ColorInterp.alpha] or [1]
    if len(plain) < 3:
        return plain[0], plain[0], plain[0]
    return plain[0], plain[1], plain[2]


def _alpha(dataset: DatasetReader, indexes: tuple[int, ...]) -> str | None:
    """An alpha band at any position (GDAL's own mask considers the last band only), or else a mask."""
    alphas = [index for index, role in enumerate(dataset.colorinterp, 1) if role == ColorInterp.alpha]
    if alphas and alphas[-1] not in indexes:
        return str(alphas[-1])
    flags = dataset.mask_flag_enums[indexes[0] - 1]
    said = {MaskFlags.all_valid, MaskFlags.nodata, MaskFlags.alpha}
    return None if said & set(flags) else f"mask,{indexes[0]}"


def _nodata(
    dataset: DatasetReader, name: str, indexes: tuple[int, ...], asked: float | None
) -> tuple[float, ...] | None:
    """A value for each band, or none at all; NaN in floats that declare nothing.

    A value that a band's type cannot hold matches no pixel: harmless in a file, an error in a request.
    """
    dtypes = [dataset.dtypes[index - 1] for index in indexes]
    if asked is not None and not all(_holds(dtype, asked) for dtype in dtypes):
        raise BandError(
            f"nodata {asked:g} does not fit {name}, which holds {dtypes[0]}; give a value of that type", option="nodata"
        )
    values = [asked if asked is not None else dataset.nodatavals[index - 1] for index in indexes]
    values = [np.nan if v is None and np.dtype(t).kind == "f" else v for v, t in zip(values, dtypes, strict=True)]
    if any(value is None or not _holds(dtype, value) for value, dtype in zip(values, dtypes, strict=True)):
        return None
    return tuple(float(value) for value in values if value is not None)


def _holds(dtype: str, value: float) -> bool:
    kind = np.dtype(dtype).kind
    return in_dtype_range(value, dtype) and (kind == "f" or float(value).is_integer())
