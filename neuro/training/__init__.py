"""Training with torch and norse: build, train, fold, round and export spiking networks."""

from neuro.training import packages  # noqa: I001  (says what to install before torch is imported below)
from neuro.training.configuration import Augmentation, ConvLayer, NetworkConfig, Recipe
from neuro.training.exporting import export, graph_of
from neuro.training.fitting import threshold_for, train
from neuro.training.network import SpikingNetwork
from neuro.training.trained import EpochReport, TorchRun, TrainedNetwork, evaluate_torch

__all__ = [
    "Augmentation",
    "ConvLayer",
    "EpochReport",
    "NetworkConfig",
    "Recipe",
    "SpikingNetwork",
    "TorchRun",
    "TrainedNetwork",
    "evaluate_torch",
    "export",
    "graph_of",
    "packages",
    "threshold_for",
    "train",
]
