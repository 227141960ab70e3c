"""Schedules for the learning rates of an optimizer's groups."""

from .combined import ChainedScheduler as ChainedScheduler
from .combined import SequentialLR as SequentialLR
from .cosine import CosineAnnealingLR as CosineAnnealingLR
from .cosine import CosineAnnealingWarmRestarts as CosineAnnealingWarmRestarts
from .cycle import CyclicLR as CyclicLR
from .cycle import OneCycleLR as OneCycleLR
from .factor import ConstantLR as ConstantLR
from .factor import ExponentialLR as ExponentialLR
from .factor import LambdaLR as LambdaLR
from .factor import LinearLR as LinearLR
from .factor import MultiplicativeLR as MultiplicativeLR
from .factor import MultiStepLR as MultiStepLR
from .factor import PolynomialLR as PolynomialLR
from .factor import StepLR as StepLR
from .plateau import ReduceLROnPlateau as ReduceLROnPlateau
from .scheduler import LRScheduler as LRScheduler

_LRScheduler = LRScheduler  # its name in older code
