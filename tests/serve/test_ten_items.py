"""The page as a clinician tries it: real files, a real server, no reply that is replaced.

One test for each subject: doubt, foreign pictures, the frame, contributions, malignancy, trust,
names, languages, convenience, and the server. The network is a linear layer on the mean colours of
phantom lesions: it is fast, and unsure of many.
"""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
from PIL import Image, ImageDraw
from sklearn.linear_model import LogisticRegression

from agfnet.bundle import (
    Abstention,
    BundleConfig,
    Calibration,
    OperatingPoint,
    PredictionSets,
    Rate,
    SimilarIndex,
    write_bundle,
    write_calibration,
    write_similar,
)
from agfnet.calibration.ood import fit_familiarity
from agfnet.cli import main
from agfnet.config import ModelConfig, default_modalities
from agfnet.data.preprocess import load
from agfnet.data.table import Case, read_cases
from agfnet.files import seal
from agfnet.inference.familiarity import image_statistics
from agfnet.phantom.dicom import write_sweep

from .browsing import Open, ask, drop, put, upload, verdict
from .live import MODALITIES, SIZE, Live, graph
from .test_contradictions import NUMBER, check_groups, numbers_of, whole

pytestmark = pytest.mark.browser
HEIC = Path(__file__).parents[1] / "data" / "phone.heic"
MALIGNANT = {"basal_cell_carcinoma", "melanoma", "squamous_cell_carcinoma"}


class Clinic(NamedTuple):
    """A server with its lesions."""

    live: Live
    cases: list[Case]
    watched: Path  # folder, each folder in it is a lesion

    @property
    def url(self) -> str:
        return self.live.url

    def files(self, case: Case) -> dict[str, list[bytes]]:
        return {name: [path.read_bytes() for path in case.images[name]] for name in MODALITIES}

    def predict(self, case: Case, **options: Any) -> dict[str, Any]:
        """The reply of the API."""
        sent = [(name, ("x", data)) for name, some in self.files(case).items() for data in some]
        reply = self.live.client.post(
            "/v1/predict", files=sent, data={"options": json.dumps(options)}
        )
        answer: dict[str, Any] = reply.raise_for_status().json()
        return answer

    def names(self, language: str) -> dict[str, str]:
        """The display name of each class."""
        labels = self.live.client.get("/v1/model").json()["labels"]
        return {name: label[language] for name, label in labels.items()}


def one_scan(case: Case) -> Case:
    """The lesion with its first scan only."""
    images = {name: paths[:1] for name, paths in case.images.items()}
    return replace(case, images=images)


