from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from agfnet.data.table import Case, read_cases
from agfnet.errors import ConfigError, DataError
from agfnet.importing.common import ImportReport
from agfnet.importing.folder import import_folder

VIEWS = ("clinical", "ultrasound")


def make(folder: Path, *names: str) -> Path:
    source = folder / "data"
    source.mkdir()
    for name in names:
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"an image")
    return source


def imported(
    folder: Path, *names: str, views: tuple[str, ...] = VIEWS
) -> tuple[ImportReport, tuple[Case, ...]]:
    report = import_folder(make(folder, *names), folder / "out", modalities=views)
    return report, read_cases(report.table, modalities=views).cases


def files(case: Case, name: str) -> list[str]:
    return [path.name for path in case.images[name]]


def test_files_by_the_beginning_of_their_names(tmp_path: Path):
    report, (first, second) = imported(
        tmp_path,
        "melanoma/L1/Clinical 1.JPG",
        "melanoma/L1/ultrasound10.png",
        "melanoma/L1/ultrasound2.png",
        "melanoma/L1/ULTRASOUND1.PNG",
        "melanoma/L1/clinical_mask.png",
        "naevus blau/Läsion 2/clinical.jpeg",
    )
    assert (first.lesion_id, first.label, first.patient_id, first.split) == (
        *("L1", "melanoma", "L1", ""),
    )
    assert files(first, "clinical") == ["Clinical 1.JPG"]
    assert files(first, "ultrasound") == ["ULTRASOUND1.PNG", "ultrasound2.png", "ultrasound10.png"]
    assert [path.name for path in first.masks["clinical"]] == ["clinical_mask.png"]
    assert (second.lesion_id, second.label) == ("Läsion 2", "naevus blau")
    assert files(second, "ultrasound") == []
    assert report.labels == {"melanoma": 1, "naevus blau": 1}
    assert report.notes == (
        "the folders are label/lesion, as guessed",
        "there are no patients' folders: every lesion counts as its own patient",
    )
    assert str(tmp_path) not in report.table.read_text(encoding="utf-8")


def test_sub_folders_in_natural_order(tmp_path: Path):
    _, (case,) = imported(
        tmp_path,
        *(f"naevus/L1/ultrasound/scan{n}.dcm" for n in (10, 2, 1)),
        "naevus/L1/ultrasound/IM00003",
        "naevus/L1/Clinical photos/DSC_1.JPG",
        "naevus/L1/clinical_masks/DSC_1.png",
    )
    assert files(case, "ultrasound") == ["IM00003", "scan1.dcm", "scan2.dcm", "scan10.dcm"]
    assert files(case, "clinical") == ["DSC_1.JPG"]
    assert [path.name for path in case.masks["clinical"]] == ["DSC_1.png"]


def test_patients_between_label_and_lesion(tmp_path: Path):
    report, cases = imported(
        tmp_path,
        "melanoma/P1/1/clinical.jpg",
        "naevus/P1/1/ultrasound/a.png",
        "naevus/P2/2/clinical.jpg",
    )
    assert [(case.lesion_id, case.patient_id) for case in cases] == [
        ("melanoma/P1/1", "P1"),
        ("naevus/P1/1", "P1"),
        ("2", "P2"),
    ]
    assert report.notes == ("the folders are label/patient/lesion, as guessed",)


def test_what_fits_nowhere_is_noted(tmp_path: Path):
    names = (
        "cases.xlsx",
        "naevus/notes.txt",
        "naevus/L1/dermoscopy.jpg",
        "naevus/L1/clinical_report.pdf",
        "naevus/L1/clinical/ultrasound_1.png",
        "naevus/L1/old/deep/clinical.jpg",
    )
    skipped = ("naevus/L1/Thumbs.db", "naevus/.DS_Store", "__MACOSX/L1/L1/clinical.jpg")
    source = make(tmp_path, *names, *skipped, "naevus/ultrasound 7/clinical.jpg")
    (source / "naevus" / "L9").mkdir()
    report = import_folder(source, tmp_path / "out")
    (case,) = read_cases(report.table, modalities=VIEWS)
    assert (case.lesion_id, files(case, "clinical")) == ("ultrasound 7", ["clinical.jpg"])
    stray, empty, *system = report.notes[:-2]
    assert stray.startswith("6 files of no lesion or modality")
    assert all(name in stray for name in names)
    assert empty == f"1 empty folders: {Path('naevus/L9')}"
    assert len(system) == 2
    assert all(Path(name).parts[0] in "".join(system) for name in skipped)


