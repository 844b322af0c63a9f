"""De-identified DICOM by the Basic Application Confidentiality Profile (PS3.15 Annex E).

The library dicom-anonymizer keeps the table of the profile, which lists the attributes to remove,
empty or replace. It is applied here because the library makes UIDs random, keeps deleted dates as
0001-01-01 and skips the items of sequences.
"""

from __future__ import annotations

import re
import warnings
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from agfnet.deidentify.jpeg import strip_jpeg
from agfnet.deidentify.names import Names
from agfnet.errors import DISK_FULL, ConfigError, ImageError

if TYPE_CHECKING:
    from pydicom import DataElement, Dataset
    from pydicom.tag import BaseTag

TABLE = "dicomfields_2026c"
PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
ACTIONS = {
    "X": ("X_TAGS",),
    "Z": ("Z_TAGS", "X_Z_TAGS"),
    "D": ("D_TAGS", "Z_D_TAGS", "X_D_TAGS", "X_Z_D_TAGS"),
    "U": ("U_TAGS",),
}
"""Remove, empty, replace by a dummy, replace by another UID. Where the profile leaves a choice,
this is what every kind of object allows. X/Z/U* are sequences; like all others they are kept and
cleaned inside."""
TIMES = ("DA", "TM", "DT")
TEXTS = ("LO", "LT", "SH", "ST", "UC", "UT", "CS")
DIRECTORY, OVERLAYS = 0x0004, range(0x6000, 0x6100)
"""Groups: of the index of a medium, which no image needs; and of overlays."""
_REMARK = re.compile(r"(?:Description|Explanation|Comments?|Remarks?)")


def deidentify_dicom(source: Path, target: Path, names: Names) -> bool:
    """Write a copy of a DICOM image by the basic profile.

    Beyond the profile's table, private attributes, unknown attributes, group lengths, and dates,
    times, names of persons, descriptions, comments and texts of overlays that it does not mention
    are removed, as are comments and EXIF in JPEG frames, and bytes behind the frames. The pixels
    stay as they are: text that is burnt into them stays, too.

    Returns:
        True if the file states that identifying text is burnt into its pixels.

    Raises:
        ConfigError: agfnet[dicom] is not installed.
        ImageError: it cannot be read or written, or holds no image.
    """
    _require()
    from pydicom import dcmread

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of values that break a rule; most of them go anyway
        try:
            dataset = dcmread(source, force=True)  # the caller has recognised it as DICOM
            if not any(name in dataset for name in PIXELS):
                raise ImageError("is DICOM without an image; leave it out")
            burned_in = str(dataset.get("BurnedInAnnotation")).strip().upper() == "YES"
            _clean(dataset, names)
            _clean_frames(dataset)
            _cut_pixels(dataset)
            _sign(dataset)
            dataset.save_as(target, enforce_file_format=True)
        except ImageError:
            raise
        except OSError as error:
            if error.errno in DISK_FULL:
                raise
            raise ImageError(f"is DICOM that cannot be processed: {error}") from error
        except Exception as error:  # pydicom raises anything on damaged files
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ImageError(f"is DICOM that cannot be processed: {reason}") from error
    return burned_in


def _require() -> None:
    try:
        import dicomanonymizer  # noqa: F401
        import pydicom  # noqa: F401
    except ImportError:
        raise ConfigError("DICOM files need pydicom and its tools; install agfnet[dicom]") from None


@cache
def _actions() -> tuple[dict[int, str], list[tuple[int, int, str]]]:
    """Return the action by tag, and by tag and mask for groups that repeat (overlays, curves)."""
    from dicomanonymizer.dicomfields_selector import dicom_anonymization_database_selector

    lists = dicom_anonymization_database_selector(TABLE)
    single, repeating = {}, []
    for action, columns in ACTIONS.items():
        for tag in (tag for column in columns for tag in lists[column]):
            number, *mask = (
                high << 16 | low for high, low in zip(tag[::2], tag[1::2], strict=True)
            )
            if mask:
                repeating.append((number & mask[0], mask[0], action))
            else:
                single[number] = action
    return single, repeating


