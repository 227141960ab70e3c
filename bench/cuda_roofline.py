"""What the CUDA kernels could reach on an A100 and an H100. An estimate: no GPU has run them.

    python -m bench.cuda_roofline [--quick] [--json FILE]    # needs numba-cuda, but no GPU
    python -m bench.cuda_roofline --measure                  # with a GPU: times, PyTorch's beside

The time of a pass is taken to be the larger of two. One is its bytes, each read or written once, by
the memory's bandwidth. The other is its multiply-adds, those of tiles that jut out included, by the
peak, and by their share among the PTX instructions of the inner loop, since each of these takes a
place in the queue. The assembler joins loads, which makes it faster; latencies, caches and launches
make it slower. With a GPU it measures instead; that part has not been run.

Peaks: NVIDIA's data sheets of the A100 (SXM, 80 GB) and the H100 (SXM), float32 without tensor
cores.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from minitorch_cnn.kernels.cuda import conv, driver, matmul
from minitorch_cnn.kernels.cuda.geometry import Tile, grid_for, tile_for
from minitorch_cnn.kernels.cuda.registry import Kernel, f32


class Gpu(NamedTuple):
    """What bounds a kernel's time."""

    name: str
    capability: tuple[int, int]
    flops: float
    """Multiplications and additions of float32 a second."""
    bandwidth: float
    """Bytes a second."""


GPUS = [Gpu("A100", (8, 0), 19.5e12, 2.04e12), Gpu("H100", (9, 0), 66.9e12, 3.35e12)]


class Layer(NamedTuple):
    """A convolution of square images with padding that keeps their size, or a linear layer."""

    name: str
    batch: int
    inputs: int
    outputs: int
    size: int
    kernel: int

    @property
    def products(self) -> list[tuple[str, int, int, int]]:
        """Of forward and both gradients: rows, columns and terms of the product."""
        o, c, taps = self.outputs, self.inputs, self.kernel**2
        n = self.batch * self.size**2
        return [
            ("forward", o, n, c * taps),
            ("input's gradient", c, n, o * taps),
            ("weight's gradient", o, c * taps, n),
        ]

    @property
    def bytes(self) -> int:
        """Of input, weight and output together: each pass reads two and writes the third."""
        images = self.batch * self.size**2 * (self.inputs + self.outputs)
        return 4 * (images + self.inputs * self.outputs * self.kernel**2)


LAYERS = [
    Layer("notebook conv1, 3 to 6, 5x5", 64, 3, 6, 28, 5),
    Layer("notebook conv2, 6 to 16, 5x5", 64, 6, 16, 10, 5),
    Layer("64 to 64, 3x3 on 56x56", 64, 64, 64, 56, 3),
    Layer("128 to 128, 3x3 on 28x28", 64, 128, 128, 28, 3),
    Layer("512 to 512, 3x3 on 7x7", 64, 512, 512, 7, 3),
    Layer("256 to 1024, 1x1 on 14x14", 64, 256, 1024, 14, 1),
    Layer("linear 4096 to 4096", 1024, 4096, 4096, 1, 1),
]


def kernel_of(layer: Layer, number: int, tile: Tile) -> Kernel:
    """The kernel that computes one of a layer's products."""
    if layer.size == 1:
        return matmul.strided(f32, tile)
    make = (conv.forward, conv.backward, conv.weight)[number]
    return make(f32, tile, (layer.kernel, layer.kernel), (1, 1))


def fused_share(ptx: str) -> float:
    """The share of multiply-adds among the instructions of the block that has most of them."""
    blocks = re.split(r"^\s*\$?[\w$]+:|\bbra\b", ptx, flags=re.MULTILINE)
    best = max(blocks, key=lambda block: block.count("fma.rn.f32"))
    instructions = re.findall(r"^\s+(?:@!?%p\d+\s+)?[a-z][\w.]*\s", best, flags=re.MULTILINE)
    return best.count("fma.rn.f32") / max(len(instructions), 1)


def estimate(gpu: Gpu, layers: list[Layer]) -> list[dict[str, Any]]:
    """The times of all passes of layers, as far as these numbers tell."""
    from tests.ptx_device import compile_ptx

    shares: dict[Kernel, float] = {}
    rows = []
    for layer in layers:
        for number, (name, m, n, k) in enumerate(layer.products):
            tile = tile_for(m, n, 4)
            kernel = kernel_of(layer, number, tile)
            if kernel not in shares:
                shares[kernel] = fused_share(compile_ptx(kernel, gpu.capability))
            across, down, _ = grid_for(m, n, tile, 1)
            useful, done = 2 * m * n * k, 2 * across * tile.columns * down * tile.rows * k
            by_memory = layer.bytes / gpu.bandwidth
            by_peak = done / gpu.flops
            least = max(by_memory, by_peak / shares[kernel])
            rows.append(
                {
                    "gpu": gpu.name,
                    "layer": layer.name,
                    "pass": name,
                    "tile": f"{tile.rows}x{tile.columns}",
                    "gflop": useful / 1e9,
                    "mbytes": layer.bytes / 1e6,
                    "fused_share": shares[kernel],
                    "estimate_us": least * 1e6,
                    "bound": "memory" if least == by_memory else "instructions",
                    "of_peak": useful / gpu.flops / least,
                }
            )
    return rows


def measure(layers: list[Layer]) -> list[dict[str, Any]]:
    """Times of the forward pass on the GPU that is here, and PyTorch's if it can use it."""
    import minitorch_cnn as ours

    libraries: list[tuple[str, Any]] = [("ours", ours)]
    try:
        import torch

        if torch.cuda.is_available():
            libraries.append(("pytorch", torch))
    except ImportError:
        pass
    rows = []
    for layer in layers:
        row: dict[str, Any] = {"layer": layer.name, "gpu": ours.cuda.get_device_name()}
        for name, t in libraries:
            x = t.randn(layer.batch, layer.inputs, layer.size, layer.size, device="cuda")
            w = t.randn(layer.outputs, layer.inputs, layer.kernel, layer.kernel, device="cuda")
            for repeats in (3, 20):  # the first compiles
                t.cuda.synchronize()
                start = time.perf_counter()
                for _ in range(repeats):
                    t.nn.functional.conv2d(x, w, padding=layer.kernel // 2)
                t.cuda.synchronize()
                row[f"{name}_us"] = (time.perf_counter() - start) / repeats * 1e6
        rows.append(row)
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as text in columns."""

    def text(value: Any) -> str:
        return f"{value:.3g}" if isinstance(value, float) else str(value)

    cells = [list(rows[0])] + [[text(v) for v in row.values()] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths)) for line in cells)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the estimate, or times."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--measure", action="store_true", help="time them on a GPU")
    parser.add_argument("--quick", action="store_true", help="two layers only")
    parser.add_argument("--json", type=Path, help="write the rows to a file")
    options = parser.parse_args(argv)
    layers = LAYERS[1:3] if options.quick else LAYERS
    if options.measure or (not driver.missing() and not driver.SIMULATED):
        if reason := driver.missing():
            sys.exit(f"there is nothing to measure: {reason}")
        rows = measure(layers)
    elif driver.cuda is None:
        sys.exit(driver.missing())
    else:
        rows = [row for gpu in GPUS for row in estimate(gpu, layers)]
        print("An estimate from compiled code and launch geometry: none of it has run on a GPU.\n")
    print(table(rows))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
