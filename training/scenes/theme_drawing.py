"""Draws composed scenes: each theme's parts as primitives, back to front.

Lengths are in shorter sides around an anchor in the frame, so that nothing is stretched in a wide frame.
"""

from __future__ import annotations

from collections.abc import Callable

from training.scenes.canvas import Canvas
from training.scenes.palette import RGB
from training.scenes.scene import Scene

SUN: RGB = (0.99, 0.82, 0.25)
MOON: RGB = (0.98, 0.95, 0.78)
WHITE: RGB = (0.985, 0.985, 0.98)
WINDOW: RGB = (0.80, 0.92, 0.98)
DARK: RGB = (0.16, 0.15, 0.19)
WOOD: RGB = (0.45, 0.29, 0.18)
CARROT: RGB = (0.95, 0.55, 0.2)
GREEN: RGB = (0.3, 0.65, 0.33)


def draw_theme_on(canvas: Canvas, scene: Scene) -> None:
    """Add the primitives of a composed scene; its sky is there already."""
    _DRAW[scene.theme](canvas, scene)


def _light(canvas: Canvas, scene: Scene, side: float) -> None:
    """Sun or moon on one side (-1 left, 1 right) of the sky, if there is one."""
    anchor = (0.5 + side * (0.3 + 0.04 * scene.jitter[6]), 0.19 + 0.03 * scene.jitter[7])
    if "sun" in scene.options:
        canvas.add("star", SUN, anchor, 0.125, a=12, b=0.74, c=1.0)
        canvas.add("ellipse", _lighter(SUN, 0.25), anchor, 0.082)
    elif "moon" in scene.options:
        canvas.add("crescent", MOON, anchor, 0.1, a=0.46, b=0.8, rotation=-0.35)


def _lighter(rgb: RGB, share: float) -> RGB:
    red, green, blue = (value + share * (1 - value) for value in rgb)
    return red, green, blue


def _darker(rgb: RGB, share: float) -> RGB:
    red, green, blue = (value * (1 - share) for value in rgb)
    return red, green, blue


def _side(value: float) -> float:
    return 1.0 if value >= 0 else -1.0


def _house(canvas: Canvas, scene: Scene) -> None:
    j = scene.jitter
    wall, roof = scene.part("wall").rgb, scene.part("roof").rgb
    ground = 0.7 + 0.025 * j[0]
    _light(canvas, scene, _side(j[1]))
    canvas.add("ground", scene.part("meadow").rgb, (0.5, ground), 1.0)
    at = (0.5 - 0.08 * _side(j[1]) + 0.03 * j[2], ground + 0.06)
    w, h = 0.19 + 0.02 * j[3], 0.13 + 0.015 * j[4]
    canvas.add("box", wall, at, w, shift=(0, -h), a=h / w)
    rise = 0.1 + 0.015 * j[5]
    canvas.add("quad", roof, at, w * 1.22, shift=(0, -2 * h - rise + 0.004), a=0.0, b=rise / (w * 1.22))
    canvas.add("box", WOOD, at, 0.036, shift=(0, -0.068), a=1.9)
    for side in (-1, 1):
        canvas.add("box", WINDOW, at, 0.034, shift=(side * w * 0.58, -h * 1.2), a=1.0)


def _boat(canvas: Canvas, scene: Scene) -> None:
    j = scene.jitter
    sail, hull, sea = scene.part("sail").rgb, scene.part("hull").rgb, scene.part("sea").rgb
    level = 0.68 + 0.03 * j[0]
    _light(canvas, scene, -_side(j[1]))
    canvas.add("ground", sea, (0.5, level), 1.0)
    at = (0.5 + 0.06 * j[2], level + 0.05)
    size = 0.23 + 0.02 * j[3]
    flip = _side(j[1])
    canvas.add("box", DARK, at, 0.009, shift=(0, -size * 1.05), a=size * 1.0 / 0.009)
    canvas.add("quad", sail, at, size * 0.34, shift=(flip * size * 0.4, -size * 1.14), a=0, b=2.45, c=-flip)
    canvas.add(
        "quad",
        _lighter(sail, 0.35),
        at,
        size * 0.22,
        shift=(-flip * size * 0.27, -size * 0.95),
        a=0,
        b=2.9,
        c=flip,
    )
    canvas.add("quad", hull, at, size * 0.68, shift=(0, -0.05), a=1.45, b=0.06 / (size * 0.68))
    for n, x in enumerate((0.2, 0.72)):
        wave = (x + 0.06 * j[4 + n], level + 0.16 + 0.05 * n)
        canvas.add("box", _lighter(sea, 0.3), wave, 0.07, a=0.12, b=0.12)


