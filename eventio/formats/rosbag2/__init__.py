"""Bags of ROS 2 in SQLite."""

from eventio.formats.rosbag2.codec import NAME, SUFFIXES, TITLE, Rosbag2Source, matches

__all__ = ["NAME", "TITLE", "SUFFIXES", "matches", "Rosbag2Source"]
