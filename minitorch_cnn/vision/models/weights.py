"""What the builders of models do with `weights`, torchvision's name for trained parameters."""

from __future__ import annotations


def refuse_weights(builder: str, weights: None) -> None:
    """Raise ValueError unless `weights` is None: none are shipped.

    >>> refuse_weights("resnet18", None)
    """
    if weights is not None:
        raise ValueError(
            f"{builder}: no trained weights are shipped, so weights must be None, not {weights!r}; "
            "use load_state_dict for your own"
        )
