"""Images that are the same though their files differ: re-encoded, resized, mirrored or turned.

Every image is known by its thumbnail. A hash of 96 bits, the signs of its lowest cosine
coefficients, finds candidates: those that agree in one of six bands of 16 bits are looked up in a
sorted list, so that the work grows with the images and not with their pairs. Candidates are then
compared by the coefficients themselves. Coefficients that describe rows or columns as a whole are
left out: the layers of skin make them alike in any two scans.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn

ORDER = 16
"""Cosine coefficients 1 to this, along each side, describe an image."""
STEEPNESS = 1.5
"""Coefficients count more by this power of their frequency, so that the one thing that all
photographs share, a blob in the middle, does not make them alike."""
BITS, BAND = 96, 16
DISTANCE = 24
"""Most bits that two hashes of one image differ in; different images differ in 48 or so."""
ALIKE = 0.95
"""Smallest correlation of the weighed coefficients of two copies of an image. On phantoms and
MILK10k, copies at JPEG quality 50 or at half the size reach 0.97, other lesions 0.92 at most."""
WEAK = 2
"""Bits of a band that are also tried the other way: those whose coefficients are next to 0."""
CROWD = 1000
"""A band that more than this number of images share is not used to compare them."""
CHUNK = 1 << 14

_SIGN = np.where(np.arange(1, ORDER + 1) % 2, -1, 1).astype(np.float32)
_FREQUENCY = np.hypot.outer(np.arange(1, ORDER + 1), np.arange(1, ORDER + 1))
_HASHED = np.argsort(_FREQUENCY, axis=None, kind="stable")[:BITS]
_WEIGHT = (_FREQUENCY**STEEPNESS).astype(np.float32)

Array = NDArray[np.float32]


def describe(thumbs: NDArray[np.uint8]) -> Array:
    """Weighed cosine coefficients (n, ORDER, ORDER) of thumbnails (n, T, T), of unit norm.

    All are 0 where a thumbnail is flat: it is like no other.
    """
    cosines = dctn(thumbs.astype(np.float32), axes=(1, 2), norm="ortho")
    values = cosines[:, 1 : ORDER + 1, 1 : ORDER + 1]
    flat = np.square(values).sum((1, 2)) < ORDER**2  # a grey level per coefficient
    values = values * _WEIGHT
    norm = np.sqrt(np.square(values).sum((1, 2), keepdims=True))
    values = values / np.maximum(norm, 1e-6)
    values[flat] = 0
    return values


def turned(coefficients: Array) -> Iterator[Array]:
    """The coefficients of an image as it is, mirrored and turned: eight ways."""
    for each in (coefficients, coefficients.swapaxes(1, 2)):
        for down in (each, each * _SIGN[:, None]):
            yield down
            yield down * _SIGN


def same_images(thumbs: NDArray[np.uint8], numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Pairs (k, 2) of images that show the same, as positions in `numbers`, the smaller first.

    Args:
        thumbs: (n, T, T), grey.
        numbers: those of the thumbnails to compare.
    """
    starts = range(0, len(numbers), CHUNK)
    same = [np.zeros((0, 2), np.int64)]
    if not numbers.size:
        return same[0]
    known = np.concatenate([_bands(describe(thumbs[numbers[i : i + CHUNK]]))[0] for i in starts])
    index = [_sorted(band) for band in known.T]
    for start in starts:
        for way in turned(describe(thumbs[numbers[start : start + CHUNK]])):
            pairs = _candidates(way, known, index)
            pairs = pairs[pairs[:, 0] + start > pairs[:, 1]]
            others = describe(thumbs[numbers[pairs[:, 1]]])
            alike = np.einsum("nij,nij->n", way[pairs[:, 0]], others) >= ALIKE
            same.append((pairs + np.array([start, 0]))[alike][:, ::-1])
    return np.unique(np.concatenate(same), axis=0)


def _bands(coefficients: Array) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Signs of the lowest coefficients (n, ORDER, ORDER), in bands of 16.

    Returns:
        The bands (n, BITS / BAND), and their `WEAK` most doubtful bits (n, BITS / BAND, WEAK).
    """
    plain = (coefficients / _WEIGHT).reshape(len(coefficients), -1)[:, _HASHED]
    plain = plain.reshape(len(plain), -1, BAND)
    bit = np.left_shift(1, np.arange(BAND)).astype(np.uint16)
    doubtful = np.argpartition(np.abs(plain), WEAK, axis=2)[:, :, :WEAK]
    return ((plain > 0) * bit).sum(2, dtype=np.uint16), bit[doubtful]


def _sorted(keys: NDArray[np.uint16]) -> tuple[NDArray[np.uint16], NDArray[np.intp]]:
    order = np.argsort(keys, kind="stable")
    return keys[order], order


def _candidates(
    images: Array,
    known: NDArray[np.uint16],
    index: list[tuple[NDArray[np.uint16], NDArray[np.intp]]],
) -> NDArray[np.int64]:
    """Pairs (k, 2) of a row of `images` and a row of `known` with few different bits."""
    bands, weak = _bands(images)
    candidates = []
    for band, (keys, order) in enumerate(index):
        # as it is, and with one doubtful bit the other way
        for flip in (np.uint16(0), *weak[:, band].T):
            value = bands[:, band] ^ flip
            first = np.searchsorted(keys, value, "left")
            count = np.searchsorted(keys, value, "right") - first
            count[count > CROWD] = 0
            rows = np.repeat(np.arange(len(images)), count)
            within = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)
            others = order[np.repeat(first, count) + within]
            close = np.bitwise_count(bands[rows] ^ known[others]).sum(1) <= DISTANCE
            candidates.append(np.stack([rows[close], others[close]], axis=1))
    return np.unique(np.concatenate(candidates), axis=0)
