"""The page in a browser: the whole path, both languages, what goes wrong, and who can use it."""

from __future__ import annotations

import base64
import io
import json
import re
import socket
import zipfile
from pathlib import Path
from typing import Any

import pytest

import agfnet
from agfnet.config import default_modalities
from agfnet.serve.preview import HINTS
from agfnet.translation import WORDS

from .browsing import Open, ask, drop, put, upload, verdict
from .live import LIMITS, MODALITIES, NAME, Live, arm, encoded, make_bundle, noise

axe_playwright = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed"
)
pytestmark = pytest.mark.browser

STATIC = Path(agfnet.__file__).parent / "serve" / "static"
SERVE = Path(__file__).parents[2] / "docs" / "serve.md"
OUR_OWN = {"offline", "details", "heic"}
SECRET = "a-long-secret-token"


@pytest.fixture(scope="module")
def photo() -> dict[str, Any]:
    return upload(f"{NAME} arm.jpg", encoded(noise(90, 120, (200, 120, 100)), "JPEG"))


@pytest.fixture(scope="module")
def scan() -> dict[str, Any]:
    return upload("scan.png", encoded(noise(80, 60, (70, 70, 70)), "PNG"))


def test_from_two_dropped_files_to_a_saved_report(
    visit: Open, live: Live, photo: dict[str, Any], scan: dict[str, Any], tmp_path: Path
) -> None:
    page = visit()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.post_data or ""))
    page.locator("#lesion").wait_for()
    drop(page, "body", photo, scan)  # each into the next empty field
    for modality in MODALITIES:
        page.locator(f"[data-modality={modality}] .file img").wait_for()
    ask(page)

    files = {"clinical": ("x", photo["buffer"]), "ultrasound": ("x", scan["buffer"])}
    told = live.client.post("/v1/predict", files=files).json()
    assert told["sentence"] in verdict(page)
    best = told["probabilities"][0]
    assert f"{best['probability']:.0%}" in page.locator(".bars li").first.inner_text()
    assert page.locator(".bars").first.locator(".tag").count() == len(told["prediction_set"])
    assert told["sentence"] in page.locator("#status").inner_text()  # read out
    assert page.evaluate("document.activeElement.id") == "answer"
    assert page.locator("#comparison tbody tr").count() == 3
    assert "Without Ultrasound" in page.locator("#comparison").inner_text()
    assert page.locator(".bars.signed li").count() == 2
    assert not any(NAME in body for body in sent)

    slider = page.locator("[data-key=opacity]")
    slider.fill("20")
    assert page.locator(".layer").first.evaluate("(e) => getComputedStyle(e).opacity") == "0.2"
    page.select_option("[data-key=select-method]", "guide")
    page.locator(".busy").wait_for(state="detached")
    assert page.locator(".layer").count() == 2

    page.click("#language")
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    assert "最可能是" in verdict(page)
    assert page.locator(".notice").inner_text().startswith("仅供研究使用")
    words = page.evaluate("document.body.innerText")
    assert "undefined" not in words
    assert re.search(r"Result|Regions|Report", words) is None

    page.fill("#reference", "case <b>7</b>")
    with page.expect_download() as download:
        page.click("#save-report")
    report = tmp_path / "report.html"
    download.value.save_as(report)
    text = report.read_text(encoding="utf-8")
    assert re.search(r"""(src|href)=["'](?!data:)""", text) is None
    assert "<script" not in text
    assert NAME not in text
    saved = page.context.new_page()
    saved.set_content(text)
    shown = saved.inner_text("body")
    label = live.client.get("/v1/model").json()["labels"][told["predicted"]]
    for part in ("仅供研究使用", "case <b>7</b>", "最可能是", label["zh"]):
        assert part in shown
    assert saved.locator(".layer").count() == 2
    assert saved.locator("button, select, input").count() == 0
    page.emulate_media(media="print")
    assert page.locator("#lesion, #save, header").filter(visible=True).count() == 0
    pdf = page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1

    kept = json.loads(page.evaluate("JSON.stringify(localStorage)"))
    assert kept == {"agfnet.language": "zh"}
    page.emulate_media(media="screen")
    page.reload()
    page.locator("#lesion").wait_for()
    assert page.locator("#analyse").inner_text() == "分析"


