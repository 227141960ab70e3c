"""Every public name of PyTorch 2.13 that CNN code may use: here, or left out and why.

`tests/names.ini` holds the list, so that tests do without PyTorch. NAMES.md shows it to readers.

python -m tests.names             # write NAMES.md anew
python -m tests.names --update    # first bring the list up to date with PyTorch and the package
"""

import argparse
import configparser
import importlib
import re
import textwrap
import types
from pathlib import Path

LIST = Path(__file__).with_name("names.ini")
PAGE = Path(__file__).parents[1] / "NAMES.md"
HERE, LEAKED = "here", "leaked"
SPACES = (
    "torch",
    "torch.Tensor",
    "torch.autograd",
    "torch.linalg",
    "torch.nn",
    "torch.nn.functional",
    "torch.nn.init",
    "torch.nn.utils",
    "torch.nn.utils.parametrizations",
    "torch.optim",
    "torch.optim.lr_scheduler",
    "torch.optim.swa_utils",
    "torch.utils.data",
)

# Why names are left out, and which: the first pattern that a whole name matches is its reason.
REASONS = {
    "recurrent": (
        "recurrent networks, and CTC, which aligns what they say",
        r"(quantized_)?(RNN|LSTM|GRU|rnn|lstm|gru)\w*|CTCLoss|ctc_loss|conv_tbc",
    ),
    "attention": (
        "attention and transformers",
        r"\w*(Transformer|Attention|attention)\w*|MultiheadAttention|ScalingType|SwizzleType",
    ),
    "three": (
        "volumes: layers for three dimensions",
        r"\w*3[dD]|\w*3d_with_indices|channels_last_3d",
    ),
    "sparse": (
        "sparse and nested tensors and matrices, other memory layouts than strides",
        r"\w*(sparse|Sparse|sspaddmm|spmm|saddmm|smm|hspmm|coalesce|indices|crow|ccol|nested|jagged|mkldnn)\w*"
        r"|\w*_(csr|csc|bsr|bsc|coo)|(col|row)_indices|values|dense_dim|to_dense|layout|strided|to_padded_tensor"
        r"|from_padded_tensor",
    ),
    "quantised": (
        "quantised numbers",
        r"\w*([Qq]uant|QInt|QUInt|per_channel|per_tensor|qscheme|q_scale|q_zero|q_per|choose_qparams)"
        r"\w*|fbgemm\w*|q(u?int)\w+|int_repr",
    ),
    "complex": (
        "complex numbers and Fourier transforms",
        r"\w*([Cc]omplex|[Cc]float|[Cc]double|chalf|cfloat)\w*|conj\w*|is_conj|resolve_\w+|view_as_real|real"
        r"|imag|angle|polar|i?stft|\w*_window|is_neg|H|mH|adjoint|sgn",
    ),
    LEAKED: (
        "not PyTorch's own: what its modules import, and helpers that lack an underscore",
        r"[A-Z_]+_MODES|\w+_notes|DType|torch.nn.functional.Tensor|\w*has_torch_function\w*|handle_torch_function|typename"
        r"|assert_int_or_pair|boolean_dispatch|classproperty|get_file_path|USE_\w+|PRIVATE_OPS"
        r"|prepare_multiprocessing_environment|BroadcastingList\d|factory_kwargs",
    ),
    "bindings": (
        "PyTorch's own machinery: its dispatcher, its errors, its C++",
        r"AVG|SUM|AcceleratorError|AliasDb|CompilationUnit|CompleteArgumentSpec|ConcreteModuleTypeBuilder"
        r"|ExcludeDispatchKeyGuard|DisableTorchFunction\w*|DispatchKey\w*|ExecutionPlan|FatalError|FileCheck|JITException"
        r"|OutOfMemoryError|PyTorchFile\w+|Tag|TracingState|cpp|init_num_threads|const_data_ptr"
        r"|grad_dtype|hash_tensor|module_load|as_subclass|enforce_grad_layout_policy"
        r"|set_multithreading_enabled|NestedIOFunction|skip_init|\w*anomaly\w*|is_inference\w*"
        r"|torch.Tensor.name|torch.ParameterDict|swap_in_optimizer_params_and_state",
    ),
    "old": (
        "names that PyTorch itself calls deprecated, or keeps for old code",
        r"Container|NLLLoss2d|CrossMapLRN2d|upsample\w*|volatile|reinforce|[Vv]ariable|torch.range"
        r"|torch.nn.init.(constant|dirac|eye|orthogonal|(kaiming|xavier)_(normal|uniform)|normal|uniform)"
        r"|clip_grad_norm|resize(_as)?_?",
    ),
    "twins": (
        "what PyTorch has twice: functions of layers in torch, views that copy or are not checked",
        r"torch\.(adaptive_\w+|affine_grid_generator|\w*dropout_?|avg_pool1d|max_pool[12]d|batch_norm\w*"
        r"|bilinear|channel_shuffle|constant_pad_nd|conv1d|conv_transpose[12]d|\w+_loss|kl_div"
        r"|embedding(_renorm_)?|grid_sampler\w*|convolution|binary_cross_entropy_with_logits|instance_norm|native_\w+|pixel_(un)?shuffle|fill)"
        r"|torch.linalg.(diagonal|matmul)|native_channel_shuffle|\w+_copy|unsafe_\w+|\w*as_strided_\w*|empty_(permuted|strided)"
        r"|new_empty_strided|addmv_",
    ),
    "compiled": (
        "compiling, tracing, exporting, vectorising: TorchScript, FX, Dynamo, functorch",
        r"\w*([Jj]it|[Ss]cript|Graph|FunctionSchema|OperatorInfo)\w*|compile\w*|export|vmap|cond|while_loop"
        r"|fork|wait|parse_\w+|import_ir_module\w*|\w*(Type|Symbol|Sym[A-Z]\w*|sym_\w+)|sym_\w+"
        r"|is_vulkan_available|freeze|merge_type_from_type_comment|unify_type_list|functional_call"
        r"|Argument\w*|Value|Node|Block|Code|Use|Future|Await|Call\w*|Capsule|Gradient|Module\w+"
        r"|ErrorReport|DeepCopyMemoTable|IODescriptor|Inference\w+|StaticModule|Lite\w+|LockingLogger"
        r"|LoggerBase|NoopLogger|AggregationType|BenchmarkConfig|BenchmarkExecutionStats|ThroughputBenchmark"
        r"|BufferDict|ConcreteModuleType|\w+Logger|set_logs\w*",
    ),
    "distributed": (
        "several processes and shared memory",
        r"\w*([Dd]istributed|DistributedSampler|rref|rpc)\w*|Join\w*|share_memory_|is_shared"
        r"|untyped_storage_shared|storage_is_shared|Generator_shared|DataParallel|SyncBatchNorm|Zero\w*Optimizer",
    ),
    "storage": (
        "storages and typed constructors from before torch.tensor; names of dimensions",
        r"\w*Storage\w*|\w*storage\w*|(BFloat16|Half|Float|Double|Byte|Char|Short|Int|Long|Bool)Tensor"
        r"|names|rename_?|align_(as|to)|refine_names|has_names|set_|legacy_\w+|tensortype|new|type_as"
        r"|is_set_to|set_default_tensor_type",
    ),
    "halves": (
        "float types under 32 bits, unsigned integers beyond 8, and automatic mixed precision",
        r"\w*(bfloat16|float16|float8\w*|float4\w*|uint16|uint32|uint64|autocast|half)\w*"
        r"|u?int[1-7]|bit|bits\w+|clear_autocast_cache|GradScaler",
    ),
    "devices": (
        "other devices than the processor and NVIDIA's, and settings of PyTorch's kernels",
        r"(is_)?(xpu|ipu|xla|mtia|maia|vulkan)|(cudnn|miopen)_\w+|has_(lapack|mkl|openmp|spectral)|lobpcg"
        r"|Stream|Event|\w*(float32_matmul|deterministic|_device|vitals?|flush_denormal|interop_threads"
        r"|warn_always|profiler)\w*|get_device_module|record_stream"
        r"|thread_safe_generator",
    ),
    "memory_format": (
        "memory formats: images are (n, c, h, w) here",
        r"convert_conv[23]d_weight_memory_format|channels_last|contiguous_format|preserve_format|memory_format|dim_order|is_channels_last\w*",
    ),
    "special": (
        "special functions and distributions that no CNN needs",
        r"\w*(gammac?|bessel|erfinv|erfcx|i0|igamma|polygamma|zeta|ndtri?|logit|digamma|nextafter|heaviside"
        r"|frexp|ldexp|copysign|signbit|hypot|xlogy|sinc|gcd|lcm|poisson|binomial|dirichlet|geometric"
        r"|cauchy|log_normal|exponential)_?|mvlgamma_?|logaddexp2?|logcumsumexp|float_power_?|isposinf"
        r"|isneginf|isreal|deg2rad_?|rad2deg_?|fix_?|positive|negative_?|mul?tigammaln|arc\w+"
        r"|(a?sinh|a?cosh|atanh|tan|asin|acos|atan2|erfc|exp2)_?",
    ),
    "datapipes": (
        "DataPipes, which PyTorch no longer develops",
        r"\w+DataPipe|DataChunk|\w+_validation\w*|functional_datapipe|guaranteed_datapipes_determinism",
    ),
    "words": (
        "bags of words and very large vocabularies",
        r"EmbeddingBag|embedding_bag|AdaptiveLogSoftmaxWithLoss|LinearCrossEntropy\w+"
        r"|linear_cross_entropy",
    ),
    "optimizers": (
        "optimizers that CNNs are seldom trained with",
        r"ASGD|Adafactor|LBFGS",
    ),
    "matrices": (
        "decompositions, solvers and products of matrices beyond those of a layer",
        r"cholesky\w*|svd\w*|qr|lu\w*|eig|eigh|eigvals|eigvalsh|symeig|lstsq|ormqr|orgqr|geqrf|ldl_\w+"
        r"|householder_product|\w*solve\w*|inv|inv_ex|p?inverse|pinv|slice_inverse|det|slogdet|logdet"
        r"|matrix_(exp|power|rank|norm)|pca_lowrank|cond|vander|tensorinv|vecdot|multi_dot|chain_matmul"
        r"|kron|trace|cov|corrcoef|cdist|pdist|vdot|inner|ger|addr_?|cross|renorm_?|addbmm_?|addmv|LinAlgError"
        r"|frobenius_norm|nuclear_norm|norm_except_dim|(grouped|scaled|scaled_grouped)_mm|orthogonal",
    ),
    "rare": (
        "rarely used, and a line or two in terms of others",
        r"nonzero_static|index_reduce_?|histogram(dd)?|segment_reduce|(cumulative_)?trapezoid|trapz"
        r"|gradient|unravel_index|map2_|frombuffer|from_file|torch.Tensor.index|is_same_size",
    ),
}


