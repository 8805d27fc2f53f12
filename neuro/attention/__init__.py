"""Temporal attention at inference: scores from the input events, and which frames are computed."""

from __future__ import annotations

from neuro.attention.scores import frame_means, frame_scores, report, report_after

__all__ = ["frame_means", "frame_scores", "report", "report_after"]
