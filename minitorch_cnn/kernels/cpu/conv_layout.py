"""What ways to convolve share: copies of images, with margins or of some pixels, and tables."""

from ..jit import inner, kernel
from ..tasks import task_kernel
from .conv_geometry import (
    ACROSS,
    BLOCK,
    COLUMN_STEP,
    COLUMNS,
    DOWN,
    LEFT,
    ROW_ENDS,
    ROW_STEP,
    ROWS,
    SPARE,
    TOP,
)
from .simd import lanes, load, store


@task_kernel
def subsample(thread, threads, x, y, down, across):
    """y[p,i,j] = x[p, i*down, j*across]"""
    rows, high, wide = y.shape[0] * y.shape[1], y.shape[1], y.shape[2]
    for row in range(rows * thread // threads, rows * (thread + 1) // threads):
        p, i = divmod(row, high)
        source, target = x[p, i * down], y[p, i]
        for j in range(wide):
            target[j] = source[j * across]


@task_kernel
def subsample_adjoint(thread, threads, y, x, down, across):
    """x[p, i*down, j*across] = y[p,i,j], and 0 in between and beyond"""
    rows, height = x.shape[0] * x.shape[1], x.shape[1]
    high, wide = y.shape[1:]
    for row in range(rows * thread // threads, rows * (thread + 1) // threads):
        p, r = divmod(row, height)
        target = x[p, r]
        for s in range(target.size):
            target[s] = 0
        i, between = divmod(r, down)
        if between == 0 and i < high:
            source = y[p, i]
            for j in range(wide):
                target[j * across] = source[j]


@kernel()
def add_up(sums, y):
    """y[i] = sum_k sums[k,i]"""
    for i in range(y.size):
        total = 0.0
        for k in range(sums.shape[0]):
            total += sums[k, i]
        y[i] = total


@inner
def plain_sum(x, count):
    """x[0] + .. + x[count - 1], stretch by stretch in float64"""
    total = 0.0
    for start in range(0, count, 512):
        stretch = x[start : min(count, start + 512)]
        part = x.dtype.type(0)
        for i in range(stretch.size):
            part += stretch[i]
        total += part
    return total


@inner
def positions_of(tables, f, rows):
    """How many positions of phase f are in a block of so many rows."""
    return tables[tables[ROW_ENDS] + f * (tables[BLOCK] + 1) + rows]


@inner
def repeat(table, count, out):
    """out[i] = table[i] for i < count, and the last again as often as a tile may ask"""
    for i in range(count + SPARE):
        out[i] = table[min(i, count - 1)]


@inner
def lay_out(x, at, height, width, image, channels, tables, first, margin):
    """image[c,a,b,r,q] = x[c, (first+r)*sh+a-top, q*sw+b-left], 0 outside x

    Without `margin` the image before was laid out by the same rows: what is outside is 0 already.
    """
    sh, sw, top, left = tables[ROW_STEP], tables[COLUMN_STEP], tables[TOP], tables[LEFT]
    down, across, rows, columns = tables[DOWN], tables[ACROSS], tables[ROWS], tables[COLUMNS]
    vector = lanes(x)
    if margin:
        # With what the last row's vectors have beyond it: a zero times NaN would be NaN.
        whole = image[: channels * down * across * rows * columns + vector]
        for i in range(whole.size):
            whole[i] = 0
    for a in range(down):
        r0 = min(rows, max(0, (top - a + sh - 1) // sh - first))
        r1 = min(rows, (height - 1 - a + top) // sh + 1 - first)
        for b in range(across):
            # Rows r0 <= r < r1 and columns q0 <= q < q1 are inside x.
            q0 = min(columns, max(0, (left - b + sw - 1) // sw))
            count = min(columns, (width - 1 - b + left) // sw + 1) - q0
            for c in range(channels):
                for r in range(r0, r1):
                    i = (first + r) * sh + a - top
                    pixel = at + (c * height + i) * width + q0 * sw + b - left
                    place = (((c * down + a) * across + b) * rows + r) * columns + q0
                    if sw == 1 and count >= vector:
                        for q in range(0, count, vector):
                            k = min(q, count - vector)
                            store(load(x, pixel + k), image, place + k)
                    else:
                        source, row = x[pixel:], image[place:]
                        for q in range(count):
                            row[q] = source[q * sw]
