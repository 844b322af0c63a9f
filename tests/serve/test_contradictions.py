"""No state of the page shows two different numbers for one thing."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agfnet.bundle import (
    Abstention,
    Bundle,
    BundleConfig,
    Calibration,
    OperatingPoint,
    PredictionSets,
    Rate,
)
from agfnet.card import card
from agfnet.config import ModelConfig, default_modalities
from agfnet.explain.compute.contributions import contributions
from agfnet.inference.about import training_lines
from agfnet.inference.diagnosis import Diagnosis
from agfnet.inference.postprocessing import decide
from agfnet.inference.wording import group_sentences, sentence, warning_sentences
from agfnet.serve.predict import by_class, class_probabilities, described
from agfnet.translation import Language

from .browsing import Open
from .live import MODALITIES

CLASSES = ("MEL", "BCC", "SCC", "NV", "SK", "VASC", "DF")
CONFIG = BundleConfig(
    classes=CLASSES,
    labels=None,
    modalities=default_modalities(),
    size=32,
    mean=(0.5,) * 3,
    std=(0.5,) * 3,
    model=ModelConfig(),
    data_hash="none",
    optional=("ultrasound",),
)
MALIGNANT = tuple(name in ("MEL", "BCC", "SCC") for name in CLASSES)
CALIBRATED = Calibration(
    sets=PredictionSets("aps", 0.95, False, (0.95,) * len(CLASSES)),
    operating_point=OperatingPoint(
        "malignant", MALIGNANT, 0.95, 0.395, Rate(0.95, 0.83, 0.99), Rate(0.7, 0.6, 0.79), 40, 90
    ),
    abstention=Abstention(0.4537, 0.1, 0.95, 0.1, 0.8),
    ood_threshold=1.0,
)
PLAIN = replace(CALIBRATED, operating_point=None, abstention=None, sets=None, ood_threshold=None)
NUMBER = r"(<1%|>99%|\d+%)"


def bundle(calibration: Calibration) -> Bundle:
    return Bundle(folder=Path(), config=CONFIG, calibration=calibration, files=())


def answers() -> list[tuple[Bundle, Diagnosis]]:
    """Sure and unsure, two frames, a modality missing, foreign, at thresholds, uncalibrated."""
    rng = np.random.default_rng(0)
    found = []
    for k in range(90):
        calibration = PLAIN if k % 9 == 0 else CALIBRATED
        frames = rng.dirichlet(np.full(len(CLASSES), rng.choice([0.1, 0.4, 1.0, 4.0])), 1 + k % 2)
        if k % 10 == 5:  # at the thresholds
            frames = np.array([[0.4537, 0.0, 0.0, 0.0963, 0.45 - 0.001 * k, 0.001 * k, 0.0]])
        given = MODALITIES[:1] if k % 5 == 4 else MODALITIES
        distances = {"clinical": {7: 1.4, 8: 5.0}.get(k % 11, 0.5), "ultrasound": 0.4}
        score = max(distances.values()) if calibration is CALIBRATED else 0.0
        values = frames.mean(axis=0)
        decisions = decide(values[None], np.array([score]), calibration)
        answer = Diagnosis(
            probabilities=values,
            frames=frames,
            images=tuple({name: Path(f"{name}{i}") for name in given} for i in range(len(frames))),
            distances=distances if calibration is CALIBRATED else {},
            quality={"clinical": ("blurred",)} if k % 7 == 0 else {},
            groups=CONFIG.group_numbers,
            **{n: None if v is None else plain(v[0]) for n, v in decisions.items()},
        )
        found.append((bundle(calibration), answer))
    return found


def plain(value: Any) -> Any:
    """A value as a predictor gives it."""
    return value if np.ndim(value) else value.item()


def model(of: Bundle) -> dict[str, Any]:
    calibration = of.calibration
    return {
        "classes": CLASSES,
        "modalities": [{"name": name, "kind": name} for name in MODALITIES],
        "methods": ["occlusion"],
        "warnings": {"en": [], "zh": []},
        "operating_point": calibration.operating_point and asdict(calibration.operating_point),
        "abstention": calibration.abstention and asdict(calibration.abstention),
        "coverage": calibration.sets and calibration.sets.coverage,
        "consider": calibration.sets and calibration.sets.consider,
    }


def prediction(of: Bundle, answer: Diagnosis) -> dict[str, Any]:
    frames = [
        {"images": {n: {"file": 0, "frame": 0} for n in images}, **class_probabilities(row, CONFIG)}
        for images, row in zip(answer.images, answer.frames, strict=True)
    ]
    return {**described(answer, of), "request_id": "", "frames": frames, "images": {}}


def explanation(answer: Diagnosis, seed: int) -> dict[str, Any]:
    """An explanation of the first frame; the answers from fewer images are drawn at random."""
    rng, given = np.random.default_rng(seed), list(answer.images[0])
    numbers = [MODALITIES.index(name) for name in given]
    rows = {
        frozenset(subset): answer.frames[0]
        if len(subset) == len(numbers)
        else rng.dirichlet(np.ones(len(CLASSES)))
        for size in range(len(numbers) + 1)
        for subset in combinations(numbers, size)
    }
    present = np.array([m in numbers for m in range(len(MODALITIES))])

    def answered(_: Any, masks: Any) -> Any:
        return np.array([rows[frozenset(np.flatnonzero(mask).tolist())] for mask in masks])

    parts = contributions(
        answered,
        [np.zeros((1, 1, 1, 3), np.uint8)] * len(MODALITIES),
        present,
    )
    return {
        "class": CLASSES[int(answer.frames[0].argmax())],
        "pass": 0,
        "frame": {},
        "contributions": {MODALITIES[m]: by_class(parts.shapley[m], CLASSES) for m in numbers},
        "answers": [
            {"modalities": [MODALITIES[m] for m in subset], **class_probabilities(row, CONFIG)}
            for subset, row in rows.items()
        ],
        "images": {},
        "maps": {},
    }


def numbers_of(text: str, names: tuple[str, ...]) -> list[tuple[str, str]]:
    """Every class with a number behind it, in the text."""
    pattern = rf"({'|'.join(map(re.escape, names))})\s*[(\uff08]?{NUMBER}"
    return re.findall(pattern, text)


def check_groups(texts: list[str]) -> None:
    """The numbers of the parts add up to that of the group."""
    for text in texts:
        total, *parts = map(whole, re.findall(NUMBER, text))
        assert sum(parts) == total, text


def whole(text: str) -> int:
    """The number behind a text."""
    return {"<1%": 0, ">99%": 100}[text] if text[0] in "<>" else int(text.rstrip("%"))


def test_sentences_agree() -> None:
    """On a terminal, and in DICOM."""
    for of, answer in answers():
        texts = group_sentences(of, answer)
        check_groups([text for text in texts if "threshold" not in text])
        said = " ".join([*texts, sentence(CONFIG.names, answer)])
        found = dict(numbers_of(said, CONFIG.names))
        assert len(set(numbers_of(said, CONFIG.names))) == len(found)
        assert not answer.foreign or not found
        assert len(warning_sentences(CONFIG.names, answer)) == len(
            set(warning_sentences(CONFIG.names, answer))
        )


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_card_has_the_operating_point_of_the_page(language: Language) -> None:
    """Also the sentences about the model, next to which the page shows the card."""
    of = bundle(replace(CALIBRATED, cases=130, patients=120))
    text = card(CONFIG, calibration=of.calibration, language=language)
    (line,) = [each for each in text.splitlines() if "40%" in each]
    (said,) = [each for each in training_lines(of, language) if "40%" in each]
    numbers = ["40%", "95%", "83%", "99%", "70%", "60%", "79%"]
    assert re.findall(r"\d+%", line) == re.findall(r"\d+%", said) == numbers
    for count in ("40", "90"):  # lesions of the group, and others
        assert re.search(rf"(?<![\d.]){count}(?![\d%])", line)
        assert re.search(rf"(?<![\d.]){count}(?![\d%])", said)
    shown = {text for _, answer in answers() for text in group_sentences(of, answer)}
    threshold = [text for text in shown if "threshold" in text]
    assert threshold
    assert all(re.findall(r"\d+%", text) == numbers for text in threshold)


DRAW = """async ([language, labels, cases]) => {
    const [locale, answer, more] = await Promise.all(
        ["locale", "answer", "attribution"].map((name) => import(`./static/${name}.js`)));
    locale.setLabels(labels);
    locale.setLocale(language);
    const lines = (root, of) => [...root.querySelectorAll(of)].map((e) => e.innerText.trim());
    return cases.map(([model, prediction, explanation]) => {
        const root = document.createElement("div");
        document.body.append(root);
        root.append(...answer.answerParts(prediction, model));
        if (!prediction.foreign.length) root.append(...[
            ...more.dependence(explanation, prediction),
            ...more.contributions(explanation),
            ...more.comparison(explanation, prediction.frames.length),
            answer.frameTable(prediction, 0, () => {}),
        ].flat().filter(Boolean));
        for (const details of root.querySelectorAll("details")) details.open = true;
        const drawn = {
            summary: answer.summary(prediction, model),
            bars: [...root.querySelectorAll(".bars:not(.signed) li")].map((li) => [
                li.querySelector(".name").firstChild.textContent,
                li.querySelector(".number").innerText,
                li.querySelector(".tag") !== null,
            ]),
            possible: lines(root, ".possible strong"),
            dependence: lines(root, ".dependence"),
            table: [...root.querySelectorAll("#comparison tbody tr")].map(
                (tr) => lines(tr, "th, td")),
            frames: [...root.querySelectorAll(".passes tbody tr")].map((tr) => lines(tr, "td")),
            parts: lines(root, ".signed .name"),
            text: root.innerText,
        };
        root.remove();
        return drawn;
    });
}"""


@pytest.fixture
def page(visit: Open) -> Any:
    opened = visit()
    opened.locator("#lesion").wait_for()
    return opened


@pytest.mark.browser
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_number_of_one_thing_is_the_same(page: Any, language: str) -> None:
    labels = {name: {"en": e.en, "zh": e.zh} for name, e in CONFIG.diagnoses.items()}
    names = tuple(labels[name][language] for name in CLASSES)
    known = answers()
    cases = [
        [model(of), prediction(of, answer), explanation(answer, k)]
        for k, (of, answer) in enumerate(known)
    ]
    drawn = page.evaluate(DRAW, [language, labels, cases])
    for (of, answer), case, state in zip(known, cases, drawn, strict=True):
        check_state(of, answer, case[2], state, names, language)
    for part in ("possible", "bars", "dependence", "table", "frames"):
        assert {bool(state[part]) for state in drawn} == {True, False}, part  # all were drawn


def check_state(
    of: Bundle,
    answer: Diagnosis,
    explained: dict[str, Any],
    state: dict[str, Any],
    names: tuple[str, ...],
    language: str,
) -> None:
    """Compare everything that one state of the page says."""
    summary = " ".join(state["summary"])
    if answer.foreign:
        assert not re.search(NUMBER, state["text"])
        assert not any(name in state["text"] for name in names)
        assert len(state["summary"]) == 1
        return
    bars = {name: number for name, number, _ in state["bars"]}
    assert sorted(bars) == sorted(names)
    for name, number in numbers_of(summary, names):
        assert bars[name] == number, (summary, bars)
    check_groups(state["summary"][:2])
    shown = [int(number.strip("<>%")) for number in bars.values()]
    assert shown[0] >= max(shown) - 1  # bars are in the order of the exact values

    tagged = [name for name, _, tag in state["bars"] if tag]
    listed = re.split("、|, ", state["possible"][0]) if state["possible"] else []
    assert tagged == listed
    if listed:
        consider = 100 * of.calibration.sets.consider  # type: ignore[union-attr]
        assert all(name in listed for name, n in bars.items() if int(n.strip("<>%")) > consider)
    assert summary.count("Uncertain") <= 1
    assert len(state["summary"]) == len(set(state["summary"]))

    if (point := of.calibration.operating_point) is not None:
        malignant = int(re.findall(NUMBER, state["summary"][0])[0].strip("<>%"))
        above = {"en": "At or above", "zh": "达到或高于"}[language] in summary
        assert above == (malignant >= 40) == (answer.above_threshold is True)
        assert point.threshold == 0.395
    if answer.abstain is not None and not answer.out_of_distribution:
        assert (shown[0] <= 46) if answer.abstain else (shown[0] >= 45)

    one_frame = len(answer.frames) == 1
    assert bool(state["frames"]) == (not one_frame)
    if state["table"]:
        (_, result, number), *without = state["table"]
        [(name, same)] = numbers_of(result, names)
        assert same == number  # the class that is explained is the result
        if one_frame:
            assert bars[name] == number
        rows = [numbers_of(row[1], names)[0] for row in without]
        for text in state["dependence"]:
            for changed, value in numbers_of(text, names):
                assert (changed, value) in rows
        for row in without:
            for other, value in numbers_of(row[1], names):
                assert other != name or value == row[2]
    if state["frames"] and state["table"]:
        first = numbers_of(state["frames"][0][-2], names)
        assert first == [(names[int(answer.frames[0].argmax())], state["table"][0][2])]
    assert len(state["parts"]) == len(explained["contributions"])
