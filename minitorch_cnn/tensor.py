"""Tensor: a buffer on a device, its gradient, and the op it came from.

What a tensor can compute is not written here: every function of `ops` that PyTorch also offers as
a method or operator is bound to the class where it is defined, by `method`.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np

from . import dtypes, record
from .device import Device, cpu, launch
from .dlpack import DLDeviceType
from .dtypes import DType, dtype_of
from .layout import MemoryFormat, channels_last, contiguous_format
from .printing import tensor_repr

if TYPE_CHECKING:
    from .autograd.graph import LeafHooks, Node

__all__ = ["Form", "Size", "Tensor", "form", "method", "wrap"]

F = TypeVar("F", bound=Callable[..., Any])


class Size(tuple[int, ...]):
    """A shape: a tuple of ints that prints as PyTorch's."""

    __slots__ = ()

    def numel(self) -> int:
        """How many elements a tensor of this shape has."""
        count = 1
        for n in self:
            count *= n
        return count

    def __getitem__(self, index: Any) -> Any:
        part = tuple.__getitem__(self, index)
        return Size(part) if isinstance(index, slice) else part

    def __add__(self, other: Any) -> Any:
        joined = tuple.__add__(self, other)
        return joined if joined is NotImplemented else Size(joined)

    def __radd__(self, other: Any) -> Any:
        return Size(other + tuple(self)) if isinstance(other, tuple) else NotImplemented

    def __mul__(self, times: Any) -> Any:
        return Size(tuple.__mul__(self, times))

    __rmul__ = __mul__

    def __repr__(self) -> str:
        return f"torch.Size({list(self)})"


class Form:
    """What tensors are but for their values: shape, strides, type and device. Of equal ones there
    is one, so that they are compared with `is`."""

    __slots__ = ("device", "dtype", "shape", "size", "strides")
    _known: ClassVar[dict[Any, Form]] = {}

    shape: tuple[int, ...]
    size: Size
    """The shape, as `Tensor.shape` gives it."""
    strides: tuple[int, ...] | None
    """In bytes; None for contiguous tensors."""
    dtype: DType
    device: Device

    @classmethod
    def of(
        cls,
        shape: tuple[int, ...],
        dtype: DType,
        device: Device,
        strides: tuple[int, ...] | None = None,
    ) -> Form:
        """The one there is with these."""
        key = shape, strides, dtype, device
        self = cls._known.get(key)
        if self is None:
            if len(cls._known) >= MOST_FORMS:
                cls._known.clear()  # an equal one made later is another, which costs time alone
            self = cls()
            self.shape, self.strides, self.dtype, self.device = key
            self.size = Size(shape)
            self = cls._known.setdefault(key, self)
        return self


MOST_FORMS = 4096
"""Forms that are remembered."""


