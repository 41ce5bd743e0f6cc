"""Captions say what is told and nothing else, in correct and varied English."""

from __future__ import annotations

import re
from dataclasses import replace

from training.scenes import Scene, describe, sample
from training.scenes.palette import TONES
from training.scenes.scene import place_of
from training.scenes.words import NOUNS, article

SCENES = [sample("train", seed) for seed in range(1000)]
CAPTIONS = [describe(scene, seed) for seed, scene in enumerate(SCENES)]
OBJECTS = [(s, c.lower()) for s, c in zip(SCENES, CAPTIONS, strict=True) if s.kind != "composed"]


def _mentions(text: str, words: tuple[str, ...]) -> bool:
    return any(re.search(rf"\b{word}(s|es)?\b", text) for word in words)


def test_a_caption_is_the_same_for_a_seed_and_varies_with_it() -> None:
    assert [describe(scene, seed) for seed, scene in enumerate(SCENES[:50])] == CAPTIONS[:50]
    scene = next(scene for scene in SCENES if scene.kind == "pair")
    assert len({describe(scene, seed) for seed in range(200)}) > 60


def test_every_object_is_named_with_its_colour() -> None:
    for scene, text in OBJECTS:
        for item in scene.items:
            assert _mentions(text, NOUNS[item.shape]), (item.shape, text)
            if "colour" in scene.told:
                assert _mentions(text, TONES[item.colour].words), (item.colour, text)


def test_backgrounds_are_said_when_told_and_only_then() -> None:
    for scene, text in OBJECTS:
        if scene.background.kind == "landscape":
            continue
        if "background" in scene.told:
            for colour in scene.background.colours:
                assert _mentions(text, TONES[colour].words), (colour, text)
        else:
            assert "background" not in text
            assert "backdrop" not in text


def test_places_are_said_when_told_and_only_then() -> None:
    words = re.compile(r"\b(top|bottom|left|right|upper|lower|middle|cent(re|er|red))\b")
    for scene, text in OBJECTS:
        if scene.kind == "single":
            assert bool(words.search(text)) == ("place" in scene.told), text
            if "place" in scene.told:
                wanted = place_of(scene.items[0].x, scene.items[0].y).split()
                for word in ("left", "right"):
                    assert (word in text) == (word in wanted), text


def test_sizes_are_said_when_they_are_not_medium() -> None:
    for scene, text in OBJECTS:
        for size, words in (("small", ("small", "little", "tiny")), ("large", ("large", "big", "huge"))):
            assert any(item.size == size for item in scene.items) == _mentions(text, words), text


def test_relations_are_said_from_either_side() -> None:
    """ "a left of b" may be put "b right of a" or "b with a to its left", never the other way round."""
    scene = next(s for s in SCENES if s.relation == "left of")
    first, second = (rf"({'|'.join(NOUNS[item.shape])})" for item in scene.items)
    assert scene.items[0].shape != scene.items[1].shape
    patterns = (
        rf"{first}\b.*\bleft of\b.*{second}",
        rf"{second}\b.*\bright of\b.*{first}",
        rf"{second}\b.* with .*{first}\b.*(its left|left side)",
        rf"{first}\b.* with .*{second}\b.*(its right|right side)",
    )
    plain = replace(scene, background=replace(scene.background, kind="plain", colours=("white",)))
    texts = [describe(plain, seed).lower() for seed in range(150)]
    used = [[bool(re.search(pattern, text)) for pattern in patterns] for text in texts]
    assert all(map(any, used)), [text for text, use in zip(texts, used, strict=True) if not any(use)]
    assert all(any(column) for column in zip(*used, strict=True))


def test_themes_tell_the_colours_of_their_main_parts() -> None:
    for scene, caption in zip(SCENES, CAPTIONS, strict=True):
        if scene.kind == "composed":
            for part in scene.parts[:1]:
                assert _mentions(caption.lower(), TONES[part.colour].words), caption
            assert _mentions(caption.lower(), TONES[scene.background.colours[0]].words), caption


def test_articles_numbers_and_spaces_are_right() -> None:
    assert article("orange star") == "an orange star"
    assert article("red star") == "a red star"
    for scene, caption in zip(SCENES, CAPTIONS, strict=True):
        text = caption.lower()
        assert not re.search(r"\ba [aeio]|\ban [^aeiou]|  | ,|,,| \.|\.\.", text), text
        if scene.kind == "count":
            assert _plural(scene, text), text


def _plural(scene: Scene, text: str) -> bool:
    return any(re.search(rf"\b{re.escape(noun)}(s|es)\b", text) for noun in NOUNS[scene.items[0].shape])


def test_styles_vary() -> None:
    assert {caption[-1] == "." for caption in CAPTIONS} == {True, False}
    assert sum(caption.isupper() for caption in CAPTIONS) > 5
    assert sum(caption[0].islower() for caption in CAPTIONS) > 200
    lengths = [len(caption.split()) for caption in CAPTIONS]
    assert min(lengths) <= 5
    assert max(lengths) >= 15