def test_any_modalities(tmp_path: Path):
    views = ("us", "us_doppler", "derm")
    _, (case,) = imported(
        tmp_path,
        *(f"a/1/{name}" for name in ("us_doppler_1.png", "us_2.png", "Derm.tif")),
        views=views,
    )
    assert [files(case, name) for name in views] == [
        ["us_2.png"],
        ["us_doppler_1.png"],
        ["Derm.tif"],
    ]


def test_half_a_level_of_patients_is_refused(tmp_path: Path):
    source = make(tmp_path, "naevus/L1/clinical.jpg", "naevus/P1/L2/clinical.jpg")
    with pytest.raises(DataError, match=r"naevus.L1 looks like label/lesion and naevus.P1.L2"):
        import_folder(source, tmp_path)


@pytest.mark.parametrize("names", [(), ("naevus/L1.jpg",), ("L1/clinical.jpg",), ("a/b/x.jpg",)])
def test_another_layout_is_told_what_is_expected(tmp_path: Path, names: tuple[str, ...]):
    source = make(tmp_path, *names)
    with pytest.raises(DataError, match=r"expected for example .*melanoma.L1.clinical\.jpg") as got:
        import_folder(source, tmp_path)
    assert all(Path(name).name in str(got.value) for name in names)
    assert not (tmp_path / "cases.csv").exists()


def test_a_folder_that_is_not_there(tmp_path: Path):
    with pytest.raises(DataError, match="no such folder"):
        import_folder(tmp_path / "none", tmp_path)


def test_faults_are_listed_together(tmp_path: Path):
    source = make(tmp_path, "naevus/1/clinical.jpg", "Naevus/2/clinical.jpg")
    (source / "naevus/1/ultrasound.png").touch()
    with pytest.raises(DataError) as caught:
        import_folder(source, tmp_path)
    assert "ultrasound.png is empty" in str(caught.value)
    assert "'naevus' and 'Naevus' are two spellings of one" in str(caught.value)


def test_modalities_that_no_table_can_hold(tmp_path: Path):
    with pytest.raises(ConfigError, match="used twice"):
        import_folder(make(tmp_path, "a/b/label.png"), tmp_path / "out", modalities=["label"])


def test_links_to_folders_and_files_are_followed(tmp_path: Path):
    source = make(tmp_path, "naevus/L1/clinical.jpg")
    store = tmp_path / "store"
    (store / "L2").mkdir(parents=True)
    (store / "L2" / "clinical.jpg").write_bytes(b"an image")
    (source / "naevus" / "L2").symlink_to("../../store/L2")
    (source / "naevus" / "L1" / "ultrasound.png").symlink_to(store / "L2" / "clinical.jpg")
    (source / "naevus" / "again").symlink_to(source)
    report = import_folder(source, tmp_path / "out")
    first, second = read_cases(report.table, modalities=VIEWS).cases
    assert (files(first, "ultrasound"), files(second, "clinical")) == (
        ["ultrasound.png"],
        ["clinical.jpg"],
    )
    assert (
        f"1 links that lead back into their own folder, not followed: {Path('naevus/again')}"
        in (report.notes)
    )
    (source / "naevus" / "L1" / "clinical_2.jpg").symlink_to("gone.jpg")
    with pytest.raises(DataError, match=r"clinical_2\.jpg is a link that leads nowhere"):
        import_folder(source, tmp_path / "other")


@pytest.mark.parametrize("names", ["{split}/{label}/{lesion}", "{label}/{split}/{lesion}"])
@pytest.mark.parametrize("patient", [False, True])
def test_folders_of_splits_are_no_labels(tmp_path: Path, names: str, patient: bool):
    names += "/clinical.jpg"
    names = names.replace("{lesion}", "P{lesion}/{lesion}") if patient else names
    paths = [
        names.format(split=split, label=label, lesion=f"L{number}")
        for number, (split, label) in enumerate(
            [("Train", "naevus"), ("train", "melanoma"), ("valid", "naevus"), ("test", "melanoma")]
        )
    ]
    _, cases = imported(tmp_path, *paths)
    assert sorted((case.lesion_id, case.label, case.split) for case in cases) == [
        ("L0", "naevus", "train"),
        ("L1", "melanoma", "train"),
        ("L2", "naevus", "val"),
        ("L3", "melanoma", "test"),
    ]
    assert {case.patient_id for case in cases} == {
        f"P{case.lesion_id}" if patient else case.lesion_id for case in cases
    }


