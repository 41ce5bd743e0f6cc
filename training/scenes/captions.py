"""Says in varied English what a scene shows: terse notes, phrases and whole sentences.

A caption says exactly what `scene.told` allows, so that what a judge tests is what the words determine.
theme_captions.py has the words for composed scenes, words.py those for single things.
"""

from __future__ import annotations

from training.scenes.dice import Dice
from training.scenes.scene import Item, Scene
from training.scenes.theme_captions import theme_sentence
from training.scenes.words import (
    article,
    background_clause,
    background_note,
    background_whole,
    colour_word,
    noun,
    number_word,
    place_clause,
    plural,
)

OPENINGS = (
    "",
    "",
    "",
    "",
    "",
    "",
    "a picture of ",
    "an image of ",
    "an illustration of ",
    "a drawing of ",
    "a poster of ",
)


def describe(scene: Scene, seed: int) -> str:
    """A caption; the same for the same scene and seed."""
    dice = Dice("caption", seed)
    return _finished(_WORDS[scene.kind](scene, dice), dice)


def thing(item: Item, dice: Dice, *, colour: bool = True, bare: bool = False, many: bool = False) -> str:
    """ "a large red star"; without its article if bare, "red stars" if many."""
    words = []
    if item.size == "small":
        words.append(dice.pick(("small", "small", "little", "tiny")))
    elif item.size == "large":
        words.append(dice.pick(("large", "large", "big", "huge")))
    after = ""
    if item.texture != "plain":
        if dice.chance(0.5):
            words.append({"striped": "striped", "dotted": dice.pick(("dotted", "spotted"))}[item.texture])
        else:
            after = (
                " with white " + {"striped": "stripes", "dotted": dice.pick(("dots", "spots"))}[item.texture]
            )
    if colour:
        words.append(colour_word(item.colour, dice))
    name = noun(item.shape, dice)
    words.append(plural(name) if many else name)
    phrase = " ".join(words) + after
    return phrase if bare or many else article(phrase)


def _single(scene: Scene, dice: Dice) -> str:
    item = scene.items[0]
    colour = "colour" in scene.told
    place = place_clause(item.x, item.y, dice) if "place" in scene.told else ""
    behind = "background" in scene.told
    style = dice.pick(("phrase", "phrase", "phrase", "note", "sentence", "behind first"))
    if style == "note":
        parts = [thing(item, dice, colour=colour, bare=True), place]
        parts += [background_note(scene.background, dice)] if behind else []
        return ", ".join(part for part in parts if part)
    name = thing(item, dice, colour=colour)
    clause = background_clause(scene.background, dice) if behind else ""
    if style == "behind first" and behind:
        whole = background_whole(scene.background, dice)
        return _joined(whole, "with", name, place)
    if style == "sentence":
        opening = dice.pick(("there is", "the picture shows", "we see", "here is", "this is"))
        return _joined(opening, name, place, clause)
    opening = dice.pick(OPENINGS)
    if place and dice.chance(0.3):
        return _joined(opening + name, clause + "," if clause else "", place)
    return _joined(opening + name, place, clause)


def _pair(scene: Scene, dice: Dice) -> str:
    first, second = scene.items
    relation = scene.relation
    bare = dice.chance(0.2)
    # Said from the other object's side, "left of" is "right of".
    turned = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
    if relation in turned and dice.chance(0.25):
        first, second, relation = second, first, turned[relation]
    one, other = thing(first, dice, bare=bare), thing(second, dice, bare=bare)
    if not relation:
        body = f"{one} {dice.pick(('and', 'and', 'with'))} {other}"
    elif relation != "inside" and not bare and dice.chance(0.2):
        body = f"{other} with {one} {dice.pick(_BEHIND[relation])}"
    elif relation == "inside" and not bare and dice.chance(0.3):
        body = dice.pick(
            (f"{other} with {one} inside", f"{other} containing {one}", f"{other} with {one} in it")
        )
    else:
        body = f"{one} {dice.pick(_BETWEEN[relation])} {other}"
    return _with_background(body, scene, dice, bare)


_BETWEEN = {
    "left of": ("left of", "to the left of", "to the left of", "on the left of"),
    "right of": ("right of", "to the right of", "to the right of", "on the right of"),
    "above": ("above", "above", "over", "on top of"),
    "below": ("below", "below", "under", "beneath"),
    "inside": ("inside", "inside", "in", "within"),
}
_BEHIND = {
    "left of": ("to its left", "on its left", "on the left side"),
    "right of": ("to its right", "on its right", "on the right side"),
    "above": ("above it", "over it"),
    "below": ("below it", "under it", "underneath"),
}


def _count(scene: Scene, dice: Dice) -> str:
    number = number_word(len(scene.items), dice)
    bare = dice.chance(0.15)
    body = f"{number} {thing(scene.items[0], dice, many=True)}"
    return _with_background(body, scene, dice, bare)


def _row(scene: Scene, dice: Dice) -> str:
    bare = dice.chance(0.2)
    names = [thing(item, dice, bare=bare) for item in scene.items]
    body = f"{', '.join(names[:-1])} and {names[-1]}"
    if dice.chance(0.75):
        body += dice.pick(
            (" in a row", " from left to right", " side by side", ", in a row", " next to each other")
        )
    return _with_background(body, scene, dice, bare)


def _empty(scene: Scene, dice: Dice) -> str:
    return background_whole(scene.background, dice)


def _composed(scene: Scene, dice: Dice) -> str:
    return dice.pick(OPENINGS) + theme_sentence(scene, dice)


_WORDS = {
    "single": _single,
    "pair": _pair,
    "count": _count,
    "row": _row,
    "empty": _empty,
    "composed": _composed,
}


def _with_background(body: str, scene: Scene, dice: Dice, bare: bool) -> str:
    if "background" not in scene.told:
        return body if bare else dice.pick(OPENINGS) + body
    if bare:
        return f"{body}, {background_note(scene.background, dice)}"
    style = dice.pick(("clause", "clause", "clause", "opening", "sentence", "whole"))
    clause = background_clause(scene.background, dice)
    if style == "sentence":
        there = dice.pick(("there is", "the picture shows", "we see"))
        if there == "there is" and scene.kind == "count":
            there = "there are"
        return f"{there} {body} {clause}"
    if style == "whole":
        return f"{background_whole(scene.background, dice)} with {body}"
    return (dice.pick(OPENINGS) if style == "opening" else "") + f"{body} {clause}"


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _finished(text: str, dice: Dice) -> str:
    """Case and full stop as people write them: mostly none, or both."""
    style = dice.weighted({"plain": 50.0, "capital": 15.0, "sentence": 30.0, "stop": 3.0, "shout": 2.0})
    if style in {"capital", "sentence"}:
        text = text[0].upper() + text[1:]
    if style in {"sentence", "stop"}:
        text += "."
    return text.upper() if style == "shout" else text