def _night(canvas: Canvas, scene: Scene) -> None:
    j = scene.jitter
    moon = scene.part("moon").rgb
    side = _side(j[0])
    anchor = (0.5 + side * 0.2 + 0.04 * j[1], 0.33 + 0.04 * j[2])
    for n, (x, y) in enumerate(
        ((0.16, 0.17), (0.4, 0.12), (0.44, 0.42), (0.15, 0.52), (0.88, 0.6), (0.9, 0.13), (0.62, 0.62))
    ):
        spot = (0.5 + side * (0.5 - x) * -1 + 0.02 * j[3 + n % 5], y + 0.02 * j[(n * 3) % 8])
        canvas.add(
            "star", _lighter(SUN, 0.55), spot, 0.026 + 0.006 * j[(n + 2) % 8], a=4 + n % 2, b=0.42, c=1.0
        )
    if "crescent" in scene.options:
        canvas.add("crescent", moon, anchor, 0.18, a=0.46, b=0.8, rotation=-0.35)
    else:
        canvas.add("ellipse", moon, anchor, 0.14)
        canvas.add("ellipse", _darker(moon, 0.08), anchor, 0.03, shift=(0.04, -0.04))
    if "hill" in scene.options:
        canvas.add("ellipse", scene.part("ground").rgb, (0.5 - 0.2 * j[4], 1.0), 0.9, shift=(0, 0.1), a=0.34)
    else:
        canvas.add("ground", scene.part("ground").rgb, (0.5, 0.8 + 0.03 * j[5]), 1.0)


def _trees(canvas: Canvas, scene: Scene) -> None:
    j = scene.jitter
    crown, trunk = scene.part("crown").rgb, scene.part("trunk").rgb
    number = {"one": 1, "two": 2, "three": 3}[scene.options[0]]
    _light(canvas, scene, _side(j[1]))
    canvas.add("ellipse", scene.part("hill").rgb, (0.5, 1.0), 1.1, shift=(0.12 * j[2], 0.12), a=0.34)
    size = (0.2, 0.15, 0.125)[number - 1]
    for n in range(number):
        spot = 0.5 + ((n - (number - 1) / 2) * 0.3 if number > 1 else -0.06 * _side(j[1])) + 0.02 * j[3 + n]
        at = (spot, 0.82 + 0.02 * j[5 - n])
        grown = size * (1 + 0.1 * j[4 + n])
        canvas.add("box", trunk, at, grown * 0.15, shift=(0, -grown * 0.45), a=3.2)
        if "round" in scene.options:
            canvas.add("ellipse", crown, at, grown * 0.85, shift=(0, -grown * 1.7), a=1.08)
        else:
            canvas.add("quad", crown, at, grown * 0.8, shift=(0, -grown * 1.55), a=0.0, b=1.25)


def _mountains(canvas: Canvas, scene: Scene) -> None:
    j = scene.jitter
    rock = scene.part("mountain").rgb
    _light(canvas, scene, _side(j[1]))
    ground = 0.76 + 0.02 * j[0]
    flip = -_side(j[1])
    for x, height, wide, shade in ((-0.27, 0.2, 0.3, 0.25), (0.3, 0.17, 0.27, 0.15), (0.06, 0.27, 0.34, 0.0)):
        peak = height * (1 + 0.08 * j[2])
        at = (0.5 + flip * x + 0.02 * j[3], ground + 0.01)
        canvas.add("quad", _lighter(rock, shade), at, wide, shift=(0, -peak), a=0.0, b=peak / wide)
        if "snow" in scene.options and shade != 0.15:
            cap = 0.3
            canvas.add(
                "quad", WHITE, at, wide * cap, shift=(0, -peak * (2 - cap) - 0.002), a=0.0, b=peak / wide
            )
    canvas.add("ground", scene.part("ground").rgb, (0.5, ground), 1.0)


