"""Losses and distances as layers against PyTorch's: values, gradients, text, state and errors."""

import numpy as np
import pytest

import minitorch_cnn as mt

from .layer_cases import REFUSED_LOSSES


@pytest.fixture
def pytorch():
    return pytest.importorskip("torch")


def scores(rng):
    return rng.standard_normal((4, 3))


def chances(rng):
    return rng.uniform(0.1, 0.9, (4, 3))


def labels(rng):
    return rng.integers(0, 3, 4)


def signs(rng):
    return rng.integers(0, 2, (4, 3)) * 2 - 1


def sign(rng):
    return signs(rng)[:, 0]


def several(rng):
    return np.array([[0, 2, -1], [1, -1, 0], [-1, 0, 1], [2, 1, 0]])


WEIGHT = [0.5, 1.0, 2.0]

LOSSES = {
    # How to make it, and what it is called with: the gradient is that of the first.
    "smooth l1": (lambda t: t.nn.SmoothL1Loss(), scores, scores),
    "smooth l1 options": (lambda t: t.nn.SmoothL1Loss(reduction="sum", beta=0.5), scores, scores),
    "huber": (lambda t: t.nn.HuberLoss(), scores, scores),
    "huber options": (lambda t: t.nn.HuberLoss("none", 0.3), scores, scores),
    "kl div": (lambda t: t.nn.KLDivLoss(reduction="batchmean"), scores, chances),
    "kl div log": (lambda t: t.nn.KLDivLoss(reduction="sum", log_target=True), scores, scores),
    "soft margin": (lambda t: t.nn.SoftMarginLoss(), scores, signs),
    "poisson": (lambda t: t.nn.PoissonNLLLoss(), scores, chances),
    "poisson options": (lambda t: t.nn.PoissonNLLLoss(False, full=True), chances, chances),
    "gaussian": (lambda t: t.nn.GaussianNLLLoss(), scores, scores, chances),
    "gaussian options": (
        lambda t: t.nn.GaussianNLLLoss(full=True, eps=0.5, reduction="sum"),
        *(scores, scores, chances),
    ),
    "ranking": (lambda t: t.nn.MarginRankingLoss(), scores, scores, signs),
    "ranking margin": (
        lambda t: t.nn.MarginRankingLoss(0.5, reduction="sum"),
        scores,
        scores,
        signs,
    ),
    "hinge": (lambda t: t.nn.HingeEmbeddingLoss(), scores, signs),
    "hinge margin": (lambda t: t.nn.HingeEmbeddingLoss(margin=0.2), scores, signs),
    "cosine": (lambda t: t.nn.CosineEmbeddingLoss(), scores, scores, sign),
    "cosine margin": (lambda t: t.nn.CosineEmbeddingLoss(0.2), scores, scores, sign),
    "multi margin": (lambda t: t.nn.MultiMarginLoss(), scores, labels),
    "multi margin options": (
        lambda t: t.nn.MultiMarginLoss(2, 0.7, t.tensor(WEIGHT), reduction="none"),
        *(scores, labels),
    ),
    "multilabel margin": (lambda t: t.nn.MultiLabelMarginLoss(), scores, several),
    "multilabel soft": (lambda t: t.nn.MultiLabelSoftMarginLoss(), scores, chances),
    "multilabel soft weight": (
        lambda t: t.nn.MultiLabelSoftMarginLoss(t.tensor(WEIGHT)),
        *(scores, chances),
    ),
    "triplet": (lambda t: t.nn.TripletMarginLoss(), scores, scores, scores),
    "triplet options": (
        lambda t: t.nn.TripletMarginLoss(0.3, 1.0, 1e-3, swap=True, reduction="none"),
        *(scores, scores, scores),
    ),
    "triplet distance": (
        lambda t: t.nn.TripletMarginWithDistanceLoss(margin=2.0),
        *(scores, scores, scores),
    ),
    "triplet cosine": (
        lambda t: t.nn.TripletMarginWithDistanceLoss(
            distance_function=lambda a, b: 1 - t.nn.functional.cosine_similarity(a, b), swap=True
        ),
        *(scores, scores, scores),
    ),
    "similarity": (lambda t: t.nn.CosineSimilarity(dim=0), scores, scores),
    "distance": (lambda t: t.nn.PairwiseDistance(1.0, keepdim=True), scores, scores),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_pytorchs(pytorch, name):
    make, *draws = LOSSES[name]
    ours, theirs = make(mt).double(), make(pytorch).double()
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    rng = np.random.default_rng(5)
    arrays = [draw(rng) for draw in draws]
    found = []
    for t, loss in ((mt, ours), (pytorch, theirs)):
        first, *rest = [t.tensor(a) for a in arrays]
        y = loss(first.requires_grad_(), *rest)
        y.sum().backward()
        found.append((y.detach().numpy(), first.grad.numpy()))
    for mine, wanted in zip(*found, strict=True):
        np.testing.assert_allclose(mine, wanted, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("case", REFUSED_LOSSES)
def test_refuses_what_pytorch_refuses(pytorch, case):
    with pytest.raises(Exception, match=r"\S") as theirs:
        case(pytorch)
    with pytest.raises(theirs.type, match=r"\S"):
        case(mt)


def test_kl_div_warns_of_a_mean_that_is_none():
    with pytest.warns(UserWarning, match="'batchmean' divides only by the batch size"):
        mt.nn.KLDivLoss()(mt.zeros(2, 2), mt.ones(2, 2))