def test_frames_of_a_clip_can_be_chosen(visit: Open, files: dict[str, bytes]) -> None:
    page = visit()
    put(page, "ultrasound", upload("clip.dcm", files["DICOM"]))
    frames = page.locator(".frame")
    assert frames.count() == 4
    assert "All 4 frames" in page.locator(".frames").inner_text()
    frames.nth(3).click()
    assert frames.nth(3).get_attribute("aria-pressed") == "true"
    assert page.evaluate("document.activeElement.dataset.key") == "frame-ultrasound-0-3"
    frames.nth(0).press("Enter")
    assert "2 of 4" in page.locator(".frames").inner_text()
    ask(page)
    assert "Not provided: Clinical photo" in verdict(page)
    page.locator(".passes summary").click()
    rows = page.locator(".passes tbody tr")
    for row, frame in zip(rows.all(), ("frame 1", "frame 4"), strict=True):
        assert frame in row.inner_text()
    other = rows.locator("[aria-pressed=false]")
    assert other.count() == 1
    key = other.get_attribute("data-key")
    other.click()
    page.locator(f"[data-key={key}][aria-pressed=true]").wait_for()
    assert page.evaluate("document.activeElement.dataset.key") == key
    page.get_by_role("button", name="Use all frames").click()
    assert page.locator(".verdict").count() == 0  # it was the answer to other frames


def test_exchanged_images_are_seen_and_swapped(
    visit: Open, photo: dict[str, Any], scan: dict[str, Any]
) -> None:
    page = visit()
    put(page, "clinical", scan)
    put(page, "ultrasound", photo)
    assert page.locator(".file .warning").count() == 2
    page.click("#swap")
    page.locator("[data-modality=clinical] .name", has_text="arm.jpg").wait_for()
    page.locator(".file .warning").first.wait_for(state="detached")
    assert page.locator("#swap").count() == 0


def test_what_is_pasted_goes_where_the_focus_is(visit: Open, scan: dict[str, Any]) -> None:
    page = visit()
    page.locator("[data-modality=ultrasound] button").first.focus()
    page.evaluate(
        """(text) => {
            const data = new DataTransfer();
            const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
            data.items.add(new File([bytes], "pasted.png"));
            document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data }));
        }""",
        base64.b64encode(scan["buffer"]).decode(),
    )
    page.locator("[data-modality=ultrasound] .name", has_text="pasted.png").wait_for()


def test_files_that_cannot_be_used_are_named_and_the_others_are_answered(
    visit: Open, photo: dict[str, Any]
) -> None:
    page = visit()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    put(page, "clinical", upload("large.jpg", photo["buffer"] + bytes(1 << 20)))
    assert "Too large: at most 1 MB" in page.locator(".file .error").inner_text()
    assert page.locator("#analyse").is_disabled()
    assert not any("preview" in url for url in requests)  # nothing was sent in vain

    put(page, "clinical", upload("notes.txt", b"no image"), photo)
    put(page, "ultrasound", upload("cut.jpg", photo["buffer"][:400]))
    errors = page.locator(".file .error")
    assert errors.count() == 3
    assert "This file is not JPEG, PNG" in errors.nth(1).inner_text()
    assert "This file is damaged or truncated" in errors.nth(2).inner_text()
    page.click("#language")
    for error in errors.all()[1:]:  # in one sentence, and nothing in English
        text = error.inner_text().split("\n")[-1]
        assert text.startswith("该文件")
        assert text.count("。") == 1
        assert set(re.findall("[A-Za-z]+", text)) <= {"JPEG", "PNG", "TIFF", "DICOM", "HEIC"}
    page.click("#language")
    ask(page)
    assert "Not provided: Ultrasound" in verdict(page)
    page.click("#clear")
    assert page.locator(".file").count() == 0


