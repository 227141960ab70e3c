"""Datasets, samplers and the loader that turns them into batches."""

from .collate import default_collate, default_convert
from .dataloader import DataLoader
from .dataset import Dataset, Subset, TensorDataset, random_split
from .randomness import SampleStreams, batch_generator
from .sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler

__all__ = [
    "BatchSampler",
    "DataLoader",
    "Dataset",
    "RandomSampler",
    "SampleStreams",
    "Sampler",
    "SequentialSampler",
    "Subset",
    "TensorDataset",
    "batch_generator",
    "default_collate",
    "default_convert",
    "random_split",
]
