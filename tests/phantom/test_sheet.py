import numpy as np
import pytest

from agfnet.config import PhantomConfig
from agfnet.errors import DataError
from agfnet.phantom import make_cohort
from agfnet.phantom.sheet import contact_sheet


def test_one_row_per_class(tmp_path):
    config = PhantomConfig(out=str(tmp_path / "c"), lesions=10, size=32, preset="missing")
    cases = make_cohort(config)
    plain = contact_sheet(cases, pairs=2, tile=40)
    assert plain.size == (2 * 80 + 4, 7 * (40 + 18))
    outlined = contact_sheet(cases, pairs=2, tile=40, outlines=True)
    assert (np.asarray(outlined) != np.asarray(plain)).any()


def test_no_cohort_no_sheet(tmp_path):
    with pytest.raises(DataError, match="make the cohort again"):
        contact_sheet(tmp_path / "cases.csv")
