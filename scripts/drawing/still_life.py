"""A picture to convolve that looks like a photograph and is nobody's: a still life, traced ray by ray.

Points and directions are arrays (..., 3): x to the right, y up, z away from the camera; a unit is about 10 cm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

FAR = 1e9
RAYS_PER_SIDE = 3
"""So many rays a side of each pixel, squared; each goes to its own point of the lamp, so shadows are soft."""


def still_life(size: int = 256, seed: int = 0) -> NDArray[np.float32]:
    """Return the picture, (size, size, 3) float32 from 0 to 1: RGB as a screen takes it, with some film grain."""
    rng = np.random.default_rng(seed)
    scene = _scene(rng)
    lamp = np.array([-3.6, 4.6, -2.6])
    eye, target = np.array([0.35, 1.75, -6.3]), np.array([0.05, 0.68, 0.3])
    forward = _unit(target - eye)
    right = _unit(np.cross([0.0, 1.0, 0.0], forward))
    up = np.cross(forward, right)
    light = np.zeros((size, size, 3))
    steps = (np.arange(RAYS_PER_SIDE) + 0.5) / RAYS_PER_SIDE
    places = [(a, b) for a in steps for b in steps]
    lamp_places = rng.permutation(len(places))
    for n, (a, b) in enumerate(places):
        x = ((np.arange(size) + a) / size * 2 - 1)[None, :, None]
        y = (1 - (np.arange(size) + b) / size * 2)[:, None, None]
        towards = _unit(forward + 0.36 * (x * right + y * up))
        u, v = places[lamp_places[n]]
        light += _trace(scene, np.broadcast_to(eye, towards.shape), towards, lamp + 1.2 * np.array([u, 0, v]))
    light /= len(places)
    x, y = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size))
    light *= (1 - 0.22 * (x**2 + y**2) / 2)[..., None]  # a lens gives its corners less light
    shown = (1 - np.exp(-1.35 * light)) ** (1 / 2.2)
    shown += 0.004 * rng.standard_normal((size, size, 1))
    return np.clip(shown, 0, 1).astype(np.float32)


@dataclass(frozen=True)
class Thing:
    """An object: where a ray meets it, its colour there, and how much it mirrors."""

    meet: Callable[[Array, Array], tuple[Array, Array]]
    """Takes origins and directions; returns distances (FAR: never) and normals."""
    colour: Callable[[Array], Array]
    mirror: float = 0.0
    gloss: float = 0.0


class _Hit(NamedTuple):
    distance: Array
    point: Array
    normal: Array
    colour: Array
    mirror: Array
    gloss: Array


def _trace(scene: list[Thing], origin: Array, towards: Array, lamp: Array, bounces: int = 1) -> Array:
    """Return the light that comes along each ray."""
    hit = _first_hit(scene, origin, towards)
    above = hit.point + 1e-4 * hit.normal
    to_lamp = lamp - above
    distance = np.linalg.norm(to_lamp, axis=-1)
    to_lamp = to_lamp / distance[..., None]
    lit = (_first_distance(scene, above, to_lamp) > distance) * np.maximum(_dot(hit.normal, to_lamp), 0)
    lit = lit * (6 / distance) ** 2
    half = _unit(to_lamp - towards)
    shine = lit * hit.gloss * np.maximum(_dot(hit.normal, half), 0) ** 60
    # What does not come from the lamp comes from everywhere, a little more from above and less near the table.
    sky = 0.17 + 0.08 * hit.normal[..., 1] - 0.10 * np.exp(-2.2 * np.maximum(hit.point[..., 1], 0))
    warm, cool = np.array([1.06, 0.98, 0.86]), np.array([0.86, 0.95, 1.12])
    light = hit.colour * (1.25 * lit[..., None] * warm + sky[..., None] * cool) + shine[..., None]
    if bounces and (hit.mirror > 0).any():
        glance = 1 - np.abs(_dot(hit.normal, towards))
        share = (hit.mirror * (0.25 + 0.75 * glance**3))[..., None]
        mirrored = towards - 2 * _dot(hit.normal, towards)[..., None] * hit.normal
        light = light * (1 - share) + share * _trace(scene, above, mirrored, lamp, bounces - 1)
    return light


def _first_hit(scene: list[Thing], origin: Array, towards: Array) -> _Hit:
    shape = towards.shape[:-1]
    best = _Hit(np.full(shape, FAR), origin, -towards, np.full((*shape, 3), 0.45), np.zeros(shape), np.zeros(shape))
    for thing in scene:
        distance, normal = thing.meet(origin, towards)
        nearer = distance < best.distance
        point = origin + np.where(nearer, distance, 0)[..., None] * towards
        best = _Hit(
            np.where(nearer, distance, best.distance),
            np.where(nearer[..., None], point, best.point),
            np.where(nearer[..., None], normal, best.normal),
            np.where(nearer[..., None], thing.colour(point), best.colour),
            np.where(nearer, thing.mirror, best.mirror),
            np.where(nearer, thing.gloss, best.gloss),
        )
    return best


def _first_distance(scene: list[Thing], origin: Array, towards: Array) -> Array:
    return np.min([thing.meet(origin, towards)[0] for thing in scene], axis=0)


def _scene(rng: np.random.Generator) -> list[Thing]:
    noise = _Noise(rng)

    def wood(p: Array) -> Array:
        x, z = p[..., 0], p[..., 2]
        plank = np.floor(z / 0.95)
        along = x * 0.35 + 7.3 * plank
        rings = np.sin(22 * (z % 0.95) + 9 * noise(along, z * 1.7) + 4 * noise(along * 6, z * 9))
        fine = noise(x * 3 + 5 * plank, z * 40)
        tone = 0.80 + 0.10 * rings + 0.18 * (fine - 0.5) + 0.10 * np.sin(3.7 * plank)
        joint = 1 - 0.6 * (np.minimum(z % 0.95, 0.95 - z % 0.95) < 0.012)
        return (tone * joint)[..., None] * np.array([0.55, 0.33, 0.17])

    def bricks(p: Array) -> Array:
        row = np.floor(p[..., 1] / 0.34)
        x = p[..., 0] + 0.42 * (row % 2)
        mortar = np.minimum(x % 0.84, p[..., 1] % 0.34) < 0.035
        tone = 0.72 + 0.36 * noise(np.floor(x / 0.84) * 3.1, row * 5.7) + 0.30 * (noise(x * 14, p[..., 1] * 14) - 0.5)
        brick = tone[..., None] * np.array([0.52, 0.30, 0.24])
        plaster = (0.62 + 0.1 * noise(p[..., 0] * 20, p[..., 1] * 20))[..., None] * np.array([1.0, 0.97, 0.92])
        return np.where(mortar[..., None], plaster, brick)

    def apple(p: Array) -> Array:
        angle = np.arctan2(p[..., 2] + 0.75, p[..., 0] + 0.55)
        streaks = noise(angle * 9, p[..., 1] * 1.2)
        return _mix(np.array([0.62, 0.05, 0.05]), np.array([0.80, 0.50, 0.10]), np.clip(1.5 * streaks - 0.75, 0, 1))

    def beads(p: Array) -> Array:
        stripes = np.sin(26 * p[..., 1] + 3 * np.sin(4 * np.arctan2(p[..., 2] - 0.1, p[..., 0] - 1.25))) > 0.1
        return np.where(stripes[..., None], np.array([0.90, 0.86, 0.76]), np.array([0.08, 0.20, 0.36]))

    def book(low: float, high: float, cover: ArrayLike) -> Callable[[Array], Array]:
        def colour(p: Array) -> Array:
            inside = (p[..., 1] > low + 0.03) & (p[..., 1] < high - 0.03)
            pages = (0.82 + 0.14 * np.sin(190 * p[..., 1]))[..., None] * np.array([0.95, 0.91, 0.80])
            return np.where((inside & (p[..., 0] > -1.9))[..., None], pages, np.asarray(cover))

        return colour

    return [
        Thing(_plane(1, 0.0), wood, mirror=0.16, gloss=0.12),
        Thing(_plane(2, 2.3), bricks),
        Thing(_sphere([-0.55, 0.52, -0.75], 0.52), apple, mirror=0.22, gloss=0.9),
        Thing(_sphere([1.25, 0.62, 0.1], 0.62), beads, mirror=0.12, gloss=0.5),
        Thing(_sphere([0.42, 0.27, -1.35], 0.27), lambda p: np.full(p.shape, 0.06), mirror=1.6, gloss=1.2),
        Thing(_box([-1.15, 0.17, 0.75], [0.95, 0.17, 0.62], 0.42), book(0, 0.34, [0.10, 0.30, 0.24]), gloss=0.1),
        Thing(_box([-1.08, 0.46, 0.80], [0.80, 0.12, 0.55], 0.20), book(0.34, 0.58, [0.62, 0.42, 0.10]), gloss=0.1),
        Thing(_cylinder(-1.15, 0.85, 0.40, 0.58, 1.62), _glaze, mirror=0.25, gloss=0.8),
    ]


def _glaze(p: Array) -> Array:
    """Return a mug's colour: white with two blue bands."""
    band = (np.abs(p[..., 1] - 1.40) < 0.05) | (np.abs(p[..., 1] - 1.26) < 0.025)
    return np.where(band[..., None], np.array([0.10, 0.22, 0.50]), np.array([0.86, 0.83, 0.78]))


