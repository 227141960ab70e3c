"""The names of shapes, indexing, creation, random numbers and Tensor's own methods: each is here,
in all of PyTorch's spellings and under its parameters' names, or left out for a reason."""

import inspect
import re

import pytest

import minitorch_cnn as mt

# Functions `torch.f`, methods `Tensor.f` and in-place methods `Tensor.f_`; "f" "m" "_" say which.
SPELLINGS = {
    "fm": """
        adjoint argwhere as_strided bernoulli broadcast_to chunk clone detach diag diag_embed
        diagflat diagonal diagonal_scatter dsplit flatten flip fliplr flipud gather hsplit
        index_select is_complex is_floating_point is_nonzero is_signed masked_select moveaxis
        movedim multinomial narrow nonzero numel permute ravel repeat_interleave reshape roll
        rot90 select select_scatter slice_scatter split split_with_sizes swapaxes swapdims take
        take_along_dim tensor_split tile unbind unflatten vsplit
    """,
    "fm_": """
        index_add index_copy index_fill index_put masked_fill masked_scatter put scatter scatter_add
        scatter_reduce squeeze t transpose tril triu unsqueeze
    """,
    "f": """
        arange as_tensor asarray atleast_1d atleast_2d atleast_3d block_diag broadcast_shapes
        broadcast_tensors can_cast cartesian_prod cat column_stack combinations concat concatenate
        dstack empty empty_like eye finfo from_dlpack from_numpy full full_like get_default_dtype
        get_rng_state hstack iinfo initial_seed is_tensor linspace logspace manual_seed meshgrid
        normal ones ones_like promote_types rand rand_like randint randint_like randn randn_like
        randperm result_type row_stack scalar_tensor seed set_default_dtype set_printoptions
        set_rng_state stack tensor to_dlpack tril_indices triu_indices typename vstack zeros
        zeros_like index_put_ fill_ zero_ detach_ unravel_index
    """,
    "m": """
        apply_ backward bernoulli_ bool byte cauchy_ char contiguous copy_ cpu cuda data_ptr detach_
        dim double element_size expand expand_as exponential_ fill_ fill_diagonal_ float geometric_
        get_device int is_contiguous is_inference is_pinned is_same_size item log_normal_ long map_
        ndimension nelement new new_empty new_full new_ones new_tensor new_zeros normal_ numpy
        pin_memory random_
        register_hook register_post_accumulate_grad_hook repeat requires_grad_ reshape_as
        retain_grad short size storage_offset stride sum_to_size swapaxes_ swapdims_ to tolist type
        type_as unfold uniform_ view view_as zero_ __array__ __contains__ __deepcopy__
        __dlpack__ __dlpack_device__ __getitem__ __index__ __iter__ __len__ __reversed__ __setitem__
    """,
}
CONSTANTS = """
    e inf nan newaxis pi float double int long short bool float32 float64 int8 int16 int32 int64
    uint8 Size Tensor Generator dtype device memory_format contiguous_format channels_last
    preserve_format BoolTensor ByteTensor CharTensor DoubleTensor FloatTensor IntTensor LongTensor
    ShortTensor default_generator random
"""
PROPERTIES = """
    H T mH mT data device dtype grad grad_fn is_cpu is_cuda is_leaf is_meta is_mps is_quantized
    is_sparse itemsize nbytes ndim output_nr requires_grad retains_grad shape
"""

LEFT_OUT = {
    "half bfloat16": "there are no 16-bit floating-point kernels: as methods they raise",
    "resize_ resize_as_ set_ storage untyped_storage empty_strided new_empty_strided": "tensors "
    "have no storage that could grow or be shared anew; `x.data = y` and as_strided do the rest",
    "as_strided_ as_strided_scatter index_reduce nonzero_static map2_ narrow_copy view_copy": "in "
    "a line it is written with as_strided, scatter_reduce, nonzero, map_ or clone",
    "unsafe_split unsafe_chunk unsafe_split_with_sizes": "split and chunk may be written already",
    "share_memory_ is_shared": "no memory is shared between processes",
    "complex polar view_as_complex view_as_real real imag conj": "all numbers are real",
    "frombuffer from_file": "from_numpy and load do it",
    "range": "deprecated for arange",
}


def names(spellings):
    return SPELLINGS[spellings].split()


FUNCTIONS = names("fm") + names("fm_") + names("f")
METHODS = [*names("fm"), *names("fm_"), *[f"{name}_" for name in names("fm_")], *names("m")]


def test_every_name_is_here_and_in_pytorch():
    torch = pytest.importorskip("torch")
    for t in (torch, mt):
        missing = [name for name in FUNCTIONS + CONSTANTS.split() if not hasattr(t, name)]
        missing += [name for name in METHODS + PROPERTIES.split() if not hasattr(t.Tensor, name)]
        assert not missing, t.__name__


def test_what_is_left_out_is_not_half_there():
    for name in " ".join(LEFT_OUT).split():
        if name not in ("half", "bfloat16"):
            assert not hasattr(mt, name), name
            assert not hasattr(mt.Tensor, name), name
    for name in ("half", "bfloat16"):
        with pytest.raises(RuntimeError, match="float32 and float64"):
            getattr(mt.ones(2), name)()


NOT_OFFERED = {"out", "layout", "pin_memory", "memory_format", "sparse_grad"}
MISTOLD = {("broadcast_to", "shape"), ("from_numpy", "ndarray"), ("concatenate", "axis")}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_parameters_have_pytorchs_names_and_order(name):
    """PyTorch tells most of its signatures in the first line of a docstring."""
    torch = pytest.importorskip("torch")
    documented = (getattr(torch, name).__doc__ or "").strip().split("->")[0]
    told = re.match(rf"{name}\(([^()]*(\([^()]*\))?[^()]*)\)", documented.replace("\n", " "))
    if told is None:
        pytest.skip("PyTorch's docstring does not tell")
    text = re.sub(r"\[[^\]]*\]+|\([^)]*\)|\\", "", told[1])  # types, defaults and escapes
    wanted = [re.split("[:=]", p)[0].strip(" *") for p in text.split(",")]
    wanted = [p for p in wanted if p and p not in NOT_OFFERED and (name, p) not in MISTOLD]
    ours = list(inspect.signature(getattr(mt, name)).parameters.values())
    had = [p.name for p in ours]
    if ours and any(p.kind is p.VAR_POSITIONAL for p in ours):
        return  # sizes as ints or in a sequence: rows and calls below test them
    missing = [p for p in wanted if p not in had]
    assert not missing, (wanted, had)
    common = [p for p in had if p in wanted]
    assert common == wanted
