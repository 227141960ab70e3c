"""Automatic differentiation, as `torch.autograd`."""

from .function import Function as Function
from .gradcheck import gradcheck as gradcheck
from .gradcheck import gradgradcheck as gradgradcheck
from .graph import backward as backward
from .graph import enable_grad as enable_grad
from .graph import grad as grad
from .graph import inference_mode as inference_mode
from .graph import is_grad_enabled as is_grad_enabled
from .graph import no_grad as no_grad
from .graph import set_grad_enabled as set_grad_enabled