def test_it_says_when_it_is_not_sure(visit: Open) -> None:
    page = visit()
    between = noise(60, 60, (83, 40, 76))  # to the network by hand, all classes are equal
    put(page, "clinical", upload("between.png", encoded(between, "PNG")))
    ask(page)
    assert "Uncertain. Specialist review needed." in verdict(page)
    rule = "Results with a probability below about 45% are left to a specialist"
    assert page.locator("#answer-body").inner_text().count(rule) == 1
    assert "The uncertainty is too high" not in verdict(page)  # the rule says so
    page.click("#language")
    assert "结果不可靠" in verdict(page)


def test_a_picture_of_another_kind_gets_no_diagnosis(
    visit: Open, live: Live, photo: dict[str, Any]
) -> None:
    page = visit()
    answer = live.client.post("/v1/predict", files={"clinical": ("x", photo["buffer"])}).json()
    answer |= {"foreign": ["clinical"], "refer": True}
    page.route("**/v1/predict", lambda route: route.fulfill(json=answer))
    put(page, "clinical", photo)
    page.click("#analyse")
    page.locator(".verdict").wait_for()
    assert verdict(page).strip() == (
        "No diagnosis: another kind of picture than the training images, or one of very poor"
        " quality: Clinical photo."
    )
    shown = page.locator("#answer-body").inner_text()
    assert "%" not in shown
    assert not any(label["en"] in shown for label in labels_of(live))


def test_poor_images_are_named_in_the_answer(visit: Open) -> None:
    page = visit()
    dark = noise(60, 60, (20, 12, 9))
    put(page, "clinical", upload("dark.png", encoded(dark, "PNG")))
    ask(page)
    assert verdict(page).count("Clinical photo: The image is too dark.") == 1
    page.click("#language")
    assert verdict(page).count("图像太暗") == 1


def test_warnings_of_the_model_are_in_the_answer(visit: Open, photo: dict[str, Any]) -> None:
    page = visit()

    def simulated(route: Any) -> None:
        model = route.fetch().json()
        text = "This model learned from simulated lesions."
        route.fulfill(json=model | {"warnings": {"en": [text], "zh": ["模拟皮损。"]}})

    page.route("**/v1/model", simulated)
    page.reload()
    put(page, "clinical", photo)
    ask(page)
    assert "simulated lesions" in page.locator("#answer-body .warning").inner_text()
    page.click("#language")
    assert page.locator("#answer-body .warning").inner_text() == "模拟皮损。"


def labels_of(live: Live) -> list[dict[str, Any]]:
    return list(live.client.get("/v1/model").json()["labels"].values())


def test_the_first_line_answers_whether_it_is_malignant(visit: Open) -> None:
    page = visit()
    green = noise(60, 60, (40, 200, 40))  # melanoma, to the network by hand
    put(page, "clinical", upload("green.png", encoded(green, "PNG")))
    ask(page)
    first = page.locator(".verdict .sentence").inner_text()
    shown = page.locator(".bars li").first.inner_text().split("\n")
    probability = next(text for text in shown if text.endswith("%"))
    assert first == f"Malignant {probability}: melanoma {probability}."
    assert "At or above the threshold of 40%" in verdict(page)
    assert "sensitivity 95% (83% to 99%)" in verdict(page)
    page.click("#language")
    first = page.locator(".verdict .sentence").inner_text()
    assert first == f"恶性 {probability}\N{FULLWIDTH COLON}黑色素瘤 {probability}。"


