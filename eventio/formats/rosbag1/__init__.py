"""Bags of ROS 1."""

from eventio.formats.rosbag1.codec import NAME, SUFFIXES, TITLE, Rosbag1Source, matches

__all__ = ["NAME", "TITLE", "SUFFIXES", "matches", "Rosbag1Source"]
