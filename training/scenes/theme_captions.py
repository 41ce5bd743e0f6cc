"""Puts composed scenes in words. Every part whose colour could be another is told, with its colour."""

from __future__ import annotations

from collections.abc import Callable

from training.scenes.dice import Dice
from training.scenes.scene import Scene
from training.scenes.words import article, colour_word


def theme_sentence(scene: Scene, dice: Dice) -> str:
    """ "a red house with a brown roof on a green meadow", without capital and full stop."""
    return _SAY[scene.theme](scene, dice)


def _colour(scene: Scene, part: str, dice: Dice) -> str:
    return colour_word(scene.part(part).colour, dice)


def _sky(scene: Scene, dice: Dice) -> str:
    """ "under a pink sky" and what shines there."""
    sky = article(colour_word(scene.background.colours[0], dice) + " sky")
    for light in ("sun", "moon"):
        if light in scene.options:
            shining = dice.pick(
                {"sun": ("the sun", "a yellow sun", "a shining sun"), "moon": ("the moon", "a moon")}[light]
            )
            return dice.pick(
                (f"under {sky} with {shining}", f"under {shining} in {sky}", f"and {shining} in {sky}")
            )
    return dice.pick((f"under {sky}", f"under {sky}", f"in front of {sky}"))


def _house(scene: Scene, dice: Dice) -> str:
    wall, roof, meadow = (_colour(scene, part, dice) for part in ("wall", "roof", "meadow"))
    house = article(f"{wall} house with {article(f'{roof} roof')}")
    ground = dice.pick(
        (f"on {article(f'{meadow} meadow')}", f"on {meadow} grass", f"in {article(f'{meadow} field')}")
    )
    return f"{house} {ground} {_sky(scene, dice)}"


def _boat(scene: Scene, dice: Dice) -> str:
    sail, hull, sea = (_colour(scene, part, dice) for part in ("sail", "hull", "sea"))
    boat = dice.pick(
        (
            f"{hull} sailing boat with {sail} sails",
            f"{hull} boat with {article(f'{sail} sail')}",
            f"{hull} sailboat with {sail} sails",
        )
    )
    return f"{article(boat)} on {dice.pick(('the', 'the', article_only(sea)))} {sea} sea {_sky(scene, dice)}"


def article_only(word: str) -> str:
    """The indefinite article that suits a word."""
    return article(word).split(" ", 1)[0]


def _night(scene: Scene, dice: Dice) -> str:
    sky = colour_word(scene.background.colours[0], dice)
    moon, ground = _colour(scene, "moon", dice), _colour(scene, "ground", dice)
    shape = "crescent moon" if "crescent" in scene.options else "full moon"
    below = article(f"{ground} hill") if "hill" in scene.options else article(f"{ground} plain")
    stars = dice.pick(("and stars", "and small stars", "with stars around it"))
    return dice.pick(
        (
            f"{article(f'{moon} {shape}')} {stars} in {article(f'{sky} night sky')} over {below}",
            f"{article(f'{sky} night sky')} with {article(f'{moon} {shape}')} and stars above {below}",
            f"night over {below}, {article(f'{moon} {shape}')} and stars in {article(f'{sky} sky')}",
        )
    )


def _trees(scene: Scene, dice: Dice) -> str:
    number = scene.options[0]
    crown, hill = _colour(scene, "crown", dice), _colour(scene, "hill", dice)
    kind = (
        dice.pick(("fir tree", "pine tree"))
        if "fir" in scene.options
        else dice.pick(("tree", "tree", "round tree"))
    )
    trees = article(f"{crown} {kind}") if number == "one" else f"{number} {crown} {kind}s"
    return f"{trees} on {article(f'{hill} hill')} {_sky(scene, dice)}"


def _mountains(scene: Scene, dice: Dice) -> str:
    rock, ground = _colour(scene, "mountain", dice), _colour(scene, "ground", dice)
    snow = (
        dice.pick(("with snow on top", "with snowy peaks", "with snow caps"))
        if "snow" in scene.options
        else ""
    )
    land = dice.pick((f"behind {article(f'{ground} meadow')}", f"over {article(f'{ground} plain')}"))
    return " ".join(word for word in (f"{rock} mountains", snow, land, _sky(scene, dice)) if word)


def _face(scene: Scene, dice: Dice) -> str:
    face, sky = _colour(scene, "face", dice), colour_word(scene.background.colours[0], dice)
    mood = {
        "happy": (f"happy {face} face", f"smiling {face} face", f"{face} smiley"),
        "sad": (f"sad {face} face", f"unhappy {face} face", f"frowning {face} face"),
    }[scene.options[0]]
    return f"{article(dice.pick(mood))} on {article(f'{sky} background')}"


def _flower(scene: Scene, dice: Dice) -> str:
    petals, middle = _colour(scene, "petals", dice), _colour(scene, "middle", dice)
    sky = colour_word(scene.background.colours[0], dice)
    name = dice.pick(
        (
            f"{petals} flower with {article(f'{middle} centre')}",
            f"{petals} flower with {article(f'{middle} middle')}",
            f"flower with {petals} petals and {article(f'{middle} center')}",
        )
    )
    where = (
        f"on a green meadow under {article(f'{sky} sky')}"
        if "meadow" in scene.options
        else f"on {article(f'{sky} background')}"
    )
    return f"{article(name)} {where}"


def _car(scene: Scene, dice: Dice) -> str:
    body, road = _colour(scene, "body", dice), _colour(scene, "road", dice)
    way = dice.pick(("road", "street"))
    return f"{article(f'{body} car')} on {article(f'{road} {way}')} {_sky(scene, dice)}"


def _balloon(scene: Scene, dice: Dice) -> str:
    colour, sky = _colour(scene, "balloon", dice), colour_word(scene.background.colours[0], dice)
    name = article(f"{colour} {dice.pick(('hot air balloon', 'hot-air balloon', 'balloon with a basket'))}")
    clouds = (
        dice.pick((" with clouds", " with white clouds", " between clouds"))
        if "clouds" in scene.options
        else ""
    )
    if sky == "white":
        clouds = clouds.replace("white ", "")
    return f"{name} in {article(f'{sky} sky')}{clouds}"


def _snowman(scene: Scene, dice: Dice) -> str:
    hat = _colour(scene, "hat", dice)
    return f"a snowman with {article(f'{hat} hat')} in the snow {_sky(scene, dice)}"


def _fish(scene: Scene, dice: Dice) -> str:
    fish, water = _colour(scene, "fish", dice), colour_word(scene.background.colours[0], dice)
    side = scene.options[0]
    way = dice.pick((f"swimming to the {side}", f"facing {side}", f"looking to the {side}"))
    where = dice.pick((f"{water} water", f"the {water} sea", f"{water} water with bubbles"))
    return f"{article(f'{fish} fish')} {way} in {where}"


_SAY: dict[str, Callable[[Scene, Dice], str]] = {
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