def _face(canvas: Canvas, scene: Scene) -> None:
    j = scene.jitter
    skin = scene.part("face").rgb
    at = (0.5 + 0.03 * j[0], 0.5 + 0.03 * j[1])
    size = 0.33 + 0.04 * j[2]
    canvas.add("ellipse", skin, at, size)
    apart, eye = 0.36 + 0.04 * j[3], 0.11 + 0.015 * j[4]
    for side in (-1, 1):
        canvas.add("ellipse", DARK, at, size * eye, shift=(side * size * apart, -size * 0.24), a=1.35)
    happy = "happy" in scene.options
    canvas.add(
        "ring",
        DARK,
        at,
        size * 0.56,
        shift=(0, size * (0.06 if happy else 0.74)),
        a=0.8,
        b=1.0,
        rotation=0.0 if happy else 3.14159265,
    )


def _flower(canvas: Canvas, scene: Scene) -> None:
    j = scene.jitter
    stem = scene.part("stem").rgb
    at = (0.5 + 0.03 * j[0], 0.37 + 0.02 * j[1])
    size = 0.23 + 0.02 * j[2]
    if "meadow" in scene.options:
        canvas.add("ground", scene.part("meadow").rgb, (0.5, 0.86), 1.0)
    canvas.add("box", _darker(stem, 0.12), at, 0.018, shift=(0, 0.27), a=0.27 / 0.018)
    for side in (-1, 1):
        canvas.add(
            "ellipse",
            _darker(stem, 0.05),
            at,
            0.085,
            shift=(side * 0.078, 0.36 + 0.02 * j[3]),
            a=0.42,
            rotation=-side * 0.5,
        )
    petals = 6 + round(j[4])
    canvas.add("flower", scene.part("petals").rgb, at, size, a=petals, b=0.42, rotation=0.3 * j[5])
    canvas.add("ellipse", scene.part("middle").rgb, at, size * 0.36)


def _car(canvas: Canvas, scene: Scene) -> None:
    j = scene.jitter
    body = scene.part("body").rgb
    _light(canvas, scene, _side(j[1]))
    road = 0.66 + 0.02 * j[0]
    canvas.add("ground", scene.part("road").rgb, (0.5, road), 1.0)
    at = (0.5 + 0.04 * j[2], road + 0.02)
    size = 0.3 + 0.02 * j[3]
    canvas.add("quad", _darker(body, 0.1), at, size * 0.66, shift=(0, -size * 0.7), a=0.66, b=0.36)
    canvas.add("quad", WINDOW, at, size * 0.52, shift=(0, -size * 0.68), a=0.7, b=0.31)
    canvas.add("box", body, at, size, shift=(0, -size * 0.28), a=0.26, b=0.12)
    for side in (-1, 1):
        canvas.add("ellipse", DARK, at, size * 0.23, shift=(side * size * 0.56, 0))
        canvas.add("ellipse", (0.85, 0.86, 0.88), at, size * 0.1, shift=(side * size * 0.56, 0))


