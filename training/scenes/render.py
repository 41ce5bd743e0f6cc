"""Draws packed scenes with torch, on any device: signed distances, edges of one pixel, painters' order.

No control flow depends on data, so torch.compile can fuse a whole picture into few kernels. Knows outlines
and fills, and nothing of shapes' names or themes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from training.scenes.canvas import FIELDS, FILLS, OUTLINES


def render(packed: Tensor, height: int, width: int) -> Tensor:
    """Pictures of packed scenes.

    packed  [B, K, len(FIELDS)] float32 as `pack` makes them, on the device that shall draw
    returns [B, 3, height, width] float32, 0..1
    """
    short = min(height, width)
    device = packed.device
    frame_x = (torch.arange(width, device=device, dtype=torch.float32) + 0.5) / width
    frame_y = (torch.arange(height, device=device, dtype=torch.float32) + 0.5) / height
    x = (frame_x * (width / short))[None, None, :]
    y = (frame_y * (height / short))[None, :, None]
    pictures = torch.zeros(packed.shape[0], 3, height, width, device=device)
    for row in range(packed.shape[1]):
        pictures = paint(
            pictures,
            packed[:, row].clone(),
            x,
            y,
            frame_y,
            wide=width / short,
            high=height / short,
            short=short,
        )
    return pictures


def _paint(
    pictures: Tensor,
    row: Tensor,
    x: Tensor,
    y: Tensor,
    frame_y: Tensor,
    *,
    wide: float,
    high: float,
    short: int,
) -> Tensor:
    """`pictures` with one primitive of each scene on top."""
    field = dict(zip(FIELDS, row.unbind(-1), strict=True))
    field = {name: value[:, None, None] for name, value in field.items()}
    away_x = x - (field["anchor_x"] * wide + field["shift_x"])
    away_y = y - (field["anchor_y"] * high + field["shift_y"])
    share = _cover(_distance(field, away_x, away_y), short) * (field["outline"] > 0)
    other = _other_share(field, away_x, away_y, frame_y[None, :, None], short)[:, None]
    first = torch.stack([field["red"], field["green"], field["blue"]], 1)
    second = torch.stack([field["red2"], field["green2"], field["blue2"]], 1)
    return pictures + share[:, None] * (first + other * (second - first) - pictures)


paint = _paint


def compile_paint() -> None:
    """Makes one primitive one kernel, on devices with a compiler."""
    global paint  # noqa: PLW0603  a function of the module, so that `render` stays plain
    paint = torch.compile(_paint, dynamic=True)


def to_bytes(pictures: Tensor) -> Tensor:
    """[..., 3, H, W] 0..1 -> uint8 [..., 3, H, W]."""
    return (pictures * 255 + 0.5).clamp(0, 255).to(torch.uint8)


def _cover(distance: Tensor, short: int) -> Tensor:
    """Share of a pixel inside an edge at this signed distance (in shorter sides, negative inside)."""
    return (0.5 - distance * short).clamp(0, 1)


def _distance(field: dict[str, Tensor], away_x: Tensor, away_y: Tensor) -> Tensor:
    """Signed distance of every pixel to its scene's primitive, [B, H, W], in shorter sides."""
    radius = field["radius"].clamp_min(1e-6)
    u = (field["cos"] * away_x + field["sin"] * away_y) / radius
    v = (field["cos"] * away_y - field["sin"] * away_x) / radius
    a, b, c = field["a"], field["b"], field["c"]
    length = torch.sqrt(u * u + v * v + 1e-12)
    distance = torch.ones_like(u)
    for name, value in (
        ("plane", -torch.ones_like(u)),
        ("ground", -v),
        ("ellipse", _ellipse(u, v, a)),
        ("star", _star(u / c.clamp_min(1e-6), v, a, b) * c),
        ("box", _box(u.abs(), v.abs(), a, b)),
        ("heart", _heart(u, v)),
        ("ring", _ring(length, v, a, b)),
        ("cross", _cross(u.abs(), v.abs(), a)),
        ("crescent", _crescent(u, v, a, b)),
        ("quad", _quad(u, v, a, b, c)),
        ("flower", (length - 1 + b * (0.5 - 0.5 * torch.cos(a * torch.atan2(u, -v)))) * 0.75),
    ):
        distance = torch.where(field["outline"] == OUTLINES[name], value, distance)
    return distance * radius


def _ellipse(u: Tensor, v: Tensor, a: Tensor) -> Tensor:
    """Half axes 1 and a; exact on the edge, where it matters."""
    a = a.clamp_min(1e-6)
    scaled = torch.sqrt(u * u + (v / a) ** 2 + 1e-12)
    slope = torch.sqrt(u * u + (v / (a * a)) ** 2 + 1e-12)
    return scaled * (scaled - 1) / slope


