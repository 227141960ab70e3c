"""The list of PyTorch's names is true of this package and, if it is installed, of PyTorch."""

import collections
import importlib
import re

import pytest

import minitorch_cnn

from . import names

LISTED = names.read()


def test_the_list_knows_these_spaces_and_reasons():
    assert tuple(LISTED) == names.SPACES
    for space, groups in LISTED.items():
        assert set(groups) <= {names.HERE, *names.REASONS}, space
        counts = collections.Counter(name for group in groups.values() for name in group)
        assert not [name for name, count in counts.items() if count > 1], space


@pytest.mark.parametrize("space", names.SPACES)
def test_what_is_said_to_be_here_is_here_and_nothing_else(space):
    mine = names.find(space, minitorch_cnn)
    groups = LISTED[space]
    assert [n for n in groups.get(names.HERE, ()) if not names.offers(mine, n)] == []
    left_out = set(groups) - {names.HERE, names.LEAKED}
    assert [n for reason in left_out for n in groups[reason] if names.offers(mine, n)] == []


@pytest.mark.parametrize("space", names.SPACES)
def test_the_list_knows_every_name_of_pytorch(space):
    peer = pytest.importorskip("torch")
    if not re.match(r"2\.13\.", peer.__version__):
        pytest.skip(f"the list is of PyTorch 2.13, not {peer.__version__}")
    listed = {name for group in LISTED[space].values() for name in group}
    assert listed == set(names.public(names.find(space, peer)))


def test_every_reason_is_given_for_something():
    used = {reason for groups in LISTED.values() for reason in groups}
    assert used == {names.HERE, *names.REASONS}


def test_the_page_is_up_to_date():
    assert names.PAGE.read_text() == names.page(LISTED), "run python -m tests.names"


def test_the_list_survives_writing(monkeypatch, tmp_path):
    monkeypatch.setattr(names, "LIST", tmp_path / "names.ini")
    names.write(LISTED)
    assert names.read() == LISTED


def test_an_update_names_what_it_cannot_explain():
    """Two small packages, of which one has more than the other."""
    peer = importlib.import_module("types").SimpleNamespace
    space = type("Space", (), {"known": 1, "LSTM": 2, "unheard_of": 3})
    assert names.public(space) == ["LSTM", "known", "unheard_of"]
    assert names.reason_for("torch", "LSTM") == "recurrent"
    assert names.reason_for("torch", "unheard_of") is None
    assert names.find("torch.missing", peer(__name__="nowhere")) is None