def test_many_lesions(visit: Open, live: Live, photo: dict[str, Any], scan: dict[str, Any]) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as target:
        target.writestr("a.jpg", photo["buffer"])
        target.writestr("b.png", scan["buffer"])
        target.writestr("c.png", scan["buffer"][:90])
    table = b"lesion_id,patient_id,label,clinical,ultrasound\nL1,P1,,a.jpg,b.png\nL2,P2,,,c.png\n"
    page = visit()
    page.locator("#batch summary").first.click()
    rules = "60 minutes after the end. A restart of the server deletes all batches."
    assert rules in page.locator("#batch-rules").inner_text()
    page.set_input_files("#batch-archive", upload("images.zip", packed.getvalue()))
    page.click("#batch-start")
    page.locator("#batch-state pre", has_text="cases.csv").wait_for()  # there is no table
    page.set_input_files("#batch-cases", upload("cases.csv", table))
    page.click("#batch-start")
    page.get_by_text("Done: 2 lesions, 1 of which could not be read.").first.wait_for()
    files = {"clinical": ("x", photo["buffer"]), "ultrasound": ("x", scan["buffer"])}
    answer = live.client.post("/v1/predict", files=files).json()
    assert not answer["foreign"]
    rows = [row.inner_text().split("\t") for row in page.locator("#batch-state tbody tr").all()]
    name = live.client.get("/v1/model").json()["labels"][answer["predicted"]]["en"]
    assert [row[:2] for row in rows] == [["L2", "—"], ["L1", name]]
    assert "could not be read" in rows[0][2]
    assert ("At or above the threshold" in rows[1][2]) == answer["groups"][0]["positive"]
    assert ("Specialist review needed" in rows[1][2]) == answer["refer"]
    assert "%" not in page.locator("#batch-state").inner_text()  # the files have the numbers
    with page.expect_download() as download:
        page.get_by_role("button", name="predictions.csv").click()
    rows = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert [row.split(",")[0] for row in rows] == ["lesion_id", "L1"]
    page.get_by_role("button", name="Delete from the server").click()
    page.get_by_text("The batch is deleted from the server.").wait_for()
    assert live.metric("agfnet_batches") == 0  # not even the one that failed


def test_a_table_with_quotes_is_read_as_it_is_meant(visit: Open) -> None:
    page = visit()
    text = 'lesion_id,predicted\r\n"a, ""b""\nc",x\n\nd,\n'
    read = "(text) => import('./static/batch_results.js').then((m) => m.records(text))"
    assert page.evaluate(read, text) == [
        {"lesion_id": 'a, "b"\nc', "predicted": "x"},
        {"lesion_id": "d", "predicted": ""},
    ]


def test_a_batch_tells_which_results_are_none(visit: Open, live: Live) -> None:
    page = visit()
    page.locator("#lesion").wait_for()
    rows = [
        {
            "lesion": "far",
            "predicted": "melanoma",
            "foreign": True,
            "refer": True,
            "positive": True,
        },
        {"lesion": "near", "predicted": "wart", "foreign": False, "refer": True, "positive": False},
    ]
    draw = """([rows, model]) => import('./static/batch_results.js').then((module) => {
        const parts = module.resultsTable(rows, model).flat();
        return parts.map((part) => [...part.querySelectorAll("tr")].map((tr) => tr.textContent));
    })"""
    model = live.client.get("/v1/model").json()
    (lines,) = [part for part in page.evaluate(draw, [rows, model]) if part]
    assert lines[1].startswith("far—No diagnosis")
    assert "melanoma" not in lines[1]
    name = model["labels"]["wart"]["en"]
    assert lines[2] == f"near{name}Uncertain. Specialist review needed."


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_a_token_is_asked_for_and_a_restart_is_survived(
    visit: Open, bundle: Path, photo: dict[str, Any]
) -> None:
    options = (*LIMITS, "--workers", "1", "--port", str(free_port()))
    env = {"AGFNET_TOKEN": SECRET}
    server = Live(bundle, *options, env=env)
    try:
        page = visit(server.url)
        page.fill("#token-text", "not this one, surely")
        page.keyboard.press("Enter")
        page.locator("#token-wrong").wait_for()
        page.fill("#token-text", SECRET)
        page.get_by_role("button", name="Continue").click()
        put(page, "clinical", photo)
        server.close()
        page.click("#analyse")
        page.locator("#answer [role=alert]", has_text="cannot be reached").wait_for()
        server = Live(bundle, *options, env=env)
        page.get_by_role("button", name="Try again").click()
        page.locator(".verdict").wait_for()
        assert page.evaluate("Object.values(localStorage)") == []
        page.reload()
        page.locator("#token").wait_for()  # it was kept in memory only
        page.get_by_role("button", name="Cancel").click()
        page.locator("#start [role=alert]", has_text="token").wait_for()
    finally:
        server.close()


