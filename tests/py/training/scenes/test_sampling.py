"""Scenes are the same for a seed, lie in the frame, stand out from what is behind, keep to their split."""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter

import pytest

from training.scenes import EVALUATION, TRAINING, Mix, Scene, sample
from training.scenes.held_out import HELD_OUT_BYTES, combination_is_held_out, combinations, is_held_out, laid
from training.scenes.palette import CLEAR_DISTANCE, OBJECT_COLOURS, TONES, clear_of
from training.scenes.sampling import REACH
from training.scenes.scene import PLACES, place_of
from training.scenes.themes import THEMES

TRAIN = [sample("train", seed) for seed in range(1200)]
HELD_OUT = [sample("held_out", seed) for seed in range(400)]


def test_a_seed_means_one_scene() -> None:
    assert [sample("train", seed) for seed in range(50)] == TRAIN[:50]
    assert len(set(TRAIN)) == len(TRAIN)
    assert sample("held_out", 7) != sample("train", 7)


def test_the_streams_are_those_of_every_python() -> None:
    """A digest of some scenes, so that a checkpoint's data can be drawn again years later."""
    digest = hashlib.sha256(repr([_rounded(scene) for scene in TRAIN[:100]]).encode()).hexdigest()
    assert digest[:16] == "01930875a8b25221"


def _rounded(scene: Scene) -> list[object]:
    return [
        scene.kind,
        scene.theme,
        scene.background.colours,
        [(i.shape, i.colour, i.size, i.texture, round(i.x, 6), round(i.radius, 6)) for i in scene.items],
        scene.options,
        sorted(scene.told),
    ]


def test_held_out_combinations_are_never_in_training() -> None:
    trained = {combination for scene in TRAIN for combination in combinations(scene)}
    assert not any(map(combination_is_held_out, trained))
    assert all(any(map(combination_is_held_out, combinations(scene))) for scene in HELD_OUT)
    assert not any(map(is_held_out, TRAIN))


def test_about_a_tenth_is_held_out_of_every_kind_of_combination() -> None:
    names = [f"object/{shape}/{n}/plain:white" for shape in ("star", "ring") for n in range(2000)]
    share = sum(map(combination_is_held_out, names)) / len(names)
    assert share == pytest.approx(HELD_OUT_BYTES / 256, abs=0.02)
    assert {scene.kind for scene in HELD_OUT} == set(TRAINING.kinds)


def test_one_arrangement_is_one_combination_however_it_is_put() -> None:
    pair = next(s for s in TRAIN if s.relation in {"left of", "above"})
    other = {"left of": "right of", "above": "below"}[pair.relation]
    turned = dataclasses.replace(pair, items=pair.items[::-1], relation=other)
    assert combinations(pair)[-1] == combinations(turned)[-1]
    untold = dataclasses.replace(pair, relation="")
    assert combinations(untold)[-1] == combinations(pair)[-1]
    assert laid(*pair.items) == pair.relation


def test_kinds_are_as_frequent_as_the_table_says() -> None:
    total = sum(TRAINING.kinds.values())
    for scenes in (TRAIN, HELD_OUT):
        counts = Counter(scene.kind for scene in scenes)
        for kind, weight in TRAINING.kinds.items():
            expected = weight / total
            assert counts[kind] / len(scenes) == pytest.approx(expected, abs=0.02 + 0.15 * expected)
    assert {scene.theme for scene in TRAIN} - {""} == set(THEMES)


def test_objects_lie_in_the_frame_and_where_they_are_said_to() -> None:
    for scene in TRAIN:
        for item in scene.items:
            reach = REACH * item.radius
            assert reach - 0.03 <= item.x <= 1 - reach + 0.03
            assert reach - 0.03 <= item.y <= 1 - reach + 0.03
        if scene.kind == "single" and "place" not in scene.told:
            assert place_of(scene.items[0].x, scene.items[0].y) == "centre"
    seen = {place_of(s.items[0].x, s.items[0].y) for s in TRAIN if s.kind == "single"}
    assert seen == set(PLACES)


def test_objects_apart_do_not_touch() -> None:
    for scene in TRAIN:
        if scene.relation == "inside":
            inner, outer = scene.items
            assert inner.radius < outer.radius / 2
            continue
        for number, one in enumerate(scene.items):
            for other in scene.items[number + 1 :]:
                apart = max(abs(one.x - other.x), abs(one.y - other.y))
                assert apart > one.radius + other.radius


def test_objects_stand_out_from_what_is_behind() -> None:
    for scene in TRAIN:
        for item in scene.items:
            behind = scene.background.colours
            if scene.relation == "inside" and item is scene.items[0]:
                behind = (scene.items[1].colour,)
            assert clear_of(item.colour, behind)
    assert CLEAR_DISTANCE > 0.1
    assert not clear_of("grey", ("black", "white"))
    assert not clear_of("red", ("red",))
    assert clear_of("red", ("white",))


def test_an_evaluation_leaves_nothing_open() -> None:
    for seed in range(200):
        scene = sample("held_out", seed, EVALUATION)
        assert {"background", "colour"} <= scene.told
        assert scene.kind in {"single", "pair"}
        assert ("relation" in scene.told) == (scene.kind == "pair")


def test_colours_are_those_asked_for() -> None:
    assert set(OBJECT_COLOURS) < set(TONES)
    assert {i.colour for scene in TRAIN for i in scene.items} == set(OBJECT_COLOURS)


def test_a_mix_that_cannot_be_drawn_says_so() -> None:
    """No two colours of the palette lie so close that a gradient of one colour could be drawn."""
    with pytest.raises(RuntimeError, match="no held_out scene of kind empty"):
        sample("held_out", 0, Mix(kinds={"empty": 1}, backgrounds={}))
