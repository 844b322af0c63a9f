"""A command of the program, with what its help shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

CASES_COLUMNS = """\
Columns of the cases table: lesion_id, patient_id, label, and a column of image
files for each modality, as in clinical and ultrasound; several files of a cell
are joined by |. Optional: split or fold, and masks, as in clinical_mask. Other
columns are kept as attributes. Reference: docs/cases.md"""


@dataclass(frozen=True)
class Command:
    """A command: its settings, from which its help is made, and what it does."""

    settings: type
    action: Callable[..., None]
    """Takes the settings and, with `takes_explicit`, the names of those that were set."""
    examples: tuple[str, ...]
    """Command lines, each of at most 76 characters; the first is shown after an error."""
    docs: str
    """Page of the documentation, in the folder `docs`."""
    columns: str = ""
    """Columns of the table that the command reads."""
    main: tuple[str, ...] = ()
    """Settings that `--help` shows; `--help-all` shows all. All if empty."""
    default_file: str | None = None
    """Value of the command's argument `file` if it may be left out."""
    default_out: str | None = None
    """Value of the command's argument `out` if it may be left out."""
    takes_explicit: bool = False
    """The action treats settings that were given apart from defaults."""
    extra: str = ""
    """Extra that the command needs in any case, as in `train`."""