def _plane(axis: int, height: float) -> Callable[[Array, Array], tuple[Array, Array]]:
    def meet(origin: Array, towards: Array) -> tuple[Array, Array]:
        with np.errstate(divide="ignore", invalid="ignore"):
            t = (height - origin[..., axis]) / towards[..., axis]
        normal = np.zeros(towards.shape)
        normal[..., axis] = -np.sign(towards[..., axis])
        return np.where(t > 1e-4, t, FAR), normal

    return meet


def _sphere(centre: ArrayLike, radius: float) -> Callable[[Array, Array], tuple[Array, Array]]:
    def meet(origin: Array, towards: Array) -> tuple[Array, Array]:
        offset = origin - np.asarray(centre)
        b = _dot(offset, towards)
        root = b**2 - _dot(offset, offset) + radius**2
        t = -b - np.sqrt(np.maximum(root, 0))
        t = np.where((root > 0) & (t > 1e-4), t, FAR)
        return t, (offset + np.minimum(t, 1e3)[..., None] * towards) / radius

    return meet


def _box(centre: ArrayLike, half: ArrayLike, turn: float) -> Callable[[Array, Array], tuple[Array, Array]]:
    """Return a box, turned about the vertical by `turn` radians."""
    c, s = np.cos(turn), np.sin(turn)
    rotation = np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])

    def meet(origin: Array, towards: Array) -> tuple[Array, Array]:
        o, d = (origin - np.asarray(centre)) @ rotation.T, towards @ rotation.T
        with np.errstate(divide="ignore", invalid="ignore"):
            near = (-np.sign(d) * np.asarray(half) - o) / d
            far = (np.sign(d) * np.asarray(half) - o) / d
        entry, leave = near.max(axis=-1), far.min(axis=-1)
        face = near.argmax(axis=-1)[..., None] == np.arange(3)
        t = np.where((entry < leave) & (entry > 1e-4), entry, FAR)
        return t, (-np.sign(d) * face) @ rotation

    return meet