def _action(tag: BaseTag) -> str:
    single, repeating = _actions()
    matches = (action for number, mask, action in repeating if tag & mask == number)
    return single.get(tag) or next(matches, "")


def _clean(dataset: Dataset, names: Names) -> None:
    from pydicom.datadict import dictionary_has_tag, repeater_has_tag

    for tag in list(dataset.keys()):
        known = dictionary_has_tag(tag) or repeater_has_tag(tag)
        if tag.is_private or not known or tag.element == 0 or tag.group == DIRECTORY:
            del dataset[tag]
            continue
        element = dataset[tag]
        action = _action(tag)
        if action == "X" or (not action and (element.VR in (*TIMES, "PN") or _is_remark(element))):
            del dataset[tag]
        elif element.is_empty:
            continue
        elif action == "U" or (action and element.VR == "UI"):
            _replace_uids(element, names)
        elif action == "Z" or (action and element.VR == "SQ"):
            element.clear()
        elif element.keyword == "PatientID":
            element.value = names.name("patient", str(element.value))
        elif action:
            _replace(element)
        elif element.VR == "SQ":
            for item in element.value:
                _clean(item, names)


def _is_remark(element: DataElement) -> bool:
    """Return whether an attribute is a text that somebody has entered, and changes no pixel."""
    if element.VR not in TEXTS:
        return False
    return element.tag.group in OVERLAYS or _REMARK.search(element.keyword) is not None


def _cut_pixels(dataset: Dataset) -> None:
    """Remove what follows the last frame of uncompressed pixel data, if it is less than a frame."""
    if dataset.file_meta.TransferSyntaxUID.is_compressed or "PixelData" not in dataset:
        return
    from pydicom.pixels.utils import get_expected_length

    length = get_expected_length(dataset)
    length += length % 2
    frame = length // int(dataset.get("NumberOfFrames") or 1)
    if 0 < len(dataset.PixelData) - length < frame:
        dataset.PixelData = dataset.PixelData[:length]


def _replace_uids(element: DataElement, names: Names) -> None:
    if element.VM > 1:
        element.value = [names.uid(str(uid)) for uid in element.value]
    else:
        element.value = names.uid(str(element.value))


def _replace(element: DataElement) -> None:
    """Replace a value by a dummy of the same value representation."""
    from dicomanonymizer.simpledicomanonymizer import replace_element

    replace_element(element)


def _clean_frames(dataset: Dataset) -> None:
    """Remove comments and EXIF from frames that are JPEG files in themselves."""
    from pydicom.encaps import encapsulate, generate_frames
    from pydicom.uid import JPEGTransferSyntaxes

    if dataset.file_meta.TransferSyntaxUID not in JPEGTransferSyntaxes:
        return
    count = int(dataset.get("NumberOfFrames") or 1)
    frames = list(generate_frames(dataset.PixelData, number_of_frames=count))
    stripped = [strip_jpeg(frame) for frame in frames]
    # a frame may be one byte longer, to make its length even
    if any(len(frame) - len(bare) > 1 for frame, bare in zip(frames, stripped, strict=True)):
        dataset.PixelData = encapsulate(stripped)
        for name in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
            if name in dataset:
                delattr(dataset, name)


def _sign(dataset: Dataset) -> None:
    """State the method of de-identification, and replace everything before the attributes."""
    from pydicom.dataset import Dataset, FileMetaDataset

    method = Dataset()
    method.CodeValue, method.CodingSchemeDesignator = "113100", "DCM"
    method.CodeMeaning = "Basic Application Confidentiality Profile"
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = "agfnet deidentify"
    dataset.DeidentificationMethodCodeSequence = [method]
    dataset.LongitudinalTemporalInformationModified = "REMOVED"
    syntax = dataset.file_meta.TransferSyntaxUID
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.preamble = b"\0" * 128