def _star(u: Tensor, v: Tensor, tips: Tensor, inner: Tensor) -> Tensor:
    """`tips` corners at radius 1, the first at the top, and as many between them at radius `inner`.

    Every angle is folded into half a sector, where the edge is one line.
    """
    half = math.pi / tips.clamp_min(1.0)
    angle = torch.atan2(u, -v)
    angle = (torch.remainder(angle + half, 2 * half) - half).abs()
    length = torch.sqrt(u * u + v * v + 1e-12)
    along, across = length * torch.cos(angle), length * torch.sin(angle)
    edge_x, edge_y = inner * torch.cos(half) - 1, inner * torch.sin(half)
    return ((along - 1) * edge_y - across * edge_x) / torch.sqrt(edge_x**2 + edge_y**2 + 1e-12)


def _box(u: Tensor, v: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """u and v are absolute; half width 1."""
    over_u, over_v = u - 1 + b, v - a + b
    outside = torch.sqrt(over_u.clamp_min(0) ** 2 + over_v.clamp_min(0) ** 2 + 1e-12)
    return torch.maximum(over_u, over_v).clamp_max(0) + outside - b


def _heart(u: Tensor, v: Tensor) -> Tensor:
    """Two half circles on a square on its corner; about 2 wide, its centroid in the middle."""
    scale = 1.66
    x, y = u.abs() / scale, 0.52 - v / scale
    bow = torch.sqrt((x - 0.25) ** 2 + (y - 0.75) ** 2 + 1e-12) - math.sqrt(2) / 4
    foot = 0.5 * (x + y).clamp_min(0)
    side = torch.sqrt(torch.minimum(x**2 + (y - 1) ** 2, (x - foot) ** 2 + (y - foot) ** 2) + 1e-12)
    return torch.where(x + y > 1, bow, side * torch.sign(x - y)) * scale


def _ring(length: Tensor, v: Tensor, a: Tensor, b: Tensor) -> Tensor:
    band = (length - (1 + a) / 2).abs() - (1 - a) / 2
    return torch.maximum(band, torch.where(b > 0.5, -v, -torch.ones_like(v)))


def _crescent(u: Tensor, v: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Moved to the right so that its middle is that of its bounding box."""
    u = u - 0.2
    disc = torch.sqrt(u * u + v * v + 1e-12) - 1
    return torch.maximum(disc, b - torch.sqrt((u - a) ** 2 + v * v + 1e-12))


def _cross(u: Tensor, v: Tensor, a: Tensor) -> Tensor:
    """u and v are absolute."""
    return torch.minimum(torch.maximum(u - 1, v - a), torch.maximum(u - a, v - 1))


def _quad(u: Tensor, v: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Trapezium from half width 1 at v = b to half width a at v = -b, whose middle is shifted by c."""
    b = b.clamp_min(1e-6)
    rise = (b - v) / (2 * b)
    left = -1 + rise * (c - a + 1)
    right = 1 + rise * (c + a - 1)
    left_slope, right_slope = (c - a + 1) / (2 * b), (c + a - 1) / (2 * b)
    from_left = (left - u) / torch.sqrt(1 + left_slope**2)
    from_right = (u - right) / torch.sqrt(1 + right_slope**2)
    return torch.maximum(torch.maximum(from_left, from_right), v.abs() - b)


def _other_share(
    field: dict[str, Tensor], away_x: Tensor, away_y: Tensor, frame_y: Tensor, short: int
) -> Tensor:
    """How much of a texture's second colour shows at every pixel, [B, H, W]."""
    period = field["period"].clamp_min(1e-6)
    along = (field["texture_cos"] * away_x + field["texture_sin"] * away_y) / period
    across = (field["texture_cos"] * away_y - field["texture_sin"] * away_x) / period
    wave, cross_wave = _triangle(along), _triangle(across)
    stripes = _cover((wave - 0.25) * period, short)
    from_dot = torch.sqrt(wave**2 + cross_wave**2) - 0.27
    dots = _cover(from_dot * period, short)
    crossed = _cover((cross_wave - 0.25) * period, short)
    checker = stripes + crossed - 2 * stripes * crossed
    gradient = frame_y.expand_as(stripes)
    other = torch.zeros_like(stripes)
    for name, value in (("stripes", stripes), ("dots", dots), ("checker", checker), ("gradient", gradient)):
        other = torch.where(field["texture"] == FILLS[name], value, other)
    return other


def _triangle(at: Tensor) -> Tensor:
    """Distance to the nearest whole number."""
    return (at - torch.round(at)).abs()
