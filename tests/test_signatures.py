"""The arguments of layers and functions: names, order, kinds and defaults are PyTorch's."""

import inspect

import pytest

import minitorch_cnn as mt

LEGACY = {"size_average", "reduce", "min_value", "max_value", "_stacklevel", "out", "sparse"}
"""Deprecated in PyTorch, private there, or for what is left out here."""
OWN = {"into"}
"""Options of functions here that are not for users."""

ROOMS = ["nn", "nn.functional", "nn.init", "nn.utils"]


def public(t, room):
    """The functions and classes of a module by name."""
    for part in room.split("."):
        t = getattr(t, part)
    names = getattr(t, "__all__", [name for name in vars(t) if not name.startswith("_")])
    return {name: getattr(t, name) for name in names if callable(getattr(t, name))}


NAMES = [(room, name) for room in ROOMS for name in public(mt, room)]


def parameters(value):
    """(name, default) of each, and which of them are keyword-only; None if Python can't tell."""
    try:
        signature = inspect.signature(value)
    except ValueError:
        return None
    open_ended = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    taken = [p for p in signature.parameters.values() if p.name not in LEGACY | OWN]
    taken = [p for p in taken if p.kind not in open_ended]
    if not taken and signature.parameters.keys() == {"args", "kwargs"}:
        return None
    return [(p.name, p.default) for p in taken], [p.name for p in taken if p.kind == p.KEYWORD_ONLY]


@pytest.mark.parametrize(("room", "name"), NAMES, ids=str)
def test_arguments_are_pytorchs(room, name):
    torch = pytest.importorskip("torch")
    for part in room.split("."):
        torch = getattr(torch, part)
    theirs = getattr(torch, name, None)
    wanted = theirs and parameters(theirs)
    if not wanted:
        pytest.skip("PyTorch has no such name, or its arguments are not to be seen")
    ours, keywords = parameters(public(mt, room)[name])
    expected, their_keywords = wanted
    legacy = LEGACY & set(inspect.signature(theirs).parameters)
    assert [n for n, _ in ours] == [n for n, _ in expected]
    for (_, default), (_, wanted_default) in zip(ours, expected, strict=True):
        assert str(default) == str(wanted_default)
    assert legacy or keywords == their_keywords


CLASSES = ["Module", "Sequential", "ModuleList", "ModuleDict", "ParameterList", "ParameterDict"]
CLASSES += ["Embedding", "Conv2d", "BatchNorm2d"]


@pytest.mark.parametrize("name", CLASSES)
def test_arguments_of_methods_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    cls, theirs = getattr(mt.nn, name), getattr(torch.nn, name)
    for method in dir(cls):
        wanted = getattr(theirs, method, None)
        if method.startswith("_") or not callable(wanted) or method in ("forward", "extend"):
            continue
        ours, keywords = parameters(getattr(cls, method)) or ([], [])
        expected, their_keywords = parameters(wanted) or ([], [])
        if expected or their_keywords:
            assert (method, [n for n, _ in ours]) == (method, [n for n, _ in expected])
            assert [str(d) for _, d in ours] == [str(d) for _, d in expected]
            assert keywords == their_keywords
