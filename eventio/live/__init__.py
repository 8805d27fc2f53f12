"""Events as they come: from the network, from a camera, from a replayed recording."""

from eventio.live.camera import open_camera
from eventio.live.replay import Replay, replay
from eventio.live.stream import Feed, LiveCounts, LiveStream
from eventio.live.udp import UdpFeed, UdpSender, open_udp
from eventio.live.wire import WIRE_FORMATS, fitting_wires, parse_address

__all__ = [
    "open_udp",
    "open_camera",
    "replay",
    "LiveStream",
    "LiveCounts",
    "Replay",
    "UdpFeed",
    "UdpSender",
    "Feed",
    "WIRE_FORMATS",
    "fitting_wires",
    "parse_address",
]
