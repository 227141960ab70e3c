"""Settings of all tests."""

import functools
import os
import sys

import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings

# Tests may run beside each other, so threads that wait for work had better sleep at once.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Of tests that run beside each other each would start another process to compile for it.
os.environ.setdefault("MINITORCH_CNN_COMPILE_AHEAD", "0")

# The first example compiles kernels, so time says nothing; equal runs draw equal examples.
settings.register_profile(
    "minitorch_cnn",
    deadline=None,
    derandomize=True,
    max_examples=20,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("minitorch_cnn")


# Coverage has Python report each line that runs, in whatever package: Numba's compiler takes half
# as long again, though nothing it runs is counted, and tests by Hypothesis twice as long, though
# their first examples reach nearly all that later ones do. So both go untraced. Coverage lets its
# tracer be set anew, which Python heeds from the next call of a function on.
TRACED_EXAMPLES = 2


def next_call():
    pass


@pytest.fixture(scope="session", autouse=True)
def compiling_is_not_traced():
    """Numba compiles, or loads compiled code, with no tracer."""
    from numba.core.dispatcher import Dispatcher

    original = Dispatcher.compile

    @functools.wraps(original)
    def compile_untraced(self, sig):
        tracer = sys.gettrace()
        if tracer is None:
            return original(self, sig)
        sys.settrace(None)
        try:
            return original(self, sig)
        finally:
            sys.settrace(tracer)
            next_call()

    Dispatcher.compile = compile_untraced
    yield
    Dispatcher.compile = original


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Of a test with examples coverage traces the first ones."""
    tracer, test = sys.gettrace(), pyfuncitem.obj
    if tracer is None or not is_hypothesis_test(test):
        return None
    inner, left = test.hypothesis.inner_test, TRACED_EXAMPLES

    @functools.wraps(inner)  # by its name and source Hypothesis draws
    def example(*args, **kwargs):
        nonlocal left
        if left == 0 or sys.gettrace() is not None:
            return inner(*args, **kwargs)
        left -= 1
        sys.settrace(tracer)
        try:
            return inner(*args, **kwargs)
        finally:
            sys.settrace(None)

    names = pyfuncitem._fixtureinfo.argnames
    test.hypothesis.inner_test = example
    sys.settrace(None)
    try:
        test(**{name: pyfuncitem.funcargs[name] for name in names})
    finally:
        test.hypothesis.inner_test = inner
        sys.settrace(tracer)
        next_call()
    return True