def public(space):
    """PyTorch's names in a space: those it declares; else, and in torch itself, all of its own."""
    declared = set(getattr(space, "__all__", ()))
    only_declared = declared and space.__name__ != "torch"

    def own(name):
        value = getattr(space, name, None)
        if name.startswith("_") or isinstance(value, types.ModuleType) or name == "TYPE_CHECKING":
            return False
        module = getattr(value, "__module__", None) or "torch"
        return name in declared or isinstance(space, type) or module.startswith("torch")

    return sorted(filter(own, declared if only_declared else declared.union(dir(space))))


def offers(space, name):
    """Whether this package's module or class has a name, and not for itself only."""
    return name in getattr(space, "__all__", dir(space))


def find(path, root):
    """The module or class `torch.nn...`, with `root` in torch's place; None if it is not there."""
    found = root
    for name in path.split(".")[1:]:
        try:
            found = getattr(found, name, None) or importlib.import_module(
                f"{found.__name__}.{name}"
            )
        except ImportError:
            return None
    return found


def read():
    """{space: {reason: names}} as the list has it."""
    parser = configparser.ConfigParser(interpolation=None, delimiters="=")
    parser.read(LIST)
    return {
        space: {reason: names.split() for reason, names in parser[space].items()}
        for space in parser.sections()
    }