def test_another_model_after_a_restart_is_not_taken_for_the_old(
    visit: Open, bundle: Path, photo: dict[str, Any], tmp_path: Path
) -> None:
    options = (*LIMITS, "--workers", "1", "--port", str(free_port()))
    server = Live(bundle, *options)
    try:
        page = visit(server.url)
        put(page, "clinical", photo)
        server.close()
        one = make_bundle(tmp_path / "other", {"clinical": default_modalities()["clinical"]})
        server = Live(one, *options)
        page.click("#analyse")
        page.locator("#answer [role=alert]", has_text="another model").wait_for()
        assert page.locator(".verdict").count() == 0
        page.get_by_role("button", name="Reload").click()
        page.locator("[data-modality=clinical]").wait_for()
        assert page.locator("[data-modality]").count() == 1
        put(page, "clinical", photo)
        ask(page)
    finally:
        server.close()


def check_access(page: Any) -> None:
    """No finding of axe, of any kind."""
    found = axe_playwright.Axe().run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []


@pytest.mark.parametrize(("scheme", "locale"), [("light", "en-GB"), ("dark", "zh-CN")])
def test_nothing_keeps_anybody_out(
    visit: Open, scheme: str, locale: str, photo: dict[str, Any], files: dict[str, bytes]
) -> None:
    page = visit(color_scheme=scheme, width=390, reduced_motion="reduce", locale=locale)
    page.locator("#examples button").first.wait_for()
    check_access(page)
    put(page, "clinical", photo, upload("notes.txt", b"no image"), upload("x.png", files["PNG"]))
    put(page, "ultrasound", upload("clip.dcm", files["DICOM"]))
    ask(page)
    page.evaluate("document.querySelectorAll('details').forEach((e) => { e.open = true; })")
    for change in ("#theme", "#language", "#theme"):
        check_access(page)
        back = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        page.click(change)
        if change == "#theme":
            now = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
            assert now != back
    check_access(page)
    for _ in range(2):  # languages
        for width in (390, 320):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") == width
        page.mouse.wheel(0, 5000)
        assert page.locator(".notice").bounding_box()["y"] >= 0
        page.click("#language")

    page.route("**/v1/predict", lambda route: route.fulfill(json=foreign_answer(route)))
    page.click("#analyse")
    page.locator(".verdict").wait_for()
    assert page.locator(".bars").count() == 0
    check_access(page)
    page.route("**/v1/predict", lambda route: route.abort())
    page.click("#analyse")
    page.locator("#answer [role=alert]").wait_for()
    check_access(page)


def foreign_answer(route: Any) -> dict[str, Any]:
    """The result of the server, changed to that of another kind of picture."""
    return {**route.fetch().json(), "foreign": ["clinical"], "refer": True}


def test_the_path_can_be_walked_by_keyboard(visit: Open, photo: dict[str, Any]) -> None:
    page = visit()
    put(page, "clinical", photo)
    page.evaluate("document.activeElement.blur()")
    seen = []
    for _ in range(12):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.innerText"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        if seen[-1] == "Analyse":
            break
    order = ["Skip to the result", "中文", "Dark", "Choose files", "Remove", "Choose files"]
    assert [text for text in seen if text and "Frame" not in text] == [*order, "Analyse"]
    page.keyboard.press("Enter")
    page.locator(".verdict").wait_for()


def test_both_languages_have_the_same_words() -> None:
    english, chinese = (
        json.loads((WORDS / f"{name}.json").read_text(encoding="utf-8")) for name in ("en", "zh")
    )
    assert list(english) == list(chinese)
    for key, text in english.items():
        fields = [sorted(re.findall(r"\{\w+\}", words)) for words in (text, chinese[key])]
        assert fields[0] == fields[1], key

    rows = re.findall(r"^\| \d{3}[\d, ]* \| ([^|]*) \|", SERVE.read_text(encoding="utf-8"), re.M)
    codes = {code for row in rows for code in re.findall(r"`(\w+)`", row)}
    assert len(codes) > 15
    in_words = {key.removeprefix("error.") for key in english if key.startswith("error.")}
    assert in_words == codes | OUR_OWN
    assert {key.removeprefix("hint.") for key in english if key.startswith("hint.")} == set(HINTS)

    source = "".join(path.read_text(encoding="utf-8") for path in sorted(STATIC.glob("*.*")))
    used = set(re.findall(r"""(?:\bt\(\s*|data-t=)["']([\w.]+)["']""", source))
    assert used
    assert used <= set(english)


