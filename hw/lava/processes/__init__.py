"""Processes for Lava, alone in this folder: Lava executes every module beside the one that defines a process."""
