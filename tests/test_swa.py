"""Averages of weights and what belongs to them, against PyTorch's."""

import numpy as np
import pytest

import minitorch_cnn as mt
from minitorch_cnn.optim import swa_utils

from .optim_formulas import leaf


@pytest.fixture
def pytorch():
    return pytest.importorskip("torch")


def models(framework):
    """A sequence of models of one kind, equal in both frameworks."""
    rng = np.random.default_rng(1)
    for _ in range(4):
        model = framework.nn.Sequential(framework.nn.Conv2d(2, 3, 1), framework.nn.BatchNorm2d(3))
        state = {}
        for name, value in model.state_dict().items():
            numbers = np.array(rng.normal(2, 1, tuple(value.shape)), np.float32)
            state[name] = framework.tensor(int(numbers) if "batches" in name else numbers)
        model.load_state_dict(state)
        yield model


@pytest.mark.parametrize(
    "options",
    [
        lambda u: {},
        lambda u: {"use_buffers": True},
        lambda u: {"avg_fn": u.get_ema_avg_fn(0.9)},
        lambda u: {"avg_fn": u.get_swa_avg_fn(), "use_buffers": True},
        lambda u: {"multi_avg_fn": u.get_ema_multi_avg_fn(0.9), "use_buffers": True},
        lambda u: {"multi_avg_fn": u.get_swa_multi_avg_fn()},
        lambda u: {"avg_fn": lambda average, value, count: average * 0.5 + value / (count + 2)},
    ],
)
def test_averages_are_pytorchs(pytorch, options):
    def averaged(framework):
        first, *others = models(framework)
        average = framework.optim.swa_utils.AveragedModel(
            first, **options(framework.optim.swa_utils)
        )
        for model in (first, *others):
            average.update_parameters(model)
        images = framework.ones(2, 2, 3, 3)
        return average.state_dict(), average.eval()(images).detach().numpy()

    (mine, output), (theirs, expected) = averaged(mt), averaged(pytorch)
    assert list(mine) == list(theirs)
    for name, value in theirs.items():
        assert str(mine[name].dtype).split(".")[-1] == str(value.dtype).split(".")[-1]
        np.testing.assert_allclose(mine[name].numpy(), value.numpy(), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(output, expected, rtol=1e-5)


def test_the_mean_is_the_mean_and_the_model_stays():
    kept = list(models(mt))
    average = swa_utils.AveragedModel(kept[0])
    weights = [model[0].weight.detach().numpy().copy() for model in kept]
    for model in kept:
        average.update_parameters(model)
    np.testing.assert_allclose(
        average.module[0].weight.detach().numpy(), np.mean(weights, 0), rtol=1e-6
    )
    assert average.n_averaged.item() == 4
    np.testing.assert_array_equal(kept[0][0].weight.detach().numpy(), weights[0])


def test_statistics_are_computed_anew_as_in_pytorch(pytorch):
    rng = np.random.default_rng(2)
    batches = [rng.normal(3, 2, (5, 2, 4, 4)).astype(np.float32) for _ in range(3)]

    def updated(framework):
        model = next(models(framework)).eval()
        loader = [(framework.tensor(batch), 7) for batch in batches]
        framework.optim.swa_utils.update_bn(loader, model)
        assert not model.training
        assert model[1].momentum == 0.1
        return [model[1].running_mean.numpy(), model[1].running_var.numpy()]

    np.testing.assert_allclose(updated(mt), updated(pytorch), rtol=1e-5)
    swa_utils.update_bn([mt.ones(1)], mt.nn.Linear(1, 1))  # there is nothing to do


def test_statistics_survive_a_loader_that_fails():
    model = mt.nn.BatchNorm2d(1).eval()
    with pytest.raises(ValueError, match="4D"):
        swa_utils.update_bn([mt.ones(1)], model)
    assert (model.momentum, model.training) == (0.1, False)


@pytest.mark.parametrize(
    "options",
    [{}, {"anneal_strategy": "linear", "anneal_epochs": 4}, {"anneal_epochs": 0}],
    ids=str,
)
def test_its_schedule_is_pytorchs(pytorch, options):
    def rates(framework):
        groups = [{"params": [framework.zeros(1, requires_grad=True)], "lr": lr} for lr in (0.1, 1)]
        optimizer = framework.optim.SGD(groups)
        scheduler = framework.optim.swa_utils.SWALR(optimizer, [0.05, 0.2], **options)
        found = []
        for epoch in range(15):
            optimizer.step()
            scheduler.step()
            found += scheduler.get_last_lr()
            if epoch == 3:
                state = scheduler.state_dict()
                scheduler = framework.optim.swa_utils.SWALR(optimizer, [0.05, 0.2])
                scheduler.load_state_dict(state)
        return found

    assert rates(mt) == rates(pytorch)


def test_what_is_refused():
    optimizer = mt.optim.SGD([leaf([0.0])])
    for options, match in (
        ({"swa_lr": [1, 2]}, "swa_lr has 2 values"),
        ({"swa_lr": 1, "anneal_strategy": "square"}, "square"),
        ({"swa_lr": 1, "anneal_epochs": -1}, "got -1"),
    ):
        with pytest.raises(ValueError, match=match):
            swa_utils.SWALR(optimizer, **options)
    for make in (swa_utils.get_ema_avg_fn, swa_utils.get_ema_multi_avg_fn):
        with pytest.raises(ValueError, match=r"1\.5"):
            make(1.5)
    with pytest.raises(AssertionError, match="Only one"):
        swa_utils.AveragedModel(mt.nn.Linear(1, 1), avg_fn=abs, multi_avg_fn=abs)