def test_folders_of_splits_in_part_of_the_tree_are_refused(tmp_path: Path):
    source = make(tmp_path, "train/naevus/L1/clinical.jpg", "melanoma/P/L2/clinical.jpg")
    with pytest.raises(DataError, match="has a folder of a split, 'train'"):
        import_folder(source, tmp_path / "out")


def test_a_split_without_folders_of_lesions_is_refused(tmp_path: Path):
    source = make(tmp_path, "train/naevus/clinical.jpg", "test/naevus/clinical.jpg")
    with pytest.raises(DataError, match="has a split, but not the folders of a label and a lesion"):
        import_folder(source, tmp_path / "out")


def test_a_modality_ends_with_its_word(tmp_path: Path):
    names = ("us.png", "us_2.png", "us3.png", "user_guide.jpg", "usb.png", "photos/1.jpg")
    report, (case,) = imported(
        tmp_path, *(f"naevus/L1/{name}" for name in names), views=("photo", "us")
    )
    assert set(files(case, "us")) == {"us.png", "us3.png", "us_2.png"}
    assert files(case, "photo") == ["1.jpg"]
    assert "user_guide.jpg" in report.notes[0]
    assert "usb.png" in report.notes[0]


def test_folders_of_network_storages_are_skipped(tmp_path: Path):
    _, (case,) = imported(
        tmp_path,
        "naevus/L1/clinical.jpg",
        "naevus/L1/@eaDir/clinical.jpg/clinical_thumb.jpg",
        "naevus/L1/.@__thumb/clinical.jpg",
        "#recycle/L1/clinical.jpg",
    )
    assert files(case, "clinical") == ["clinical.jpg"]


def test_a_thumbnail_next_to_its_image_is_left_out(tmp_path: Path):
    """Alone, `hand_thumb.jpg` may be the photograph of a thumb."""
    names = ("clinical.jpg", "clinical_thumb.jpg", "clinical-preview.png", "clinical2_thumb.jpg")
    report, (case,) = imported(tmp_path, *(f"naevus/L1/{name}" for name in names))
    assert set(files(case, "clinical")) == {"clinical.jpg", "clinical2_thumb.jpg"}
    assert any("2 thumbnails, left out" in note for note in report.notes)


def test_a_copy_by_name_and_content_is_left_out(tmp_path: Path):
    names = ("clinical.jpg", "clinical (1).jpg", "clinical - Copy (2).jpg", "clinical2.jpg")
    scans = ("Kopie von us.png", "us.png", "us (1).png", "us_2.png")
    folder = tmp_path / "source" / "naevus" / "L1"
    for name in (*names, *scans):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"us (1)" if name == "us (1).png" else b"content")
    report = import_folder(folder.parents[1], tmp_path / "out", modalities=("clinical", "us"))
    (case,) = read_cases(report.table, modalities=("clinical", "us"))
    assert set(files(case, "clinical")) == {"clinical.jpg", "clinical2.jpg"}
    assert set(files(case, "us")) == {"us.png", "us (1).png", "us_2.png"}  # another image
    assert any("copies of another image of the same lesion, left out" in n for n in report.notes)


def test_a_folder_for_lesions_without_a_label_is_named(tmp_path: Path):
    folders = ("naevus/L1", "melanoma/L2", "unlabeled/L3", "backup/L4")
    report, _ = imported(tmp_path, *(f"{folder}/clinical.jpg" for folder in folders))
    (note,) = (note for note in report.notes if "no single certain diagnosis" in note)
    assert "'unlabeled' (1)" in note
    assert "'backup' (1)" in note


def test_a_name_that_is_not_utf_8_is_named(tmp_path: Path):
    source = make(tmp_path, "melanoma/L1/clinical.jpg", "label/L2/clinical.jpg")
    (source / "label").rename(os.fsdecode(os.fsencode(source) + b"/n\xe6vus"))
    with pytest.raises(DataError, match=r"the name of 'n\\xe6vus' is not UTF-8; rename it"):
        import_folder(source, tmp_path / "out")