class Tensor:
    """An n-dimensional array that remembers how it was computed.

    Make one with `tensor`, `zeros`, `randn` and their like; see
    https://docs.pytorch.org/docs/stable/tensors.html, whose names and meanings these are.

    >>> import minitorch_cnn as torch
    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    __slots__ = (
        "__weakref__",
        "_buffer",
        "_counter",
        "_current",
        "_form",
        "_grad",
        "_hooks",
        "_index",
        "_node",
        "_origin",
        "_requires_grad",
        "device",
        "dtype",
    )

    __array_priority__ = 1000  # array * tensor is the tensor's business

    _buffer: Any
    """The device's array: on the CPU, NumPy's. Another comes in its place by `_show` alone."""
    _form: Form | None
    """What `form` says, once it was asked."""
    _counter: list[int]
    """Writes so far into the memory; one object for all tensors that share it."""
    _node: Node | None
    """The op that made this tensor and its place among the op's outputs, `_index`."""
    _index: int
    _origin: tuple[Tensor, Any, Any] | None
    """For a view: the tensor it was taken of, and the view op with its attributes; or, if nothing
    was being recorded, None and the node that the memory's first tensor then came from."""
    _current: int
    """For a view: the count of writes for which `_node` is right."""
    _hooks: LeafHooks | None
    _grad: Tensor | None
    _requires_grad: bool
    device: Device
    dtype: DType

    def __init__(self, *args: Any) -> None:
        """`Tensor(2, 3)` is an uninitialised float tensor, `Tensor([...])` one of these values."""
        default = dtypes.get_default_dtype()
        _initialise(self, legacy_buffer(args, default), default, cpu)

    # ------------------------------------------------------------------ what it is

    @property
    def shape(self) -> Size:
        """The size of every dimension."""
        known = self._form
        return Size(self._buffer.shape) if known is None else known.size

    @property
    def ndim(self) -> int:
        """How many dimensions it has."""
        return self._buffer.ndim

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one dimension."""
        return self.shape if dim is None else self._buffer.shape[self._dim(dim)]

    def dim(self) -> int:
        """How many dimensions it has."""
        return self._buffer.ndim

    def numel(self) -> int:
        """How many elements it has."""
        return self._buffer.size

    nelement = numel
    ndimension = dim

    def element_size(self) -> int:
        """Bytes per element."""
        return self.dtype.itemsize

    @property
    def itemsize(self) -> int:
        """Bytes per element."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self._buffer.size * self.dtype.itemsize

    def stride(self, dim: int | None = None) -> Any:
        """Elements between neighbours along each dimension, or along one."""
        strides = tuple([s // self.dtype.itemsize for s in self._buffer.strides])
        return strides if dim is None else strides[self._dim(dim)]

    def storage_offset(self) -> int:
        """Elements before the first one in the memory of the tensor that this is a view of."""
        return (self.data_ptr() - self._root().data_ptr()) // self.dtype.itemsize

    def is_contiguous(self, memory_format: MemoryFormat = contiguous_format) -> bool:
        """Whether the elements lie in memory in order, without gaps; or, for `channels_last`, those
        of a batch of images in the order of batch, rows, columns, channels."""
        if memory_format is channels_last:
            return self.ndim == 4 and bool(self._buffer.transpose(0, 2, 3, 1).flags.c_contiguous)
        return bool(self._buffer.flags.c_contiguous)

    def data_ptr(self) -> int:
        """The address of the first element."""
        if self.device.type != "cpu":
            return int(self._buffer.address)
        return int(self._buffer.ctypes.data)

    def is_floating_point(self) -> bool:
        """Whether the elements are float32 or float64."""
        return self.dtype.is_floating_point

    def is_complex(self) -> bool:
        """No: the elements are real."""
        return False

    def is_signed(self) -> bool:
        """Whether the elements can be negative."""
        return self.dtype.is_signed

    def is_nonzero(self) -> bool:
        """Whether the one element is not zero."""
        return bool(self)

    def is_same_size(self, other: Tensor) -> bool:
        """Whether another tensor has the same shape."""
        return self._buffer.shape == other._buffer.shape

    def is_inference(self) -> bool:
        """No: the results of `inference_mode` are ordinary tensors here."""
        return False

    # What PyTorch has besides and code written for it asks after.
    is_sparse = is_quantized = is_meta = is_mps = is_xpu = is_mkldnn = is_nested = False

    def get_device(self) -> int:
        """The device's number, -1 for the CPU."""
        return -1 if self.device.type == "cpu" else self.device.index or 0

    def cuda(self, device: Device | int | None = None, non_blocking: bool = False) -> Tensor:
        """The tensor on a CUDA device: the current one, or that of a number."""
        given = isinstance(device, Device)
        return self.to(device if given else Device("cuda", device), non_blocking=non_blocking)  # type: ignore[arg-type]

    @property
    def is_cuda(self) -> bool:
        """Whether it lives on a CUDA device."""
        return self.device.type == "cuda"

    @property
    def is_cpu(self) -> bool:
        """Whether it lives on the CPU."""
        return self.device.type == "cpu"

    def _dim(self, dim: int) -> int:
        """A dimension counted from the front; refuses one that is not there."""
        n = max(self._buffer.ndim, 1)
        if not -n <= dim < n:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], "
                f"but got {dim})"
            )
        return dim % n

    # ------------------------------------------------------------------ gradient

    @property
    def requires_grad(self) -> bool:
        """Whether operations on it are recorded for `backward`."""
        if self._origin is not None and self._current != self._counter[0]:
            self._follow_origin()
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Say whether operations on this leaf are recorded; returns the tensor itself."""
        if requires_grad == self.requires_grad:
            return self
        if self._node is not None:
            raise RuntimeError("you can only change requires_grad flags of leaf variables.")
        if requires_grad and not self.dtype.is_floating_point:
            raise RuntimeError(
                f"only Tensors of floating point dtype can require gradients, not {self.dtype}"
            )
        self._origin = None
        self._requires_grad = requires_grad
        record.restructured(self._buffer)
        return self

    @property
    def grad(self) -> Tensor | None:
        """The gradient that `backward` accumulated, or None."""
        record.leaf(self, read=True)
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(f"assigned grad expected to be a Tensor or None, not {value!r}")
            if value is self:
                raise RuntimeError("can't assign a tensor as its own grad")
            if value.shape != self.shape or value.dtype is not self.dtype:
                raise RuntimeError(
                    f"assigned grad has shape {tuple(value.shape)} and type {value.dtype}, "
                    f"its tensor {tuple(self.shape)} and {self.dtype}"
                )
        record.leaf(self, read=False)
        self._grad = value

    @property
    def grad_fn(self) -> Node | None:
        """The recorded operation that made this tensor; None for a leaf."""
        return self._node if self.requires_grad else None

    @property
    def is_leaf(self) -> bool:
        """Whether it was made by the user rather than by a recorded operation."""
        return self.grad_fn is None

    @property
    def retains_grad(self) -> bool:
        """Whether `backward` will fill in `grad` although this is no leaf."""
        node = self.grad_fn
        return node is not None and node.retaining is not None and self._index in node.retaining

    @property
    def output_nr(self) -> int:
        """Which of the outputs of `grad_fn` this is."""
        return self._index if self.grad_fn is not None else 0

    @property
    def _version(self) -> int:
        return self._counter[0]

    def _bump(self) -> None:
        """Note that the memory was written; what had been saved for `backward` is now spoilt."""
        self._counter[0] += 1

    def _show(self, other: Tensor) -> None:
        """Have the memory of another tensor for its own, and all that it says of it."""
        self._buffer, self._form = other._buffer, other._form
        self.dtype, self.device = other.dtype, other.device

    def _follow_origin(self) -> None:
        """Make a view's history right again after its memory was written elsewhere."""
        outdated, view = [], self
        while view._origin is not None and view._current != view._counter[0]:
            outdated.append(view)
            view = view._origin[0]
        for view in reversed(outdated):
            assert view._origin is not None
            parent, op, attrs = view._origin
            if op is None:
                if parent._root()._node is not attrs:
                    raise RuntimeError(
                        "a view that was created in no_grad mode is used after a recorded write to "
                        "the memory it shows, of which its gradients would know nothing"
                    )
                view._current = view._counter[0]
                continue
            view._current = view._counter[0]
            view._requires_grad = parent.requires_grad
            view._node, view._index = None, 0
            if view._requires_grad:
                view._check_shown(parent, op, attrs)
                op.record((parent,), attrs, (view,))

    def _check_shown(self, parent: Tensor, op: Any, attrs: Any) -> None:
        """Refuse a view of a tensor that has since got another shape in place."""
        if op is not None and op.view(parent._buffer, **attrs).shape != self._buffer.shape:
            raise RuntimeError(
                f"a view of shape {list(self.shape)} is used after the tensor it shows got another "
                f"shape in place, now {list(parent.shape)}: its gradients would be wrong"
            )

    def _root(self) -> Tensor:
        """The tensor whose memory a view shows; another tensor itself."""
        tensor = self
        while tensor._origin is not None:
            tensor = tensor._origin[0]
        return tensor

    def _is_view(self) -> bool:
        return self._origin is not None

    @property
    def _base(self) -> Tensor | None:
        """The tensor whose memory a view shows."""
        return None if self._origin is None else self._root()

    def detach(self) -> Tensor:
        """The same memory, cut off from the graph."""
        out = wrap(self._buffer, self.dtype, self.device)
        out._counter = self._counter
        return out

    @property
    def data(self) -> Tensor:
        """The same memory, cut off from the graph, its writes not noticed by `backward`."""
        return wrap(self._buffer, self.dtype, self.device)

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise TypeError(f"data must be a Tensor, not {type(value).__name__}")
        if self.requires_grad and not value.dtype.is_floating_point:
            raise RuntimeError(
                f"data set to a tensor that requires gradients must be floating point, "
                f"not {value.dtype}"
            )
        record.restructured(self._buffer)
        self._show(value)
        self._counter = [0]

    # ------------------------------------------------------------------ to Python and NumPy

    def _host(self) -> np.ndarray[Any, Any]:
        """The values, for reading on the host: a copy of them, if they are elsewhere."""
        if record.recorder is not None and record.is_recording():
            record.recorder.read()
        if self.device.type == "cpu":
            return self._buffer
        array = np.empty(self._buffer.shape, self.dtype.numpy)
        launch(self.device, "shape.copy", self._buffer, array)
        return array

    def numpy(self, *, force: bool = False) -> np.ndarray[Any, Any]:
        """The NumPy array over the same memory; with `force`, of a tensor with gradients too."""
        if self.requires_grad and not force:
            raise RuntimeError(
                "Can't call numpy() on Tensor that requires grad. "
                "Use tensor.detach().numpy() instead."
            )
        if self.device.type != "cpu":
            raise TypeError(
                f"can't convert {self.device} device type tensor to numpy. Use Tensor.cpu() to "
                "copy the tensor to host memory first."
            )
        return self._host()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return np.array(self.numpy(), dtype, copy=copy)

    def __dlpack__(
        self,
        *,
        stream: int | None = -1,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """A capsule that shows the tensor's memory, or a copy's, to another library.

        https://dmlc.github.io/dlpack/latest/python_spec.html
        """
        if self.requires_grad:
            raise BufferError(
                "Can't export tensors that require gradient, use tensor.detach() first"
            )
        if stream is not None and type(stream) is not int:
            raise TypeError("stream must be ``int`` or ``none``")
        here = self.__dlpack_device__()
        if dl_device is not None and tuple(dl_device) != here:
            if tuple(dl_device) != (DLDeviceType.kDLCPU, 0) or copy is False:
                raise BufferError(
                    f"a tensor on '{self.device}' can't be exported to device {tuple(dl_device)}"
                    + (" without copying it" if copy is False else "")
                )
            return self.cpu().__dlpack__(max_version=max_version)
        tensor = self.clone() if copy else self
        versioned = max_version is not None and max_version[0] >= 1
        if self.device.type != "cpu":
            return self.device.memory.export(tensor._buffer, here, stream, versioned)
        if stream not in (None, -1):
            raise AssertionError("stream should be None on cpu.")
        return writeable(tensor._host()).__dlpack__(max_version=max_version)

    def __dlpack_device__(self) -> tuple[int, int]:
        """The kind and the number of the device, by DLPack's count."""
        if self.device.type == "cpu":
            return DLDeviceType.kDLCPU, 0
        return DLDeviceType.kDLCUDA, self.device.index or 0

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """What CuPy, PyTorch and others read to share the memory of a tensor on a GPU."""
        if self.device.type != "cuda":
            raise AttributeError(
                f"a tensor on '{self.device}' has no __cuda_array_interface__; call .cuda() first"
            )
        if self.requires_grad:
            raise RuntimeError(
                "can't share the memory of a tensor that requires grad; use tensor.detach()"
            )
        shown: dict[str, Any] = self._buffer.__cuda_array_interface__
        return shown

    def item(self) -> Any:
        """The one element as a Python number."""
        if self._buffer.size != 1:
            raise RuntimeError(
                f"a Tensor with {self._buffer.size} elements cannot be converted to Scalar"
            )
        return self._host().item()

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers."""
        return self._host().tolist()

    def __bool__(self) -> bool:
        if self._buffer.size != 1:
            count = "no values" if self._buffer.size == 0 else "more than one value"
            raise RuntimeError(f"Boolean value of Tensor with {count} is ambiguous")
        return bool(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __index__(self) -> int:
        if self.dtype.is_floating_point or self._buffer.size != 1:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self.item())

    def __len__(self) -> int:
        if self._buffer.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return int(self._buffer.shape[0])

    def __iter__(self) -> Iterator[Tensor]:
        if self._buffer.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        return iter([self[i] for i in range(self._buffer.shape[0])])

    def __contains__(self, value: Any) -> bool:
        if not isinstance(value, (Tensor, bool, int, float)):
            raise RuntimeError(f"a Tensor can contain numbers, not {type(value).__name__}")
        return bool((self == value).any())

    __hash__ = object.__hash__  # by identity; `==` compares elements

    def __repr__(self) -> str:
        # A view may follow its origin, so ask for what depends on history first.
        requires_grad, node = self.requires_grad, self.grad_fn
        return tensor_repr(
            self._host(),
            dtype=self.dtype.name,
            default_dtype=dtypes.get_default_dtype().name,
            requires_grad=requires_grad,
            grad_fn=node.name() if node is not None else None,
        )

    def __format__(self, spec: str) -> str:
        if self._buffer.ndim == 0:
            return format(self.item(), spec)
        return object.__format__(self, spec)

    def __copy__(self) -> Tensor:
        """Another leaf over the same memory."""
        out = wrap(self._buffer, self.dtype, self.device, type(self))
        out._counter, out._requires_grad = self._counter, self.requires_grad
        if hasattr(self, "__dict__"):
            out.__dict__.update(self.__dict__)
        return out

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if not self.is_leaf:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support deepcopy."
            )
        out = type(self).__new__(type(self))
        buffer = self.device.empty(self._buffer.shape, self.dtype.numpy)
        launch(self.device, "shape.copy", self._buffer, buffer)
        _initialise(out, buffer, self.dtype, self.device)
        memo[id(self)] = out
        out._requires_grad = self._requires_grad
        if self._grad is not None:
            out._grad = copy.deepcopy(self._grad, memo)
        if hasattr(self, "__dict__"):
            out.__dict__.update(self.__dict__)
        return out

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        values = type(self), self._host().copy(), self.requires_grad, self.device
        return _restore, values, getattr(self, "__dict__", None)

    if TYPE_CHECKING:  # bound by the ops
        H: Any
        T: Any
        mH: Any
        mT: Any

        def __getattr__(self, name: str) -> Any: ...
        def __getitem__(self, index: Any) -> Tensor: ...
        def __setitem__(self, index: Any, value: Any) -> None: ...
        def __add__(self, other: Any) -> Tensor: ...
        def __radd__(self, other: Any) -> Tensor: ...
        def __sub__(self, other: Any) -> Tensor: ...
        def __rsub__(self, other: Any) -> Tensor: ...
        def __mul__(self, other: Any) -> Tensor: ...
        def __rmul__(self, other: Any) -> Tensor: ...
        def __truediv__(self, other: Any) -> Tensor: ...
        def __rtruediv__(self, other: Any) -> Tensor: ...
        def __floordiv__(self, other: Any) -> Tensor: ...
        def __mod__(self, other: Any) -> Tensor: ...
        def __pow__(self, other: Any) -> Tensor: ...
        def __rpow__(self, other: Any) -> Tensor: ...
        def __matmul__(self, other: Any) -> Tensor: ...
        def __neg__(self) -> Tensor: ...
        def __abs__(self) -> Tensor: ...
        def __invert__(self) -> Tensor: ...
        def __and__(self, other: Any) -> Tensor: ...
        def __or__(self, other: Any) -> Tensor: ...
        def __xor__(self, other: Any) -> Tensor: ...
        def __eq__(self, other: Any) -> Tensor: ...  # type: ignore[override]
        def __ne__(self, other: Any) -> Tensor: ...  # type: ignore[override]
        def __lt__(self, other: Any) -> Tensor: ...
        def __le__(self, other: Any) -> Tensor: ...
        def __gt__(self, other: Any) -> Tensor: ...
        def __ge__(self, other: Any) -> Tensor: ...


def _initialise(tensor: Tensor, buffer: Any, dtype: DType, device: Device) -> None:
    tensor._buffer = buffer
    tensor.dtype = dtype
    tensor.device = device
    tensor._counter = [0]
    tensor._current = 0
    tensor._form = None
    tensor._grad = None
    tensor._hooks = None
    tensor._index = 0
    tensor._node = None
    tensor._origin = None
    tensor._requires_grad = False


def wrap(buffer: Any, dtype: DType, device: Device, kind: type[Tensor] = Tensor) -> Tensor:
    """A leaf tensor over a buffer."""
    tensor = kind.__new__(kind)
    # As `_initialise`, without its call: nothing is done more often.
    tensor._buffer = buffer
    tensor.dtype = dtype
    tensor.device = device
    tensor._counter = [0]
    tensor._current = 0
    tensor._form = None
    tensor._grad = None
    tensor._hooks = None
    tensor._index = 0
    tensor._node = None
    tensor._origin = None
    tensor._requires_grad = False
    return tensor


def form(tensor: Tensor) -> Form:
    """What a tensor is but for its values."""
    found = tensor._form
    if found is None:
        buffer = tensor._buffer
        strides = None if buffer.flags.c_contiguous else buffer.strides
        found = Form.of(buffer.shape, tensor.dtype, tensor.device, strides)
        tensor._form = found
    return found


def writeable(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The array as one that can be written if its memory can: NumPy, careful about expanded arrays,
    says that these can't."""
    if not array.flags.writeable:
        array = array.view()
        with contextlib.suppress(ValueError):  # the memory can't be written either
            array.flags.writeable = True
    return array


def legacy_buffer(args: tuple[Any, ...], dtype: DType) -> Any:
    """What the constructors of old make: `(2, 3)` sizes, `([2, 3])` values."""
    if len(args) == 1 and not isinstance(args[0], (int, Size)):
        values = args[0]._buffer if isinstance(args[0], Tensor) else args[0]
        return np.array(values, dtype.numpy)
    if len(args) == 1 and isinstance(args[0], Size):
        args = args[0]
    return cpu.empty(args or (0,), dtype.numpy)


def _restore(
    kind: type[Tensor], array: np.ndarray[Any, Any], requires_grad: bool, device: Device = cpu
) -> Tensor:
    tensor = wrap(array, dtype_of(array), cpu, kind)
    if device is not cpu:
        tensor._show(wrap(device.empty(array.shape, array.dtype), tensor.dtype, device))
        launch(device, "shape.copy", array, tensor._buffer)
    tensor._requires_grad = requires_grad
    return tensor


def is_nonzero(input: Tensor) -> bool:
    """Whether the one element is not zero."""
    return bool(input)


def is_tensor(obj: Any) -> bool:
    """Whether this is a Tensor."""
    return isinstance(obj, Tensor)


def is_floating_point(input: Tensor) -> bool:
    """Whether the elements are float32 or float64."""
    return input.is_floating_point()


def is_complex(input: Tensor) -> bool:
    """No: the elements of all tensors are real."""
    return input.is_complex()


def is_signed(input: Tensor) -> bool:
    """Whether the elements can be negative."""
    return input.is_signed()


def numel(input: Tensor) -> int:
    """How many elements a tensor has."""
    return input.numel()


def detach(input: Tensor) -> Tensor:
    """The same memory, cut off from the graph."""
    return input.detach()


def method(*names: str) -> Callable[[F], F]:
    """Offer a function whose first argument is a tensor as Tensor methods of these names too."""

    def bind(function: F) -> F:
        for name in names or (function.__name__,):
            setattr(Tensor, name, function)
        return function

    return bind
