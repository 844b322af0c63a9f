from __future__ import annotations

import csv
from pathlib import Path

import pytest

from agfnet.deidentify.names import Names, new_key, read_key
from agfnet.errors import ConfigError

KEY = b"0123456789abcdef"


def test_names_depend_on_key_kind_and_original():
    names = Names(KEY)
    assert names.name("lesion", "a") == Names(KEY).name("lesion", "a")
    found = {
        names.name("lesion", "a"),
        names.name("lesion", "b"),
        names.name("patient", "a"),
        Names(KEY[::-1]).name("lesion", "a"),
    }
    assert len(found) == 4
    assert all(len(name) == 21 and name[1:].isalnum() for name in found)


def test_the_names_never_change():
    """A data set that grows must keep its names in any later version."""
    assert Names(KEY).name("lesion", "Läsion 1") == "L829b25d3a74143f58acf"
    assert Names(KEY).uid("1.2.3") == "2.25.338326801801224977674506275827848189667"


def test_no_name_reads_as_a_birth_date():
    """The first hash of this one is 56896612d19071130d03, which holds 1907-11-30."""
    name = Names(KEY).name("lesion", "L140236")
    assert name == Names(KEY).name("lesion", "L140236")
    assert "19071130" not in name
    assert len(name) == 21


def test_uids_are_valid():
    uids = {Names(KEY).uid(f"1.2.{i}") for i in range(200)}
    assert len(uids) == 200
    assert all(len(uid) <= 64 and uid.removeprefix("2.25.").isdigit() for uid in uids)


def test_names_that_no_encoding_knows():
    assert Names(KEY).name("file", "caf\udce9.jpg").startswith("F")


def test_mapping_leads_back():
    names = Names(KEY)
    new = [names.name("patient", 'Doe, "J"'), names.uid("1.2"), names.name("patient", 'Doe, "J"')]
    rows = list(csv.reader(names.mapping().splitlines()))
    assert rows == [
        ["kind", "original", "new"],
        ["patient", 'Doe, "J"', new[0]],
        ["uid", "1.2", new[1]],
    ]


def test_keys(tmp_path: Path):
    assert new_key() != new_key()
    path = tmp_path / "key"
    path.write_bytes(new_key() + b"\r\n")
    assert len(read_key(path)) == 64
    path.write_text("short \n")
    with pytest.raises(ConfigError, match="holds 5 bytes; expected 16 or more"):
        read_key(path)
    with pytest.raises(ConfigError, match="none cannot be read"):
        read_key(tmp_path / "none")