@pytest.mark.parametrize(
    "names",
    [
        *("train_set val_set test_set", "Training-Set Validation-Set Testing-Set"),
        *("Trainingsdaten Validierung Testdaten", "entraînement validation test"),
        *("entrenamiento validación prueba", "images_train images_val images_test"),
        *("train dev holdout", "学習データ 検証データ テストデータ"),
        *(
            "1_train 2_val 3_test",
            "train_data valid_data test_data",
            "\u8bad\u7ec3\u96c6 \u9a8c\u8bc1\u96c6 \u6d4b\u8bd5\u96c6",
        ),
    ],
)
def test_further_names_of_splits(tmp_path: Path, names: str):
    paths = [f"{name}/naevus/L{n}/clinical.jpg" for n, name in enumerate(names.split())]
    cases = imported(tmp_path, *paths)[1]
    assert {case.lesion_id: case.split for case in cases} == {
        "L0": "train",
        "L1": "val",
        "L2": "test",
    }
    assert {case.label for case in cases} == {"naevus"}


@pytest.mark.parametrize("name", ["fold{}", "Fold_{}", "{}_fold", "cv{}"])
def test_folders_of_folds_are_no_labels(tmp_path: Path, name: str):
    paths = [f"{name.format(n)}/naevus/L{n}/clinical.jpg" for n in (1, 2)]
    with pytest.raises(DataError, match=r"are folds and not diagnoses"):
        imported(tmp_path, *paths)


def test_labels_that_begin_like_splits_stay(tmp_path: Path):
    names = ("traintrack/L1/clinical.jpg", "testicular metastasis/L2/clinical.jpg")
    assert [case.split for case in imported(tmp_path, *names)[1]] == ["", ""]


def test_grey_images_with_the_names_of_a_camera_are_ultrasound(tmp_path: Path):
    source = make(tmp_path)
    folder = source / "naevus" / "L1"
    folder.mkdir(parents=True)
    Image.new("RGB", (64, 64), (200, 120, 100)).save(folder / "IMG_0001.JPG")
    Image.effect_noise((64, 64), 50).save(folder / "IMG_0002.JPG")
    report = import_folder(source, tmp_path / "out")
    (case,) = read_cases(report.table, modalities=VIEWS).cases
    assert (files(case, "clinical"), files(case, "ultrasound")) == (
        *(["IMG_0001.JPG"], ["IMG_0002.JPG"]),
    )


def test_labels_that_need_another_class_are_noted(tmp_path: Path):
    names = (f"{label}/{n}/clinical.jpg" for n, label in enumerate(("V.a. MM", "BCC", "Basaliom")))
    notes = "\n".join(imported(tmp_path, *names)[0].notes)
    assert "no single certain diagnosis: 'V.a. MM' (1)" in notes
    assert "are names of one diagnosis, basal cell carcinoma; write one of them" in notes


def test_labels_that_look_the_same_are_distinguished_in_the_message(tmp_path: Path):
    names = (f"{unicodedata.normalize(form, 'Nävus')}/{form}/us.jpg" for form in ("NFC", "NFD"))
    with pytest.raises(DataError, match=r"'N.xe4vus' and 'Na.u0308vus', which look the same|'Na"):
        imported(tmp_path, *names, views=("us",))


def test_folders_with_usual_names_of_modalities_are_no_lesions(tmp_path: Path):
    names = [
        f"naevus/{lesion}/{folder}/1" for lesion in ("L1", "L2") for folder in ("Photos", "US")
    ]
    report, cases = imported(tmp_path, *(f"{name}.jpg" for name in names), "naevus/L1/derm/1.jpg")
    assert [case.lesion_id for case in cases] == ["L1", "L2"]
    assert [files(case, "clinical") for case in cases] == [["1.jpg"]] * 2
    assert [case.images["ultrasound"][0].parent.name for case in cases] == ["US"] * 2
    notes = "\n".join(report.notes)
    assert "Photos (clinical), US (ultrasound), derm (dermoscopic)" in notes
    assert "1 files of no lesion or modality: naevus/L1/derm/1.jpg" in notes


def test_lesions_whose_names_have_words_of_modalities_stay(tmp_path: Path):
    names = ("naevus/P1/1_photo/clinical.jpg", "naevus/P1/2_photo/clinical.jpg")
    _, cases = imported(tmp_path, *names)
    assert [case.lesion_id for case in cases] == ["1_photo", "2_photo"]
