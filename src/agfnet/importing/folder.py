"""Folder trees: SOURCE/label/lesion/ or SOURCE/label/patient/lesion/.

In a lesion's folder, a file belongs to the modality that its name begins with, or to the one that
its sub-folder's name begins with; a name that begins with `<modality>_mask` is a mask:

    melanoma/L1/clinical.jpg
    melanoma/L1/ultrasound_1.png, ultrasound_2.png
    naevus/L2/clinical/IMG_0001.JPG
    naevus/L2/ultrasound/scan2.dcm, scan10.dcm

Folders `train`, `val` and `test` above or below those of the labels become the split.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from agfnet.data.problems import Problems, StrPath
from agfnet.data.spelling import label_key, same_looking
from agfnet.data.table import Case, mask_column
from agfnet.data.write_table import printable
from agfnet.errors import ConfigError, DataError
from agfnet.importing.common import ImportReport, without_copies, write_report
from agfnet.importing.dates import date_keys
from agfnet.importing.labels import label_notes, looks_like_ids
from agfnet.importing.tree import SUFFIXES, Tree, listed, notes, walk
from agfnet.importing.views import File, Views, read_tags

_OF = r"(?:data|dataset|images?|cases)?"
_SET = r"(?:s?daten(?:satz)?|s?menge|sets?|data|dataset|split|images?|cases)?"
SPLITS = {
    "train": re.compile(
        rf"{_OF}(?:train|training){_SET}|entra[iî]nement|apprentissage|entrenamiento|treino|"
        r"treinamento|addestramento|обучение|训练集?|訓練(?:データ)?|学習(?:データ)?|학습|훈련"
    ),
    "val": re.compile(
        rf"{_OF}(?:val|valid|validation|validierung|dev){_SET}|validaci[oó]n|valida[cç][aã]o|"
        r"validazione|валидация|验证集?|検証(?:データ)?|검증"
    ),
    "test": re.compile(
        rf"{_OF}(?:test|testing|hold ?out){_SET}|pruebas?|teste|prova|тест|测试集?|"
        r"テスト(?:データ)?|테스트"
    ),
}
"""Names of folders that are splits and not labels, without separators and digits."""
_FOLDS = re.compile(r"(?:fold|cv|kfold)[\W_]*\d+|\d+[\W_]*fold|第?\d+折", re.IGNORECASE)
MANY = 20
"""Images of a modality, above which a folder may hold several lesions."""
LESION, PATIENT = 2, 3  # folders from the source down to the lesion, without and with patients

Files = dict[str, list[Path]]  # per modality or mask column


def import_folder(
    source: StrPath,
    out: StrPath,
    *,
    modalities: Sequence[str] = ("clinical", "ultrasound"),
    layout: str | None = None,
) -> ImportReport:
    """Write `cases.csv` for a folder tree. Images stay where they are.

    Several files of a modality are in natural order (scan2 before scan10). The lesion id is the
    name of the lesion's folder, or its whole path where that name occurs twice. Patients' folders
    of the same name under several labels are one patient. Symbolic links are followed. Hidden
    files and those of operating systems and network storages are skipped; files and folders that
    fit nowhere are noted.

    Args:
        source: the folder with one folder per label.
        out: folder for `cases.csv`; made if missing.
        modalities: the names that files or sub-folders begin with, in upper or lower case. The
            next character is no letter: `us_2.png` and `us2.png` are `us`, `user.png` is not. Files
            of other names are DICOM or pictures whose content decides.
        layout: what the folders are, from the top: `label/lesion`, `label/patient/lesion`, or the
            same in another order; guessed from the depth if None.

    Raises:
        DataError: no lesion was found, folders of patients or splits are only in part of the tree,
            a file is empty, a link leads nowhere, a name is not UTF-8, a label has two spellings,
            labels look like patients, or `cases.csv` exists.
        ConfigError: the layout is unknown, or has no label.
    """
    order = layout_parts(layout)
    source = Path(source)
    if not source.is_dir():
        raise DataError(f"{source}: no such folder")
    tree = walk(source.absolute())
    _check_tree(source, tree)
    usual = _modality_folders(source.absolute(), tree.files, modalities)
    lesions, stray, by_content = _sort(source.absolute(), tree.files, modalities, usual)
    lines = [listed(stray, "files of no lesion or modality")] if stray else []
    lines += notes(tree)
    if by_content:
        lines.append(
            listed(by_content, "files whose DICOM attributes or pictures decide on the modality")
        )
    if usual:
        pairs = ", ".join(f"{name} ({usual[name]})" for name in sorted(usual))
        lines.append(f"the folders of images are modalities, by their names: {pairs}")
    level = _split_level(source, lesions)
    depths = Counter(len(_names(folder, level)) for folder in lesions)
    if not lesions:
        raise DataError(
            f"{source}: no image at label/lesion/ or label/patient/lesion/ whose name begins with "
            f"{' or '.join(modalities)}; expected for example "
            f"{source / 'melanoma' / 'L1' / modalities[0]}.jpg; where a spreadsheet has the "
            "labels, use agfnet import table" + "".join(f"\n{line}" for line in lines)
        )
    if len(depths) > 1:
        short, long = (
            next(folder for folder in lesions if len(_names(folder, level)) == depth)
            for depth in sorted(depths)[:2]
        )
        raise DataError(
            f"{source}: {short} looks like label/lesion and {long} like label/patient/lesion; "
            "expected one of the two everywhere"
        )
    if not depths.keys() <= {LESION, PATIENT}:
        raise DataError(
            f"{source}: {next(iter(lesions))} has a split, but not the folders of a label and a "
            f"lesion; expected for example {Path('train', 'melanoma', 'L1', modalities[0])}.jpg"
        )
    if order and len(order) not in depths:
        raise DataError(
            f"{source}: the layout {layout} has {len(order)} levels of folders; "
            f"{next(iter(lesions))} has another number"
        )
    order = order or (("label", "lesion") if LESION in depths else ("label", "patient", "lesion"))
    every = _cases(source, lesions, modalities, level, order)
    cases, copies = without_copies(every, source.absolute())
    _check_labels(source, cases, order, modalities)
    lines.append(f"the folders are {'/'.join(order)}" + ", as guessed" * (layout is None))
    lines += [*copies, *_doubts(cases, order), *label_notes(Counter(case.label for case in cases))]
    if "patient" not in order:
        lines.append("there are no patients' folders: every lesion counts as its own patient")
    return write_report(cases, Path(out), modalities=modalities, notes=lines)


def layout_parts(layout: str | None) -> tuple[str, ...]:
    """Return the levels of a layout that has a label; empty for None.

    Raises:
        ConfigError: a level is unknown, or the label is missing.
    """
    if layout is None:
        return ()
    parts = tuple(part.strip().lower() for part in layout.strip("/").split("/"))
    if not set(parts) <= {"label", "patient", "lesion"} or len(set(parts)) < len(parts):
        raise ConfigError(
            f"layout: {layout!r} is unknown; expected label, patient and lesion in the order of "
            "the folders, as label/lesion or label/patient/lesion"
        )
    if "label" not in parts:
        raise ConfigError(
            f"layout: {layout} has no label; give the spreadsheet that has them: --labels FILE"
        )
    if len(parts) < LESION:
        raise ConfigError(f"layout: {layout} needs folders of lesions or patients too")
    return parts


def layout_levels(layout: str | None) -> dict[str, int]:
    """Return id to the level of its folder, for labels in a spreadsheet.

    Raises:
        ConfigError: a level is unknown.
    """
    roles = {"patient": "patient_id", "lesion": "lesion_id", "visit": "visit", "date": "visit"}
    levels = {}
    for level, part in enumerate(layout.strip("/").lower().split("/") if layout else ()):
        if part in roles:
            levels[roles[part]] = level
        elif part not in ("label", "modality", "centre", "split", "*"):
            raise ConfigError(
                f"layout: {part!r} is unknown; expected patient, lesion, visit, label, modality, "
                "centre or *, as in patient/lesion"
            )
    return levels


def _check_tree(source: Path, tree: Tree) -> None:
    problems = Problems(source)
    for path in tree.undecodable:
        problems.add(f"the name of '{printable(str(path))}' is not UTF-8; rename it")
    for path in tree.broken:
        problems.add(f"{path} is a link that leads nowhere; correct it")
    problems.check()


def _check_labels(
    source: Path, cases: Sequence[Case], order: Sequence[str], modalities: Sequence[str]
) -> None:
    names = sorted({case.label for case in cases})
    if all(map(_FOLDS.fullmatch, names)):
        raise DataError(
            f"{source}: the folders at the level of the labels are folds and not diagnoses: "
            f"{', '.join(names[:3])}; join them to one tree, and write the number of the fold into "
            "the column fold of the table"
        )
    reason = looks_like_ids([case.label for case in cases])
    if all(map(Views(source, modalities).named, names)):
        reason = "are named after modalities"
    if not reason:
        return
    raise DataError(
        f"{source}: the folders at the level of the labels {reason} and not diagnoses: "
        f"{', '.join(names[:3])}{', …' * (len(names) > 3)}. If a spreadsheet has the diagnoses: "
        f"agfnet import folder {source} --layout patient/lesion --labels FILE. If another level "
        f"has them, name the levels: --layout, for example {'/'.join([*order[1:], 'label'])}"
    )


def _doubts(cases: Sequence[Case], order: Sequence[str]) -> list[str]:
    """Return notes about folders that may be something else than lesions."""
    lines = []
    names = [Path(case.lesion_id).name for case in cases]
    if "lesion" in order and len(date_keys(names)) > len(set(names)) / 2:
        lines.append(
            f"the folders of the lesions look like dates, as {names[0]}: every visit counts as its "
            "own lesion"
        )
    many = [case.lesion_id for case in cases if max(map(len, case.images.values())) > MANY]
    if many:
        lines.append(
            f"{len(many)} lesions have more than {MANY} images of a modality, as {many[0]}: if "
            "these folders hold several lesions, divide them, one folder for each lesion"
        )
    return lines


def _modality_folders(
    source: Path, files: Sequence[Path], modalities: Sequence[str]
) -> dict[str, str]:
    """Return folder to modality if all folders of images have usual names of modalities.

    `photos` and `us` within the folder of a lesion would be two lesions otherwise.
    """
    folders = {path.parent for path in files if path.suffix.lower() in SUFFIXES}
    names = {folder.name for folder in folders}
    views = Views(source, modalities)
    usual = {
        name: views.named(name)
        for name in names
        if not re.search(r"\d", name) and not views.is_mask(File(Path(name)))
    }
    inner = all(len(folder.parts) > LESION for folder in folders)
    return usual if inner and len(usual) == len(names) and all(usual.values()) else {}


def _sort(
    source: Path, files: Sequence[Path], modalities: Sequence[str], usual: Mapping[str, str]
) -> tuple[dict[Path, Files], list[Path], list[Path]]:
    """Return the files of every lesion by its folder, those of none, and those of other names."""
    columns = [name for modality in modalities for name in (modality, mask_column(modality))]
    lesions: defaultdict[Path, Files] = defaultdict(lambda: defaultdict(list))
    stray, by_content = [], []
    for path in files:
        folder = path.parent
        outer = ""
        if len(folder.parts) > LESION:
            outer = _column(folder.name, columns) or usual.get(folder.name, "")
        if outer:
            folder = folder.parent
        # the more exact of the two: `clinical/clinical_mask.png`; `clinical/ultrasound.png` is none
        other, column = sorted((outer, _column(path.name, columns)), key=len)
        fits = column.startswith(other) and path.suffix.lower() in SUFFIXES
        deepest = PATIENT + any(_split_of(folder, level) for level in (0, 1))
        inside = fits and LESION <= len(folder.parts) <= deepest
        if inside and not column:
            column = _by_content(source, path, modalities)
            by_content += [path] if column else []
        if column in columns and inside:
            lesions[folder][column].append(source / path)
        else:
            stray.append(path)
    return lesions, stray, by_content


def _by_content(source: Path, path: Path, modalities: Sequence[str]) -> str:
    """Return the modality of a file that is not named after one; empty for masks and unknown."""
    folder = source / path.parent  # the folders above are labels and ids
    file = File(Path(path.name))
    read_tags(folder, file)
    name, mask = Views(folder, modalities).modality(file)
    return name if name in modalities and not mask else ""


def _split_of(folder: Path, level: int) -> str:
    """Return the split that a folder of a lesion names at a level; or empty."""
    if level >= len(folder.parts) - 1:
        return ""
    name = re.sub(r"[\W_\d]", "", folder.parts[level].casefold())
    return next((split for split, names in SPLITS.items() if names.fullmatch(name)), "")


def _split_level(source: Path, lesions: dict[Path, Files]) -> int | None:
    """Return the level of the folders train, val and test: 0, 1, or None without them."""
    for level in (0, 1):
        named = [folder for folder in lesions if _split_of(folder, level)]
        if named and len(named) == len(lesions):
            return level
        if named:
            other = next(folder for folder in lesions if folder not in named)
            raise DataError(
                f"{source}: {named[0]} has a folder of a split, {named[0].parts[level]!r}, where "
                f"{other} has {other.parts[level]!r}; expected train, val and test there, or none"
            )
    return None


def _names(folder: Path, level: int | None) -> tuple[str, ...]:
    """Return the folders of a lesion without that of the split."""
    return tuple(name for number, name in enumerate(folder.parts) if number != level)


def _column(name: str, columns: Sequence[str]) -> str:
    """Return the longest column that a name begins with, as a word: `us2`, but not `user`."""
    fitting = [
        column
        for column in columns
        if re.match(rf"{re.escape(column)}s?(?![^\W\d_])", name, re.IGNORECASE)
    ]
    return max(fitting, key=len, default="")


def _cases(
    source: Path,
    lesions: dict[Path, Files],
    modalities: Sequence[str],
    level: int | None,
    order: Sequence[str],
) -> list[Case]:
    problems = Problems(source)
    names = Counter(folder.name for folder in lesions)
    cases, spelling, others = [], dict[str, str](), dict[str, str]()
    for folder, files in lesions.items():
        parts = dict(zip(order, _names(folder, level), strict=True))
        label = parts["label"]
        split = "" if level is None else _split_of(folder, level)
        first = spelling.setdefault(label_key(label), label)
        if first != label:
            others[label] = first
        for path in (path for paths in files.values() for path in paths):
            if not path.stat().st_size:
                problems.add(f"{path.relative_to(source.absolute())} is empty; copy it again")
        lesion = folder.name if names[folder.name] == 1 else folder.as_posix()
        patient = parts.get("patient", lesion)
        images = {name: tuple(files.get(name, ())) for name in modalities}
        masks = {
            name: tuple(files[mask_column(name)])
            for name in modalities
            if mask_column(name) in files
        }
        cases.append(Case(lesion, patient, label, images, masks, split, {}, 0))
    for label, first in others.items():
        both = f"{label!r} and {first!r}"
        if same_looking(label) == same_looking(first):  # they differ by Unicode forms
            both = f"{label!a} and {first!a}, which look the same,"
        problems.add(f"the labels {both} are two spellings of one; rename the folders")
    problems.check()
    return cases
