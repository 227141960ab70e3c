"""Functions behind the layers, as `torch.nn.functional`."""

from __future__ import annotations

from ..ops.activation import celu as celu
from ..ops.activation import celu_ as celu_
from ..ops.activation import elu as elu
from ..ops.activation import elu_ as elu_
from ..ops.activation import gelu as gelu
from ..ops.activation import glu as glu
from ..ops.activation import hardshrink as hardshrink
from ..ops.activation import hardsigmoid as hardsigmoid
from ..ops.activation import hardswish as hardswish
from ..ops.activation import hardtanh as hardtanh
from ..ops.activation import hardtanh_ as hardtanh_
from ..ops.activation import leaky_relu as leaky_relu
from ..ops.activation import leaky_relu_ as leaky_relu_
from ..ops.activation import logsigmoid as logsigmoid
from ..ops.activation import mish as mish
from ..ops.activation import prelu as prelu
from ..ops.activation import relu as _relu
from ..ops.activation import relu6 as relu6
from ..ops.activation import relu_ as relu_
from ..ops.activation import rrelu as rrelu
from ..ops.activation import rrelu_ as rrelu_
from ..ops.activation import selu as selu
from ..ops.activation import selu_ as selu_
from ..ops.activation import sigmoid as sigmoid
from ..ops.activation import silu as silu
from ..ops.activation import softplus as softplus
from ..ops.activation import softshrink as softshrink
from ..ops.activation import softsign as softsign
from ..ops.activation import tanh as tanh
from ..ops.activation import tanhshrink as tanhshrink
from ..ops.activation import threshold as threshold
from ..ops.activation import threshold_ as threshold_
from ..ops.conv import conv1d as conv1d
from ..ops.conv import conv2d as conv2d
from ..ops.conv import conv_transpose1d as conv_transpose1d
from ..ops.conv import conv_transpose2d as conv_transpose2d
from ..ops.conv import convolve2d as convolve2d
from ..ops.distance import cosine_similarity as cosine_similarity
from ..ops.distance import normalize as normalize
from ..ops.distance import pairwise_distance as pairwise_distance
from ..ops.dropout import alpha_dropout as alpha_dropout
from ..ops.dropout import dropout as dropout
from ..ops.dropout import dropout1d as dropout1d
from ..ops.dropout import dropout2d as dropout2d
from ..ops.dropout import feature_alpha_dropout as feature_alpha_dropout
from ..ops.embedding import embedding as embedding
from ..ops.fold import fold as fold
from ..ops.fold import unfold as unfold
from ..ops.grid import affine_grid as affine_grid
from ..ops.grid import grid_sample as grid_sample
from ..ops.likelihood import gaussian_nll_loss as gaussian_nll_loss
from ..ops.likelihood import kl_div as kl_div
from ..ops.likelihood import poisson_nll_loss as poisson_nll_loss
from ..ops.loss import binary_cross_entropy as binary_cross_entropy
from ..ops.loss import binary_cross_entropy_with_logits as binary_cross_entropy_with_logits
from ..ops.loss import cross_entropy as cross_entropy
from ..ops.loss import gumbel_softmax as gumbel_softmax
from ..ops.loss import huber_loss as huber_loss
from ..ops.loss import l1_loss as l1_loss
from ..ops.loss import log_softmax as log_softmax
from ..ops.loss import mse_loss as mse_loss
from ..ops.loss import nll_loss as nll_loss
from ..ops.loss import smooth_l1_loss as smooth_l1_loss
from ..ops.loss import softmax as softmax
from ..ops.loss import softmin as softmin
from ..ops.margin import cosine_embedding_loss as cosine_embedding_loss
from ..ops.margin import hinge_embedding_loss as hinge_embedding_loss
from ..ops.margin import margin_ranking_loss as margin_ranking_loss
from ..ops.margin import multi_margin_loss as multi_margin_loss
from ..ops.margin import multilabel_margin_loss as multilabel_margin_loss
from ..ops.margin import multilabel_soft_margin_loss as multilabel_soft_margin_loss
from ..ops.margin import soft_margin_loss as soft_margin_loss
from ..ops.margin import triplet_margin_loss as triplet_margin_loss
from ..ops.margin import triplet_margin_with_distance_loss as triplet_margin_with_distance_loss
from ..ops.matmul import bilinear as bilinear
from ..ops.matmul import linear as linear
from ..ops.norm import batch_norm as batch_norm
from ..ops.norm import group_norm as group_norm
from ..ops.norm import instance_norm as instance_norm
from ..ops.norm import layer_norm as layer_norm
from ..ops.norm import local_response_norm as local_response_norm
from ..ops.norm import rms_norm as rms_norm
from ..ops.pad import pad as pad
from ..ops.pool import adaptive_avg_pool1d as adaptive_avg_pool1d
from ..ops.pool import adaptive_avg_pool2d as adaptive_avg_pool2d
from ..ops.pool import adaptive_max_pool1d as adaptive_max_pool1d
from ..ops.pool import adaptive_max_pool2d as adaptive_max_pool2d
from ..ops.pool import avg_pool1d as avg_pool1d
from ..ops.pool import avg_pool2d as avg_pool2d
from ..ops.pool import fractional_max_pool2d as fractional_max_pool2d
from ..ops.pool import lp_pool1d as lp_pool1d
from ..ops.pool import lp_pool2d as lp_pool2d
from ..ops.pool import max_pool1d as max_pool1d
from ..ops.pool import max_pool2d as max_pool2d
from ..ops.pool import max_unpool1d as max_unpool1d
from ..ops.pool import max_unpool2d as max_unpool2d
from ..ops.resize import interpolate as interpolate
from ..ops.resize import upsample as upsample
from ..ops.resize import upsample_bilinear as upsample_bilinear
from ..ops.resize import upsample_nearest as upsample_nearest
from ..ops.scatter import one_hot as one_hot
from ..ops.shuffle import channel_shuffle as channel_shuffle
from ..ops.shuffle import pixel_shuffle as pixel_shuffle
from ..ops.shuffle import pixel_unshuffle as pixel_unshuffle
from ..tensor import Tensor


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(x, 0)

    https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.relu.html
    """
    return relu_(input) if inplace else _relu(input)