def write(listed):
    """The list, wrapped."""
    lines = ["# Written by `python -m tests.names --update`; read what it does there."]
    for space, groups in listed.items():
        lines += ["", f"[{space}]"]
        for reason, names in groups.items():
            lines.append(f"{reason} =")
            lines += textwrap.wrap(" ".join(names), 98, initial_indent="  ", subsequent_indent="  ")
    LIST.write_text("\n".join(lines) + "\n")


def update(ours, peer):
    """The list that fits both packages; names that no pattern gives a reason for, apart."""
    listed, unknown = {}, []
    for path in SPACES:
        groups = {reason: [] for reason in (HERE, *REASONS)}
        mine = find(path, ours)
        for name in public(find(path, peer)):
            reason = reason_for(path, name)
            if reason != LEAKED and offers(mine, name):
                reason = HERE
            if reason is None:
                unknown.append(f"{path}.{name}")
            else:
                groups[reason].append(name)
        listed[path] = {reason: names for reason, names in groups.items() if names}
    return listed, unknown


def reason_for(space, name):
    """The first reason whose pattern the name, or the space and the name, matches; or None."""
    for reason, (_, pattern) in REASONS.items():
        if re.fullmatch(pattern, name) or re.fullmatch(pattern, f"{space}.{name}"):
            return reason
    return None


def page(listed):
    """NAMES.md."""
    lines = [
        "# PyTorch's names",
        "",
        "Every public name of PyTorch 2.13 in the modules that code for CNNs uses, and whether it",
        "is here. `python -m tests.names` writes this page from `tests/names.ini`; tests compare",
        "that list with this package, and with PyTorch if it is installed.",
        "",
        "| module | names | here |",
        "|---|---:|---:|",
    ]
    for space, groups in listed.items():
        total, here = sum(map(len, groups.values())), len(groups.get(HERE, ()))
        lines.append(f"| [`{space}`](#{space.replace('.', '').lower()}) | {total} | {here} |")
    lines += ["", "Left out are, by reason:", ""]
    for reason, (meaning, _) in REASONS.items():
        total = sum(len(groups.get(reason, ())) for groups in listed.values())
        lines.append(f"- **{reason}** ({total}): {meaning}.")
    for space, groups in listed.items():
        lines += ["", f"## {space}"]
        for reason, names in groups.items():
            title = "Here" if reason == HERE else f"Left out, {reason}"
            text = ", ".join(f"`{name}`" for name in names)
            lines += ["", *textwrap.wrap(f"{title}: {text}", 100, break_on_hyphens=False)]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--update", action="store_true", help="look at both packages first")
    if parser.parse_args().update:
        listed, unknown = update(*map(importlib.import_module, ("minitorch_cnn", "torch")))
        if unknown:
            parser.error("no pattern in REASONS for " + " ".join(unknown))
        write(listed)
    PAGE.write_text(page(read()))


if __name__ == "__main__":
    main()
