"""Training with torch and norse: build, train, fold, round and export spiking networks."""

from neuro.training import packages  # first: it says what to install when torch or norse is missing
from neuro.training.configuration import Augmentation, ConvLayer, NetworkConfig, Recipe
from neuro.training.exporting import export, graph_of
from neuro.training.fitting import train
from neuro.training.frames import Frames
from neuro.training.network import SpikingNetwork
from neuro.training.scores import threshold_for
from neuro.training.stack import AttentionStack
from neuro.training.stack_configuration import PUBLISHED, StackConfig, StackLayer
from neuro.training.stack_fitting import StackRecipe, StackRun, TrainedStack, train_stack
from neuro.training.trained import EpochReport, TorchRun, TrainedNetwork, evaluate_torch

__all__ = [
    "PUBLISHED",
    "AttentionStack",
    "Augmentation",
    "ConvLayer",
    "EpochReport",
    "Frames",
    "NetworkConfig",
    "Recipe",
    "SpikingNetwork",
    "StackConfig",
    "StackLayer",
    "StackRecipe",
    "StackRun",
    "TorchRun",
    "TrainedNetwork",
    "TrainedStack",
    "evaluate_torch",
    "export",
    "graph_of",
    "packages",
    "threshold_for",
    "train",
    "train_stack",
]