def _cylinder(
    x: float, z: float, radius: float, low: float, high: float
) -> Callable[[Array, Array], tuple[Array, Array]]:
    """Return an upright cylinder with a lid."""

    def meet(origin: Array, towards: Array) -> tuple[Array, Array]:
        o = origin - np.array([x, 0, z])
        flat = np.array([1.0, 0.0, 1.0])
        a, b = _dot(towards * flat, towards), _dot(o * flat, towards)
        with np.errstate(divide="ignore", invalid="ignore"):
            root = b**2 - a * (_dot(o * flat, o) - radius**2)
            t = (-b - np.sqrt(np.maximum(root, 0))) / a
            height = o[..., 1] + t * towards[..., 1]
            side = np.where((root > 0) & (t > 1e-4) & (height > low) & (height < high), t, FAR)
            t = (high - o[..., 1]) / towards[..., 1]
        rim = o + np.minimum(np.abs(t), 1e3)[..., None] * towards
        lid = np.where((t > 1e-4) & (_dot(rim * flat, rim) < radius**2), t, FAR)
        round_normal = (o + np.minimum(side, 1e3)[..., None] * towards) * flat / radius
        normal = np.where((lid < side)[..., None], np.array([0.0, 1.0, 0.0]), round_normal)
        return np.minimum(side, lid), normal

    return meet


class _Noise:
    """Smooth random numbers from 0 to 1 over the plane."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.table = rng.random((256, 256))

    def __call__(self, x: Array, y: Array) -> Array:
        x, y = np.clip(x, -1e6, 1e6), np.clip(y, -1e6, 1e6)
        i, j = np.floor(x).astype(int), np.floor(y).astype(int)
        a, b = x - i, y - j
        a, b = a * a * (3 - 2 * a), b * b * (3 - 2 * b)
        t = self.table
        i, j, i1, j1 = i % 256, j % 256, (i + 1) % 256, (j + 1) % 256
        return (t[i, j] * (1 - a) + t[i1, j] * a) * (1 - b) + (t[i, j1] * (1 - a) + t[i1, j1] * a) * b


def _dot(a: Array, b: Array) -> Array:
    return np.einsum("...i,...i->...", a, b)


def _unit(a: Array) -> Array:
    return a / np.linalg.norm(a, axis=-1, keepdims=True)


def _mix(a: Array, b: Array, share: Array) -> Array:
    return a + share[..., None] * (b - a)