def test_chinese_has_full_width_punctuation() -> None:
    texts = json.loads((WORDS / "zh.json").read_text(encoding="utf-8"))
    wrong = [key for key, text in texts.items() if re.search(r"[一-鿿][,;:?!()]", text)]
    assert wrong == []
    assert not [key for key, text in texts.items() if "病变" in text or "管理者" in text]


def test_the_frame_is_proposed_moved_and_reported(visit: Open) -> None:
    page = visit()
    put(page, "clinical", upload("arm.jpg", encoded(arm(), "JPEG")))
    assert "was moved to it" in page.locator(".file .warning").inner_text()
    box = page.locator(".frame-box")
    before = box.bounding_box()
    box.focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.className") == "frame-box"
    assert page.locator(".frame-box").bounding_box()["x"] > before["x"]
    assert page.locator(".file .warning").count() == 0  # the user has chosen
    page.keyboard.press("-")
    wide = page.locator(".frame-box").bounding_box()
    assert wide["width"] > before["width"]
    page.mouse.move(wide["x"] + wide["width"] / 2, wide["y"] + wide["height"] / 2)
    page.mouse.down()
    page.mouse.move(wide["x"] + wide["width"], wide["y"] + wide["height"], steps=3)
    page.mouse.up()
    dragged = page.locator(".frame-box").bounding_box()
    assert abs(dragged["x"] - wide["x"] - wide["width"] / 2) < 3
    assert "cut the lesion" in page.locator(".file .warning").inner_text()
    page.locator("[type=range][data-key^=size]").fill("100")
    page.get_by_role("button", name="Undo the crop").wait_for()
    page.get_by_role("button", name="Frame the lesion").click()
    page.locator(".file .warning").wait_for(state="detached")
    with page.expect_response("**/v1/predict") as reply:
        ask(page)
    crop = reply.value.json()["images"]["clinical"][0]["crop"]
    used = f"{crop['height']} pixels at x {crop['x']}, y {crop['y']}"
    with page.expect_download() as download:
        page.click("#save-report")
    assert used in Path(download.value.path()).read_text(encoding="utf-8")
    page.get_by_role("button", name="Undo the crop").click()
    assert page.locator(".verdict").count() == 0
    with page.expect_response("**/v1/predict") as reply:
        ask(page)
    assert reply.value.json()["images"]["clinical"][0]["crop"] is None


def test_two_fingers_zoom_the_frame(visit: Open) -> None:
    page = visit(has_touch=True, width=390)
    put(page, "clinical", upload("arm.jpg", encoded(arm(), "JPEG")))
    before = page.locator(".frame-box").bounding_box()
    page.evaluate(
        """() => {
            const stage = document.querySelector(".crop");
            const { left, top } = stage.getBoundingClientRect();
            const at = (type, id, x, y) => stage.dispatchEvent(new PointerEvent(type, {
                pointerId: id, clientX: left + x, clientY: top + y, bubbles: true,
            }));
            stage.setPointerCapture = () => {}; // no real pointers to capture
            document.querySelector(".frame-box").dispatchEvent(new PointerEvent("pointerdown", {
                pointerId: 1, clientX: left + 40, clientY: top + 40, bubbles: true }));
            at("pointerdown", 2, 80, 40);
            at("pointermove", 2, 120, 40);
            at("pointerup", 2, 120, 40);
            at("pointerup", 1, 40, 40);
        }"""
    )
    after = page.locator(".frame-box").bounding_box()
    assert abs(after["width"] / before["width"] - 0.5) < 0.1


VISIBLE = """(key) => {
    const stage = document.querySelector(`[data-key=picture-${key}]`);
    const area = stage.getBoundingClientRect();
    const whole = stage.querySelector("img").getBoundingClientRect();
    return { zoom: whole.width / area.width, x: area.x - whole.x, y: area.y - whole.y };
}"""