@pytest.fixture(scope="module")
def clinic(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    """A server for phantom lesions."""
    table = read_cases(cohort, modalities=MODALITIES).cases
    cases = [one_scan(case) for case in table if all(case.images.values())]
    folder = fitted_bundle(tmp_path_factory.mktemp("clinic") / "bundle", cases)
    watched = tmp_path_factory.mktemp("watched")
    watch = ("--watch", str(watched), "--watch-settle-s", "0.2", "--watch-report", "identified")
    live = Live(folder, "--workers", "1", *watch)
    yield Clinic(live, cases, watched)
    live.close()


def fitted_bundle(folder: Path, cases: list[Case]) -> Path:
    """A bundle whose network and whose statistics of images are fitted to lesions."""
    kinds = default_modalities()
    images = {n: [load(c.images[n][0], size=SIZE, modality=kinds[n]) for c in cases] for n in kinds}
    colours = np.hstack([np.array([i.mean(axis=(0, 1)) / 255 for i in images[n]]) for n in kinds])
    layer = LogisticRegression(C=300, max_iter=3000).fit(colours, [case.label for case in cases])
    classes = tuple(layer.classes_)
    config = BundleConfig(
        classes=classes,
        labels=None,
        modalities=kinds,
        size=SIZE,
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        model=ModelConfig(),
        data_hash="none",
        cases={"train": dict.fromkeys(classes, 12), "val": dict.fromkeys(classes, 5)},
        simulated=True,
        optional=("ultrasound",),
    )
    bundle = write_bundle(folder, {"w": np.zeros(1, np.float32)}, config, "# By colour\n")
    statistics = {n: np.array([image_statistics(i) for i in images[n]]) for n in kinds}
    point = OperatingPoint(
        group="malignant",
        members=tuple(name in MALIGNANT for name in classes),
        target_sensitivity=0.95,
        threshold=0.395,
        sensitivity=Rate(0.95, 0.83, 0.99),
        specificity=Rate(0.7, 0.6, 0.79),
        positives=40,
        negatives=90,
    )
    calibration = Calibration(
        temperature=0.4,
        sets=PredictionSets("aps", 0.95, False, (0.9,) * len(classes)),
        operating_point=point,
        abstention=Abstention(0.5, 0.1, 0.95, 0.1, 0.8),
        familiarity={
            # no lesion of the cohort is unfamiliar
            name: replace(model, threshold=farthest(model, statistics[name]))
            for name, model in fit_familiarity(statistics).items()
        },
        accuracy=Rate(0.4, 0.3, 0.5),
        majority=0.3,
        cases=35,
        patients=30,
    )
    bundle = write_calibration(bundle, calibration)
    shown = SimilarIndex(colours, tuple(c.label for c in cases), tuple(c.lesion_id for c in cases))
    write_similar(bundle, shown)
    network = graph(list(kinds), layer.coef_.T, layer.intercept_)
    onnx.save(network, folder / "model.onnx")
    seal(folder)
    return folder


def farthest(model: Any, statistics: Any) -> float:
    """The largest distance of the images."""
    centred = statistics - np.array(model.mean)
    squared = np.einsum("ni,ij,nj->n", centred, np.array(model.precision), centred)
    return float(np.sqrt(squared.max() / centred.shape[1])) + 1e-6


def give(page: Any, files: dict[str, list[bytes]]) -> None:
    """Upload the files of a lesion."""
    for name, some in files.items():
        put(page, name, *(upload(f"{name}{k}.img", data) for k, data in enumerate(some)))


def picture(name: str) -> Image.Image:
    """A picture that is no lesion."""
    image = Image.new("RGB", (400, 300), "white")
    pen = ImageDraw.Draw(image)
    if name == "cat":
        pen.ellipse((120, 90, 280, 250), fill=(250, 160, 40), outline="black", width=4)
        for x in (130, 220):
            pen.polygon([(x, 110), (x + 25, 40), (x + 50, 105)], fill=(250, 160, 40))
            pen.ellipse((x + 20, 140, x + 40, 165), fill=(20, 120, 20))
    if name == "page":
        for k in range(24):
            pen.text(
                (10, 12 * k), "Dear colleague, thank you for referring this patient " * 2, "black"
            )
    return image


def saved(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    target = io.BytesIO()
    image.save(target, form, **options)
    return target.getvalue()


def analyse(page: Any) -> None:
    """Ask for the answer, of which there may be none."""
    page.click("#analyse")
    page.locator(".verdict").wait_for()
    page.locator(".busy").wait_for(state="detached")


BARS = """(rows) => [...document.querySelectorAll(rows)].map((row) => [
    row.querySelector(".name").firstChild.textContent, row.querySelector(".number").innerText])"""


def bars(page: Any) -> dict[str, str]:
    """The probability that each class is shown with, in order."""
    page.evaluate("document.querySelectorAll('#answer details').forEach((e) => { e.open = true; })")
    return dict(page.evaluate(BARS, ".bars:not(.signed) li"))


def test_1_all_that_cannot_be_excluded_is_listed(visit: Open, clinic: Clinic) -> None:
    replies = [clinic.predict(case) for case in clinic.cases[:40]]
    unsure = [k for k, one in enumerate(replies) if one["probabilities"][1]["probability"] >= 0.3]
    sure = max(range(40), key=lambda k: replies[k]["probabilities"][0]["probability"])
    assert len(unsure) >= 2
    page = visit(clinic.url)
    for k in [*unsure[:2], sure]:
        give(page, clinic.files(clinic.cases[k]))
        ask(page)
        numbers = bars(page)
        listed = page.locator(".possible strong").inner_text().split(", ")
        assert len(listed) == len(replies[k]["prediction_set"]) > 0
        assert [name for name, text in numbers.items() if whole(text) >= 10] == listed[
            : sum(whole(text) >= 10 for text in numbers.values())
        ]
        tagged = dict(page.evaluate(BARS, ".bars li:has(.tag)"))
        assert list(tagged) == listed
        explained = page.locator("[data-key=set]").inner_text()
        assert "95%" in explained
        assert "10%" in explained
        page.click("#clear")


def test_2_each_kind_of_doubt_has_its_own_words(visit: Open, clinic: Clinic) -> None:
    case, page = clinic.cases[0], visit(clinic.url)
    own = clinic.files(case)
    blank = saved(Image.new("L", (300, 200), 0))
    for modality, content in (
        ("clinical", saved(picture("cat"))),
        ("clinical", saved(picture("page"))),
        ("ultrasound", saved(picture("cat"), "JPEG", quality=90)),
        ("ultrasound", blank),
    ):
        give(page, own | {modality: [content]})
        analyse(page)
        name = {"clinical": "Clinical photo", "ultrasound": "Ultrasound"}[modality]
        assert verdict(page).startswith("No diagnosis")
        assert f": {name}." in verdict(page)
        assert "%" not in verdict(page)
        shown = page.locator("#answer-body").inner_text()
        assert not any(each in shown for each in clinic.names("en").values())
        assert page.locator(".bars, .pictures").count() == 0
        page.click("#clear")

    replies = {k: clinic.predict(each) for k, each in enumerate(clinic.cases)}
    assert not any(one["out_of_distribution"] or one["foreign"] for one in replies.values())
    unsure = next(k for k, one in replies.items() if one["abstain"])
    give(page, clinic.files(clinic.cases[unsure]))
    ask(page)
    lines = verdict(page).split("\n")
    assert "Uncertain. Specialist review needed." in lines
    assert "unlike" not in verdict(page)
    assert len(set(filter(None, lines))) == len(list(filter(None, lines)))
    page.click("#clear")

    give(page, {"ultrasound": own["ultrasound"]})  # the network always had a photograph
    ask(page)
    assert verdict(page).count("Clinical photo") == 1
    assert "trained" in verdict(page)


def test_3_the_network_sees_the_lesion(visit: Open, clinic: Clinic) -> None:
    lesion = Image.open(clinic.cases[0].images["clinical"][0]).convert("RGB")
    skin = np.asarray(lesion.resize((64, 64)))[:3].reshape(-1, 3).mean(axis=0)
    large = np.random.default_rng(0).normal(skin, 3, (1512, 2016, 3)).clip(0, 255)
    photo = Image.fromarray(large.astype(np.uint8))
    photo.paste(lesion.resize((420, 420)), (90, 130))
    page = visit(clinic.url)
    put(page, "clinical", upload("far.jpg", saved(photo, "JPEG", quality=92)))
    assert "was moved to it" in page.locator(".file .warning").inner_text()
    with page.expect_response("**/v1/predict") as reply:
        ask(page)
    answer = reply.value.json()
    crop = answer["images"]["clinical"][0]["crop"]
    assert crop["x"] < 300 < crop["x"] + crop["width"]
    assert crop["y"] < 340 < crop["y"] + crop["height"]
    part = photo.crop((crop["x"], crop["y"], crop["x"] + crop["width"], crop["y"] + crop["height"]))
    same = clinic.live.predict(saved(part)).json()["probabilities"]
    shown = {row["name"]: row["percent"] for row in answer["probabilities"]}
    for row in same:  # JPEG is decoded at another size
        assert row["percent"] == pytest.approx(shown[row["name"]], abs=3)
    with page.expect_download() as download:
        page.click("#save-report")
    text = Path(download.value.path()).read_text(encoding="utf-8")
    assert f"x {crop['x']}, y {crop['y']}" in text


def test_4_one_number_for_each_image(visit: Open, clinic: Clinic) -> None:
    page = visit(clinic.url)
    give(page, clinic.files(clinic.cases[3]))
    with page.expect_response("**/v1/explain") as reply:
        ask(page)
    explained = reply.value.json()
    name = explained["class"]
    none, *_, every = explained["answers"]
    parts = [values[name] for values in explained["contributions"].values()]
    change = every["probabilities"][name] - none["probabilities"][name]
    assert sum(parts) == pytest.approx(change, abs=1e-3)
    shown = page.locator(".signed .number").all_inner_texts()
    assert len(shown) == 2
    for text, part in zip(shown, parts, strict=True):
        assert int(text.split()[0].replace("\N{MINUS SIGN}", "-")) == round(100 * part)
    body = page.locator("#answer-body").inner_text()
    assert re.search(r"%[^.]{0,20}(evidence|attribution)", body) is None
    check_numbers(page, clinic, "en")
    page.click("#language")
    check_numbers(page, clinic, "zh")


def test_4_the_report_the_bars_and_the_api_have_the_same_numbers(
    visit: Open, clinic: Clinic
) -> None:
    page, names = visit(clinic.url), clinic.names("en")
    most_probable = [clinic.predict(case)["probabilities"][0] for case in clinic.cases[:20]]
    order = sorted(range(20), key=lambda k: most_probable[k]["probability"])
    for k in (order[0], order[-1]):  # unsure and sure
        give(page, clinic.files(clinic.cases[k]))
        with page.expect_response("**/v1/explain") as explained:
            ask(page)
        answer, explanation = clinic.predict(clinic.cases[k]), explained.value.json()
        percents = {names[r["name"]]: bounded(r["percent"]) for r in answer["probabilities"]}
        alone = {
            tuple(one["modalities"]): (names[one["predicted"]], one["percents"])
            for one in explanation["answers"]
        }
        with page.expect_download() as download:
            page.click("#save-report")
        report = page.context.new_page()
        report.set_content(Path(download.value.path()).read_text(encoding="utf-8"))
        for shown in (page, report):
            assert bars(shown) == percents
            check_without(shown, alone, names[explanation["class"]])
        texts = [
            [each.inner_text() for each in shown.locator(".verdict p").all()]
            for shown in (page, report)
        ]
        assert texts[0] == texts[1]
        report.close()
        page.click("#clear")


def check_without(page: Any, alone: dict[tuple[str, ...], Any], explained: str) -> None:
    """The table and the sentences on each image left out have the numbers of the API."""
    rows = page.locator("#comparison tbody tr").all_inner_texts()
    assert len(rows) == 3
    expected = {"All": MODALITIES, "Without Ultrasound": ("clinical",)}
    expected |= {"Without Clinical photo": ("ultrasound",)}
    for start, modalities in expected.items():
        (row,) = [text for text in rows if text.startswith(start)]
        predicted, percents = alone[modalities]
        known = {key.replace("_", " "): bounded(value) for key, value in percents.items()}
        assert f"{predicted} ({known[predicted]})" in row
        assert row.split()[-1] == known[explained]
    said = " ".join(page.locator(".dependence").all_inner_texts())
    for modality, name in (("clinical", "Ultrasound"), ("ultrasound", "Clinical photo")):
        predicted, percents = alone[(modality,)]
        if f"Without {name}" in said:
            number = bounded(percents[predicted.replace(" ", "_")])
            assert f"Without {name}, the result would be {predicted} ({number})" in said


def check_numbers(page: Any, clinic: Clinic, language: str) -> None:
    """No class has two numbers, but in the rows that leave an image out."""
    numbers = bars(page)
    names = tuple(clinic.names(language).values())
    assert set(numbers) == set(names)
    said = [
        page.locator(".verdict").inner_text(),
        page.locator("#comparison tr").nth(1).inner_text(),
    ]
    found = numbers_of(" ".join(said), names)
    assert found
    assert all(numbers[name] == number for name, number in found), (found, numbers)
    check_groups(page.locator(".verdict p").all_inner_texts()[:2])


def test_5_the_first_line_says_whether_it_is_malignant(visit: Open, clinic: Clinic) -> None:
    page = visit(clinic.url)
    replies = [clinic.predict(case)["groups"][0] for case in clinic.cases[:40]]
    most, least = (f(range(40), key=lambda k: replies[k]["probability"]) for f in (max, min))
    for k, words in ((most, "At or above"), (least, "Below")):
        give(page, clinic.files(clinic.cases[k]))
        ask(page)
        first, *_ = page.locator(".verdict p").all_inner_texts()
        assert first.startswith(f"Malignant {bounded(replies[k]['percent'])}: ")
        assert f"{words} the threshold of 40%" in verdict(page)
        assert "sensitivity 95% (83% to 99%), specificity 70% (60% to 79%)" in verdict(page)
        rule = "Results with a probability below about 50% are left to a specialist"
        assert page.locator("#answer-body").inner_text().count(rule) == 1
        page.click("#clear")


def bounded(number: int) -> str:
    """A whole per cent as readers are shown it."""
    return {0: "<1%", 100: ">99%"}.get(number, f"{number}%")


def test_6_the_model_says_what_to_trust(visit: Open, clinic: Clinic, tmp_path: Path) -> None:
    page = visit(clinic.url)
    give(page, clinic.files(clinic.cases[1]))
    ask(page)
    banner = page.locator("#answer-body .warning").all_inner_texts()
    assert any("simulated lesions" in text for text in banner)
    assert any("40% (30% to 50%)" in text and "30%" in text for text in banner)
    page.locator("#about summary").click()
    about = page.locator("#about-body").inner_text()
    assert "Trained on 84 lesions" in about
    assert "Not tested on held-out lesions." in about
    page.click("#language")
    assert "模拟皮损" in page.locator("#answer-body .warning").first.inner_text()
    assert "训练所用皮损共 84 个" in page.locator("#about-body").inner_text()
    config = BundleConfig(
        classes=("a", "b"),
        labels=None,
        modalities=default_modalities(),
        size=SIZE,
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        model=ModelConfig(),
        data_hash="none",
    )
    write_bundle(tmp_path / "raw", {"w": np.zeros(1, np.float32)}, config, "# Not calibrated\n")
    assert main(["serve", str(tmp_path / "raw")]) == 1


def test_7_diagnoses_have_names_in_both_languages(visit: Open, clinic: Clinic) -> None:
    page = visit(clinic.url)
    replies = [clinic.predict(case) for case in clinic.cases[:20]]
    k = next(k for k, one in enumerate(replies) if len(one["prediction_set"]) >= 2)
    give(page, clinic.files(clinic.cases[k]))
    ask(page)
    for language, joint in (("en", ", "), ("zh", "、")):
        names = clinic.names(language)
        listed = page.locator(".possible strong").inner_text().split(joint)
        assert listed == [names[name] for name in replies[k]["prediction_set"]]
        assert "_" not in page.locator("#answer-body").inner_text()
        page.click("#language")


LATIN = {"agfnet", "ID", "LayerCAM", "x", "y", "onnx", "Chromium", "English"}


def test_8_each_language_is_whole(visit: Open, clinic: Clinic, tmp_path: Path) -> None:
    page = visit(clinic.url, locale="zh-CN")
    give(page, clinic.files(clinic.cases[2]))
    ask(page)
    bars(page)
    shown = page.locator("#answer-body").inner_text()
    words = set(re.findall(r"[A-Za-z]{2,}", shown))
    assert words <= LATIN
    assert re.search(r"[一-鿿][,;:?!()]", shown) is None
    with page.expect_download() as download:
        page.click("#save-report")
    chinese = Path(download.value.path()).read_text(encoding="utf-8")
    page.click("#language")
    with page.expect_download() as download:
        page.click("#save-report")
    english = Path(download.value.path()).read_text(encoding="utf-8")
    assert 'lang="zh-CN"' in chinese
    assert 'lang="en"' in english
    plain = re.sub(r"<style>.*?</style>", "", english, flags=re.S)
    assert re.search("[一-鿿]", re.sub(r"<[^>]*>", " ", plain)) is None
    numbers = [re.findall(NUMBER, re.sub(r"<[^>]*>", " ", text)) for text in (chinese, english)]
    assert numbers[0] == numbers[1]


def test_9_the_page_helps(visit: Open, clinic: Clinic, tmp_path: Path) -> None:
    page = visit(clinic.url, width=390, is_mobile=True, has_touch=True)
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_role("button", name="Example 2").click()
    page.locator("[data-modality=ultrasound] .file img").wait_for()
    ask(page)
    assert "basal cell carcinoma" in page.locator(".truth").inner_text()
    assert page.locator(".dependence").count() >= 1
    page.locator("#answer").evaluate("(e) => e.scrollIntoView()")
    assert page.locator(".verdict .sentence").bounding_box()["y"] < 844
    page.click("#clear")

    sweep = tmp_path / "sweep.dcm"
    scans = [
        np.asarray(Image.open(case.images["ultrasound"][0]).convert("L"))
        for case in clinic.cases[:3]
    ]
    names = {"lesion_id": "L1", "patient_id": "P1", "station": "probe"}
    write_sweep(sweep, scans, **names, spacing=0.1, frequency=20.0, burned_in=False)
    drop(page, "body", upload("a", sweep.read_bytes()), upload("b", HEIC.read_bytes()))
    page.locator("[data-modality=ultrasound] .file img").first.wait_for()
    page.locator("[data-modality=clinical] .file img").wait_for()
    page.locator("#advice .quiet").wait_for(state="detached")
    analyse(page)
    if page.locator(".pictures").count():
        assert page.locator(".scale-bar").inner_text().endswith(" mm")
    page.click("#clear")
    give(page, {"ultrasound": [sweep.read_bytes()]})
    ask(page)
    assert page.locator(".scale-bar").inner_text().endswith(" mm")
    assert page.locator(".left-out tbody tr").count() == 3


def test_9_similar_training_lesions_are_listed(visit: Open, clinic: Clinic) -> None:
    case, page = clinic.cases[7], visit(clinic.url)
    assert clinic.predict(case)["similar"] is None  # only if asked
    answer = clinic.predict(case, similar=True)
    assert len(answer["similar"]) == 5
    assert answer["similar"][0]["lesion_id"] == case.lesion_id  # it was trained on this one
    assert answer["similar"][0]["distance"] == pytest.approx(0, abs=1e-3)
    distances = [one["distance"] for one in answer["similar"]]
    assert distances == sorted(distances)
    give(page, clinic.files(case))
    ask(page)
    page.locator(".similar-list summary").click()
    names = clinic.names("en")
    shown = [row.inner_text().split("\t") for row in page.locator(".similar-list tbody tr").all()]
    assert shown == [
        [one["lesion_id"], names[one["label"]], f"{one['distance']:.2f}"]
        for one in answer["similar"]
    ]
    said = page.locator(".similar").first.inner_text()
    assert sum(map(int, re.findall(r" (\d)[,.]", said))) == 5
    page.click("#language")
    assert "、" in page.locator(".similar").first.inner_text() or said.count(",") == 0


def test_10_the_server_reads_and_writes_dicom(visit: Open, clinic: Clinic, tmp_path: Path) -> None:
    import pydicom

    case = next(each for each in clinic.cases if not clinic.predict(each)["refer"])
    incoming = tmp_path / "L6"
    incoming.mkdir()
    for name in MODALITIES:
        path = case.images[name][0]
        (incoming / f"{name}{path.suffix}").write_bytes(path.read_bytes())
    incoming.rename(clinic.watched / "L6")
    written = clinic.watched / "L6" / "agfnet_answer.json"
    end = time.monotonic() + 20
    while not written.exists() and time.monotonic() < end:
        time.sleep(0.1)
    answer = json.loads(written.read_text(encoding="utf-8"))
    report = pydicom.dcmread(written.with_name("agfnet_answer.dcm"))
    assert report.Modality == "SR"
    page = visit(clinic.url)
    give(page, clinic.files(case))
    ask(page)
    numbers = bars(page)
    for row in answer["probabilities"]:
        assert numbers[clinic.names("en")[row["name"]]] == bounded(row["percent"])
    assert answer["sentence"] in verdict(page)
    assert any(answer["sentence"] in text for text in texts_of(report))


def texts_of(content: Any) -> list[str]:
    """The texts in a structured report."""
    items = content.get("ContentSequence", [])
    own = [str(item.TextValue) for item in items if "TextValue" in item]
    return [*own, *(text for item in items for text in texts_of(item))]
