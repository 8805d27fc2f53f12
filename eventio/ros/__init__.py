"""Events in messages of ROS, whatever file they lie in."""

from eventio.ros.messages import Message
from eventio.ros.payloads import PayloadDecoder
from eventio.ros.source import RosSource

__all__ = ["Message", "PayloadDecoder", "RosSource"]
