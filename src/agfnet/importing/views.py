"""The modality of a file: by words in its path, its DICOM attributes, or its picture."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from agfnet.data.readers import read_image
from agfnet.errors import ConfigError, ImageError
from agfnet.importing.column_names import plain_name

_WORDS = {
    "dermoscopic": r"dermo?s[ck]op\w*|dermat[ou]s[ck]op\w*|dermosc\w*|auflicht\w*|derm|"
    r"dsc?opy|皮肤镜\w*",
    "ultrasound": r"ultra ?s\w*|us|uls|sono\w*|hfus|hfu|echo\w*|eco|ecograf\w*|ecografi\w*|b ?mode|"
    r"b ?bild|ultrason\w*|超声\w*|超音波\w*|b超\w*|彩超\w*|초음파\w*|узи",
    "clinical": r"clinic\w*|klin\w*|photo\w*|foto\w*|macro\w*|makro\w*|close ?up\w*|"
    r"dslr|camera|kamera|"
    r"dermatolog\w*|overview|ubersicht\w*|surface|临床\w*|照片\w*|사진\w*|фото\w*|大体\w*|外观\w*",
}
_OTHER_VIEWS = {
    "histology": r"histo(?:logy|logie|logia|pathology|pathologie|patologia)?s?|patholog(?:y|ie)|"
    r"patologia|病理\w*|组织学?",
    "document": r"reports?|befundberichte?|arztbriefe?|consent(?: form)?s?|einwilligung\w*|laudos?|"
    r"informes?|relatorios?|compte rendu|报告\w*|知情同意\w*",
}
"""Pictures in the folder of a lesion that are no view of it, and may tell its diagnosis."""
_MASK = re.compile(
    r"(?<![^\W\d_])(?:masks?|masken?|segmentations?|segm?|mascaras?|masques?|annotations?|roi|"
    r"groundtruth)(?![^\W\d_])|掩膜|分割",
    re.IGNORECASE,
)
_CAMERA = re.compile(
    r"_?(?:img|dsc[nf]?|pxl|p1|dcim|sam|mvi|cimg|gopr|photo|foto)[_ -]?\d", re.IGNORECASE
)
_DICOM_MODALITIES = {
    "US": "ultrasound",
    "IVUS": "ultrasound",
    "XC": "clinical",
    "DMS": "dermoscopic",
    "GM": "clinical",
    "OT": "",
}
TAGS = ("PatientID", "AccessionNumber", "StudyDate", "StudyID", "SeriesDescription", "Modality")
GREY = 8
"""Mean range of the channels below this is that of a grey picture."""


@dataclass
class File:
    """A file of the tree."""

    path: Path
    """Relative to the root."""
    tags: dict[str, str] = field(default_factory=dict)
    """Attributes of a DICOM file; empty for others."""
    dicom: bool = False
    unread: bool = False
    """True if the attributes of a DICOM file are unknown, because pydicom is missing."""


class Views:
    """Decides which modality a file belongs to.

    Args:
        root: folder of the files.
        modalities: the names that are written; of others, files are left out.
    """

    def __init__(self, root: Path, modalities: Sequence[str]) -> None:
        self.root = root
        self.modalities = tuple(modalities)
        self.by_content: list[Path] = []
        """Files whose pictures decided."""

    def named(self, text: str) -> str:
        """Return the modality that a word in a text names, one of ours or a usual one; or empty."""
        stem = plain_name(re.sub(r"(?<=[a-zäöü])(?=[A-Z])", " ", text))
        for name in sorted(self.modalities, key=len, reverse=True):
            if re.search(rf"(?<![^\W\d_]){re.escape(plain_name(name))}s?(?![^\W\d_])", stem):
                return name
        for name, words in _OTHER_VIEWS.items():  # a label may hold such a word among others
            if re.fullmatch(words, stem):
                return name
        for name, words in _WORDS.items():
            if re.search(rf"(?<![^\W\d_])(?:{words})(?![^\W\d_])", stem):
                return name
        return ""

    def _other(self, stem: str) -> str:
        """Return what a file shows that is no view of a lesion, by its name; or empty."""
        plain = plain_name(stem)
        for name, words in _OTHER_VIEWS.items():
            if re.search(rf"(?<![^\W\d_])(?:{words})(?![^\W\d_])", plain):
                return "" if name in self.modalities else name
        return ""

    def modality(self, file: File) -> tuple[str, bool]:
        """Return the modality of a file, empty if none fits, and whether it is a mask."""
        parts = [*file.path.parts[:-1], file.path.stem]
        mask = self.is_mask(file)
        if other := self._other(file.path.stem):
            return other, mask
        for part in reversed(parts):
            if name := self.named(part):
                return name, mask
        if file.dicom:
            name = _DICOM_MODALITIES.get(file.tags.get("Modality", ""), "ultrasound")
            return name or self._by_picture(file), mask
        return self._by_picture(file, camera=bool(_CAMERA.match(file.path.name))), mask

    def is_mask(self, file: File) -> bool:
        """Return whether the name of a file, or of its folder, says that it is a mask."""
        return any(map(_MASK.search, (*file.path.parts[-2:-1], file.path.stem)))

    def _by_picture(self, file: File, *, camera: bool = False) -> str:
        """Return the modality by the colours; a camera's name decides what they do not refute.

        Scanners number their images as cameras do, so that a grey image is a scan all the same.
        """
        try:
            pixels = read_image(self.root / file.path, side=64).pixels[::4, ::4].astype(int)
        except ImageError:
            return "clinical" if camera else ""
        grey = np.ptp(pixels, axis=2).mean() < GREY
        if camera and not grey:
            return "clinical"
        self.by_content.append(file.path)
        return "ultrasound" if grey else "clinical"


def read_tags(root: Path, file: File) -> None:
    """Read whether a file is DICOM, and the attributes that may tell its patient and study."""
    path = root / file.path
    if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".gif"):
        return
    try:
        with path.open("rb") as content:
            file.dicom = content.read(132)[128:] == b"DICM"
    except OSError:
        return
    if not file.dicom:
        return
    try:
        from pydicom import dcmread
    except ModuleNotFoundError:
        file.unread = True
        return
    try:
        tags = dcmread(path, stop_before_pixels=True, specific_tags=list(TAGS))
        file.tags = {name: str(tags.get(name) or "").strip() for name in TAGS}
    except Exception:  # damaged: the path may still tell
        return


def unread_tags(files: Sequence[File]) -> list[str]:
    """Return a line about DICOM files whose attributes could not be read; or nothing."""
    count = sum(file.unread for file in files)
    text = (
        f"the attributes of {count} DICOM files (PatientID, StudyDate, AccessionNumber) are not "
        "used, because pydicom is missing; run `pip install 'agfnet[dicom]'`"
    )
    return [text] if count else []


def pattern(text: str) -> re.Pattern[str]:
    """Return the regular expression of a file pattern.

    `{name}` is a part of the name of one folder or file, `*` any characters of one, `**` any
    folders, `?` one character. Upper and lower case make no difference.

    Raises:
        ConfigError: a placeholder is twice in it, or its braces do not match.
    """
    result = ""
    for part in re.findall(r"\{[^{}]*\}|\*\*/|\*\*|\*|\?|[^*?{}]+|[{}]", text.replace("\\", "/")):
        if part.startswith("{") and len(part) > 2:
            name = f"_{part[1:-1].strip().encode().hex()}"
            if f"<{name}>" in result:
                raise ConfigError(f"files: {part} is twice in {text!r}; use it once")
            result += f"(?P<{name}>[^/]+?)"
        elif part in "{}":
            raise ConfigError(f"files: the braces of {text!r} do not match")
        else:
            special = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
            result += special.get(part) or re.escape(part)
    return re.compile(result, re.IGNORECASE)


def placeholders(match: re.Match[str]) -> dict[str, str]:
    """Return the placeholders of a matching path, by name."""
    return {bytes.fromhex(name[1:]).decode(): text for name, text in match.groupdict().items()}