def _balloon(canvas: Canvas, scene: Scene) -> None:
    j = scene.jitter
    skin = scene.part("balloon").rgb
    if "clouds" in scene.options:
        for x, y in ((0.17, 0.24), (0.84, 0.62)):
            spot = (x + 0.03 * j[0], y + 0.04 * j[1])
            canvas.add("ellipse", _cloud(scene), spot, 0.1, a=0.5)
            canvas.add("ellipse", _cloud(scene), spot, 0.06, shift=(0.02, -0.035), a=0.85)
    at = (0.5 + 0.05 * j[2], 0.4 + 0.03 * j[3])
    size = 0.23 + 0.02 * j[4]
    canvas.add("quad", _darker(skin, 0.35), at, size * 0.2, shift=(0, size * 1.22), a=2.6, b=1.6)
    canvas.add("ellipse", skin, at, size, a=1.1)
    canvas.add("ellipse", _lighter(skin, 0.28), at, size * 0.38, a=2.85)
    canvas.add("box", scene.part("basket").rgb, at, size * 0.2, shift=(0, size * 1.62), a=0.75, b=0.15)


def _cloud(scene: Scene) -> RGB:
    return (0.88, 0.92, 0.96) if scene.background.colours == ("white",) else WHITE


def _snowman(canvas: Canvas, scene: Scene) -> None:
    j = scene.jitter
    snow, hat = scene.part("snow").rgb, scene.part("hat").rgb
    _light(canvas, scene, _side(j[1]))
    ground = 0.76 + 0.02 * j[0]
    canvas.add("ground", _darker(snow, 0.06), (0.5, ground), 1.0)
    at = (0.5 + 0.04 * j[2] - 0.06 * _side(j[1]), ground + 0.1)
    size = 0.2 + 0.015 * j[3]
    canvas.add("ellipse", snow, at, size, shift=(0, -size * 0.9))
    canvas.add("ellipse", snow, at, size * 0.68, shift=(0, -size * 2.2))
    head = -size * 2.3
    for side in (-1, 1):
        canvas.add("ellipse", DARK, at, size * 0.075, shift=(side * size * 0.25, head))
    canvas.add(
        "quad", CARROT, at, size * 0.09, shift=(size * 0.16, head + size * 0.22), a=0.0, b=2.2, rotation=1.75
    )
    canvas.add("box", hat, at, size * 0.62, shift=(0, head - size * 0.5), a=0.14)
    canvas.add("box", hat, at, size * 0.38, shift=(0, head - size * 0.83), a=0.85)
    canvas.add("ellipse", DARK, at, size * 0.07, shift=(0, -size * 1.1))


def _fish(canvas: Canvas, scene: Scene) -> None:
    j = scene.jitter
    skin = scene.part("fish").rgb
    flip = 1.0 if "right" in scene.options else -1.0
    at = (0.5 + flip * 0.04 + 0.03 * j[0], 0.52 + 0.04 * j[1])
    size = 0.25 + 0.02 * j[2]
    canvas.add(
        "quad",
        _darker(skin, 0.14),
        at,
        size * 0.5,
        shift=(-flip * size * 1.15, 0),
        a=0.1,
        b=0.85,
        rotation=flip * 1.5707963,
    )
    canvas.add(
        "quad",
        _darker(skin, 0.14),
        at,
        size * 0.36,
        shift=(-flip * size * 0.05, -size * 0.6),
        a=0.5,
        b=0.8,
        c=-flip * 0.6,
    )
    canvas.add("ellipse", skin, at, size, a=0.62)
    canvas.add("ellipse", WHITE, at, size * 0.15, shift=(flip * size * 0.52, -size * 0.13))
    canvas.add("ellipse", DARK, at, size * 0.08, shift=(flip * size * 0.55, -size * 0.13))
    for n, (x, y, r) in enumerate(((0.98, -0.35, 0.05), (1.2, -0.75, 0.07), (1.0, -1.15, 0.045))):
        canvas.add(
            "ellipse",
            _lighter(scene.background.rgbs[0], 0.5),
            at,
            r * (1 + 0.15 * j[3 + n]),
            shift=(flip * size * x, size * y),
        )


_DRAW: dict[str, Callable[[Canvas, Scene], None]] = {
    "house": _house,
    "boat": _boat,
    "night": _night,
    "trees": _trees,
    "mountains": _mountains,
    "face": _face,
    "flower": _flower,
    "car": _car,
    "balloon": _balloon,
    "snowman": _snowman,
    "fish": _fish,
}
