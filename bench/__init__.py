"""Benchmarks: `python -m bench.NAME`. PyTorch, where installed, is timed beside us, in turns."""