def test_an_image_can_be_zoomed_and_moved(visit: Open, files: dict[str, bytes]) -> None:
    page = visit()
    put(page, "clinical", upload("photo.jpg", files["JPEG"]))
    ask(page)
    picture = page.locator("[data-key=picture-clinical]")

    def part() -> dict[str, float]:
        return dict(page.evaluate(VISIBLE, "clinical"))

    def zoom() -> float:
        return round(part()["zoom"], 2)

    picture.scroll_into_view_if_needed()
    area = picture.bounding_box()
    corner = area["x"] + area["width"] * 0.9, area["y"] + area["height"] * 0.9
    page.mouse.move(*corner)
    page.mouse.wheel(0, -100)
    assert zoom() == 1  # the page scrolls until the image was clicked
    picture.scroll_into_view_if_needed()
    picture.focus()
    page.mouse.wheel(0, -100)
    page.wait_for_function(f"({VISIBLE})('clinical').zoom > 1.2")
    before = part()
    assert before["x"] > 0.2 * area["width"] * 0.9  # around the pointer, not the middle
    page.mouse.down()
    page.mouse.move(corner[0] + 30, corner[1] + 20, steps=2)
    page.mouse.up()
    after = part()
    assert (before["x"] - after["x"], before["y"] - after["y"]) == pytest.approx((30, 20), abs=1)

    page.keyboard.press("0")
    assert zoom() == 1
    for key in ("+", "+", "ArrowRight", "-"):
        page.keyboard.press(key)
    assert zoom() == 1.25
    page.get_by_role("button", name="Zoom in: Clinical photo").click()
    assert zoom() == 1.56
    page.select_option("[data-key=select-class]", "wart")
    page.locator(".busy").wait_for(state="detached")
    assert zoom() == 1.56  # kept while the maps change
    for _ in range(15):
        page.get_by_role("button", name="Zoom in: Clinical photo").click()
    assert zoom() == 8
    with page.expect_download():
        page.click("#save-report")
    assert zoom() == 1  # a report has the whole image
    page.get_by_role("button", name="Zoom in: Clinical photo").click()
    page.get_by_role("button", name="Whole image: Clinical photo").click()
    assert zoom() == 1
    assert page.locator(".scale-bar").count() == 0  # a photograph has no scale


def test_a_photograph_of_an_iphone_is_shown_upright(visit: Open, files: dict[str, bytes]) -> None:
    page = visit()
    put(page, "clinical", upload("IMG_1.HEIC", files["HEIC"]))
    assert "HEIC" in page.locator("#types").inner_text()
    assert "HEIC, 48" in page.locator(".file .about").inner_text()
    shown = page.locator(".crop img").evaluate("(e) => e.naturalHeight > e.naturalWidth")
    assert shown
    ask(page)


def test_two_fingers_zoom_an_image(visit: Open, photo: dict[str, Any]) -> None:
    page = visit(has_touch=True, width=820)
    put(page, "clinical", photo)
    ask(page)
    picture = page.locator("[data-key=picture-clinical]")
    picture.evaluate("(e) => e.scrollIntoView({ block: 'center' })")
    area = picture.bounding_box()
    middle = {"x": area["x"] + area["width"] / 2, "y": area["y"] + area["height"] / 2}
    pinch = {"scaleFactor": 2.5, "gestureSourceType": "touch", **middle}
    page.context.new_cdp_session(page).send("Input.synthesizePinchGesture", pinch)
    assert page.evaluate(VISIBLE, "clinical")["zoom"] > 1.5
    assert page.evaluate("visualViewport.scale") == 1  # not the page


