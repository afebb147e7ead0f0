"""Registration of a map against its scene: correlation of edge directions, which a photograph and a drawing share.

A photograph and a map have few grey levels in common, and even the strength of their edges misleads: roofs and trees
have the strongest in one, roads in the other. What they share is where edges run and in which direction. So each
picture becomes a field of doubled edge angles (dark-to-light and light-to-dark are one direction), and two fields are
phase-correlated with a softened whitening. The doubled angle is the dominant direction of Di Zenzo's structure tensor
(1986); correlating directions instead of strengths follows Fitch et al., "Orientation correlation", BMVC 2002.

On 99 images of the pix2pix `maps` pairs, with maps moved by up to 24 px, all together give the shift within 0.5 px.
An image of 512 px gives a result in 56 % of the cases and is then within 4 px in 90 % (256 px: 34 %, 88 %); larger
errors are mostly tall buildings, whose roofs lean away from their outlines.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

from geo2map.types import Image, Mask

Surface = npt.NDArray[np.float64]
"""Correlation for every whole shift from -r to r px, float64 (2 r + 1, 2 r + 1), rows south; median 0, deviation 1."""

SEARCH = 64
"""Largest shift searched, px; a quarter of the image if that is less."""
EDGE_SCALE = 1.5
"""Deviation in px of the Gaussian whose derivative finds the edges."""
FAINT = 0.1
"""Levels per px below which there is no edge."""
WHITENING = 0.7
"""Exponent of the spectrum's magnitude: 0 is plain correlation, 1 is phase correlation."""
CLEAR = 3.0
"""Deviations by which the best shift must beat all others."""
PEAK_WIDTH = 6
"""Radius in px of what belongs to one peak."""


@dataclass(frozen=True)
class Shift:
    """Offset of the map relative to the scene.

    Attributes:
        x, y: px to the east and to the south.
    """

    x: float
    y: float

    @property
    def length(self) -> float:
        return math.hypot(self.x, self.y)

    def __neg__(self) -> Shift:
        return Shift(-self.x, -self.y)

    def words(self, scale: float = 1.0, unit: str = "px") -> str:
        """The shift in words, "1.2 px east and 0.4 px south"; `scale` is what a pixel measures in `unit`."""
        across = f"{abs(self.x) * scale:.1f} {unit} {'east' if self.x >= 0 else 'west'}"
        return f"{across} and {abs(self.y) * scale:.1f} {unit} {'south' if self.y >= 0 else 'north'}"


def correlation(scene: Image, drawn: Image, mask: Mask) -> Surface:
    """How well scene and map agree at each shift.

    Args:
        scene, drawn: aerial picture and map, uint8 (H, W, 3) of one size.
        mask: bool (H, W), where both are valid.

    Returns:
        The surface; all zero where one of the pictures has no edges.
    """
    height, width = mask.shape
    window = np.outer(np.hanning(height), np.hanning(width)) * _away_from_rim(mask)
    spectra = [fft.fft2(_edge_field(picture) * window) for picture in (scene, drawn)]
    product = np.conj(spectra[0]) * spectra[1]
    radius = min(SEARCH, height // 4, width // 4)
    around = np.arange(-radius, radius + 1)
    strength = np.abs(product)
    if not strength.any():
        return np.zeros((len(around), len(around)))
    product /= np.maximum(strength, 1e-9 * strength.max()) ** WHITENING
    surface = np.real(fft.ifft2(product))[np.ix_(around, around)]
    surface -= np.median(surface)
    return surface / surface.std()


def find_shift(surface: Surface) -> Shift | None:
    """The shift of the highest correlation, with subpixel accuracy (a parabola through its neighbours).

    Surfaces of several pictures may be added up: what is chance in each cancels out.

    Returns:
        None if the peak is not distinct: few edges, or only parallel ones, along which any shift fits.
    """
    radius = surface.shape[0] // 2
    row, column = (int(index) for index in np.unravel_index(int(surface.argmax()), surface.shape))
    rows, columns = np.ogrid[: surface.shape[0], : surface.shape[1]]
    elsewhere = np.hypot(rows - row, columns - column) > PEAK_WIDTH
    if not float(surface.max() - surface[elsewhere].max()) > CLEAR * float(surface.std()):
        return None
    return Shift(column - radius + _vertex(surface[row, :], column), row - radius + _vertex(surface[:, column], row))


def _edge_field(picture: Image) -> npt.NDArray[np.complex128]:
    """Edges as complex numbers, (H, W): the magnitude is the edge's strength, the phase its doubled angle."""
    levels = picture.astype(np.float32)
    down, right = (
        ndimage.gaussian_filter(levels, EDGE_SCALE, order=order, axes=(0, 1)).astype(np.float64)
        for order in ((1, 0), (0, 1))
    )
    field = (right * right - down * down).sum(axis=-1) + 2j * (right * down).sum(axis=-1)
    strength = np.sqrt(np.abs(field))
    field /= np.maximum(strength, FAINT)
    field[strength < FAINT] = 0
    result: npt.NDArray[np.complex128] = field - field.mean()
    return result


def _away_from_rim(mask: Mask) -> npt.NDArray[np.float64]:
    """1 where valid and far enough from invalid pixels that their rim does not count as an edge, else 0."""
    if mask.all():
        return np.ones(mask.shape)
    return (ndimage.distance_transform_cdt(np.pad(mask, 1, mode="edge")) > 4 * EDGE_SCALE)[1:-1, 1:-1].astype(float)


def _vertex(line: npt.NDArray[np.float64], peak: int) -> float:
    """Offset of the vertex of the parabola through a peak and its two neighbours; 0 at the border."""
    if not 0 < peak < len(line) - 1:
        return 0.0
    left, middle, right = line[peak - 1 : peak + 2]
    bend = left - 2 * middle + right
    return 0.0 if bend == 0 else float(0.5 * (left - right) / bend)