def test_the_result_without_each_of_several_images_is_said(visit: Open, live: Live) -> None:
    green, red = noise(60, 60, (40, 250, 40)), noise(60, 60, (200, 60, 60))
    pictures = [encoded(pixels, "PNG") for pixels in (green, red)]
    page = visit()
    files = [upload(f"{k}.png", picture) for k, picture in enumerate(pictures)]
    put(page, "clinical", *files)
    ask(page)
    alone = [live.predict(picture).json() for picture in pictures]
    assert [one["predicted"] for one in alone] == ["melanoma", "mole"]
    best = page.locator(".bars li .name").first.inner_text()
    kept = 1 if best.startswith("melanoma") else 0  # without the image that decided
    left_out, answer = 2 - kept, alone[kept]
    name = live.client.get("/v1/model").json()["labels"][answer["predicted"]]["en"]
    number = answer["probabilities"][0]["percent"]
    assert page.locator(".dependence").all_inner_texts() == [
        f"Image {left_out} of Clinical photo left out: the result would be {name} ({number}%)."
    ]
    page.locator(".left-out summary").click()
    assert page.locator(".left-out tbody tr").count() == 2
    assert f"{name} ({number}%)" in page.locator(".left-out tbody").inner_text()
    page.click("#language")
    assert f"临床照片的图像 {left_out}" in page.locator(".dependence").inner_text()
    page.locator("[data-key=remove-clinical-0]").click()
    ask(page)
    assert page.locator(".left-out").count() == 0


def test_an_ultrasound_image_has_a_bar_of_millimetres(
    visit: Open, files: dict[str, bytes], tmp_path: Path
) -> None:
    page = visit()
    put(page, "ultrasound", upload("clip.dcm", files["DICOM"]))  # 64 x 48 pixels of 0.1 mm
    ask(page)
    bar, line = page.locator(".scale-bar"), page.locator(".bar-line")

    def fraction() -> float:
        stage = page.locator(".stack").bounding_box()["width"]
        return float(line.bounding_box()["width"] / stage)

    assert bar.inner_text() == "2 mm"
    assert fraction() == pytest.approx(2 / 6.4, abs=0.01)
    page.locator("[data-key=picture-ultrasound]").focus()
    for _ in range(4):
        page.keyboard.press("+")
    assert bar.inner_text() == "0.5 mm"
    assert fraction() == pytest.approx(1.25**4 * 0.5 / 6.4, abs=0.01)
    with page.expect_download() as download:
        page.click("#save-report")
    saved = page.context.new_page()
    saved.set_content(Path(download.value.path()).read_text(encoding="utf-8"))
    assert saved.locator(".scale-bar").inner_text() == "2 mm"
    assert saved.locator(".stack[tabindex]").count() == 0


def test_an_example_can_be_tried(visit: Open) -> None:
    page = visit()
    page.get_by_role("button", name="Example 1").click()
    page.locator("[data-modality=ultrasound] .file img").wait_for()
    assert page.locator("#examples button").count() == 0
    ask(page)
    assert page.locator(".truth").inner_text() == "Simulated lesion; its true diagnosis: melanoma."
    assert page.locator(".dependence").count() >= 1
    # one number for one thing: with one frame, the table repeats the result
    first = page.locator("#comparison tbody tr").first.inner_text()
    shown = page.locator(".bars li .number").first.inner_text()
    assert shown in first
    names = "import('./static/locale.js').then((m) => m.listOf(['黑色素瘤', '基底细胞癌']))"
    page.click("#language")
    assert page.evaluate(names) == "黑色素瘤、基底细胞癌"
    assert page.locator(".truth").inner_text().endswith("黑色素瘤。")
    page.locator("#clear").click()
    assert page.locator(".truth").count() == 0
    assert page.locator("#examples button").count() == 3


def test_dropped_files_are_sorted_by_content(
    visit: Open, photo: dict[str, Any], scan: dict[str, Any]
) -> None:
    page = visit()
    page.locator("#lesion").wait_for()
    drop(page, "body", scan, photo)  # the scan lies in the field of the photo first
    page.locator("[data-modality=ultrasound] .name", has_text="scan.png").wait_for()
    page.locator("[data-modality=clinical] .name", has_text="arm.jpg").wait_for()
    page.locator("#advice .quiet").wait_for(state="detached")
    sentences = page.locator(".sorted").all_inner_texts()
    assert "“scan.png” was placed under Ultrasound, because it looks like one." in sentences
    assert len(sentences) == 2
    assert page.locator("#swap").count() == 0
