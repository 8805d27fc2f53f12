"""Bags of ROS 1 and 2 and MCAP files: the same events as the packages of others see in them, and damage."""

from __future__ import annotations

import sqlite3
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import eventio
from eventio.ros import messages
from eventio.ros.compression import unpack

rosbags_typesys = pytest.importorskip("rosbags.typesys")

TYPES = {
    "dvs_msgs/msg/Event": "uint16 x\nuint16 y\ntime ts\nbool polarity",
    "dvs_msgs/msg/EventArray": "std_msgs/Header header\nuint32 height\nuint32 width\ndvs_msgs/Event[] events",
    "event_camera_msgs/msg/EventPacket": (
        "std_msgs/Header header\nuint32 height\nuint32 width\nuint64 seq\nuint64 time_base\nstring encoding\n"
        "bool is_bigendian\nuint8[] events"
    ),
}


def make_store(version: int) -> Any:
    names = rosbags_typesys.Stores
    store = rosbags_typesys.get_typestore(names.ROS1_NOETIC if version == 1 else names.ROS2_HUMBLE)
    for name, text in TYPES.items():
        known = text if version == 1 else text.replace("time ts", "builtin_interfaces/Time ts")
        store.register(rosbags_typesys.get_types_from_msg(known, name))
    return store


def make_header(store: Any, version: int) -> Any:
    stamp = store.types["builtin_interfaces/msg/Time"](sec=1, nanosec=2)
    first = {"seq": 7} if version == 1 else {}
    return store.types["std_msgs/msg/Header"](**first, stamp=stamp, frame_id="camera" * (version + 1))


def make_array(store: Any, version: int, events: np.ndarray) -> bytes:
    time, event = store.types["builtin_interfaces/msg/Time"], store.types["dvs_msgs/msg/Event"]
    listed = [
        event(
            x=int(x),
            y=int(y),
            ts=time(sec=int(t) // 10**6, nanosec=int(t) % 10**6 * 1000 + 499),
            polarity=bool(p),
        )
        for t, x, y, p in events.tolist()
    ]
    message = store.types["dvs_msgs/msg/EventArray"](
        header=make_header(store, version), height=260, width=346, events=listed
    )
    return serialize(store, version, message, "dvs_msgs/msg/EventArray")


def make_packet(store: Any, version: int, encoding: str, payload: bytes, base: int = 0) -> bytes:
    message = store.types["event_camera_msgs/msg/EventPacket"](
        header=make_header(store, version),
        height=260,
        width=346,
        seq=3,
        time_base=base,
        encoding=encoding,
        is_bigendian=False,
        events=np.frombuffer(payload, np.uint8),
    )
    return serialize(store, version, message, "event_camera_msgs/msg/EventPacket")


def serialize(store: Any, version: int, message: Any, name: str) -> bytes:
    return bytes(store.serialize_ros1(message, name) if version == 1 else store.serialize_cdr(message, name))


def make_events(n_events: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return eventio.make_events(
        t=1_700_000_000_000_000 + np.sort(rng.integers(0, 10**6, n_events)),
        x=rng.integers(0, 346, n_events),
        y=rng.integers(0, 260, n_events),
        p=rng.integers(0, 2, n_events),
    )


KINDS = ["ros1", "ros1-bz2", "ros1-lz4", "db3", "mcap", "mcap-zstd"]


def write_bag(
    folder: Path, kind: str, topics: dict[str, list[bytes]], name: str = "dvs_msgs/msg/EventArray"
) -> Path:
    """Write messages of one type with the rosbags package; return the file of the messages."""
    version = 1 if kind.startswith("ros1") else 2
    store = make_store(version)
    if version == 1:
        rosbag1 = pytest.importorskip("rosbags.rosbag1")
        path = folder / "a.bag"
        writer = rosbag1.Writer(path)
        if "-" in kind:
            writer.set_compression(getattr(rosbag1.Writer.CompressionFormat, kind[5:].upper()))
    else:
        rosbag2 = pytest.importorskip("rosbags.rosbag2")
        plugin = rosbag2.StoragePlugin.MCAP if "mcap" in kind else rosbag2.StoragePlugin.SQLITE3
        path = folder / "bag"
        writer = rosbag2.Writer(path, version=9, storage_plugin=plugin)
        if "zstd" in kind:
            writer.set_compression(rosbag2.CompressionMode.STORAGE, rosbag2.CompressionFormat.ZSTD)
    with writer:
        for topic, contents in topics.items():
            connection = writer.add_connection(topic, name, typestore=store)
            for number, content in enumerate(contents):
                writer.write(connection, number * 1000 + 5, content)
    if version == 1:
        return path
    return next(iter([*path.glob("*.db3"), *path.glob("*.mcap")]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_events", [1, 2, 3, 500])
def test_events_one_by_one(tmp_path: Path, kind: str, n_events: int) -> None:
    version = 1 if kind.startswith("ros1") else 2
    store = make_store(version)
    parts = [make_events(n_events, seed=0), make_events(0), make_events(5, seed=1)]
    contents = [make_array(store, version, part) for part in parts]
    path = write_bag(tmp_path, kind, {"/dvs/events": contents})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", eventio.DamagedRecordingWarning)  # the third part is earlier
        recording = eventio.read(path)
    np.testing.assert_array_equal(recording.events, np.concatenate(parts))
    assert (recording.width, recording.height, recording.metadata.is_size_derived) == (346, 260, False)
    assert not recording.metadata.is_truncated
    assert recording.metadata.conversions == ("times in nanoseconds rounded to whole microseconds",)


@pytest.mark.parametrize("kind", ["ros1", "db3", "mcap"])
def test_topics_are_chosen_by_the_caller(tmp_path: Path, kind: str) -> None:
    version = 1 if kind == "ros1" else 2
    store = make_store(version)
    left, right = make_events(20, seed=2), make_events(30, seed=3)
    topics = {"/left": [make_array(store, version, left)], "/right": [make_array(store, version, right)] * 2}
    path = write_bag(tmp_path, kind, topics)
    with pytest.raises(eventio.FormatError, match="has events on 2 topics, /left, /right; say which"):
        eventio.read(path)
    name = {"ros1": "rosbag1", "db3": "rosbag2"}.get(kind, kind)
    recording = eventio.read(path, format=f"{name}:/left")
    np.testing.assert_array_equal(recording.events, left)
    assert recording.metadata.skipped == (("messages of /right", 2),)
    with pytest.raises(
        eventio.FormatError, match="has no events on topic '/up'; topics with events: /left, /right"
    ):
        eventio.read(path, format=f"{name}:/up")


@pytest.mark.parametrize("version", [1, 2])
def test_payloads_of_cameras(tmp_path: Path, version: int) -> None:
    store = make_store(version)
    kind = "ros1" if version == 1 else "mcap"
    base = 1_700_000_000_000_000_400
    words = [(5_000, 300, 200, 1), (7_499, 301, 201, 0)]
    mono = b"".join(struct.pack("<IHH", t, x, y | p << 15) for t, x, y, p in words)
    libcaer = b"".join(
        struct.pack("<II", x << 17 | y << 2 | p << 1 | valid, t)
        for t, x, y, p, valid in [(2**31 - 2, 5, 6, 1, 1), (3, 7, 8, 0, 1), (4, 1, 1, 1, 0)]
    )
    compressed = np.array([0x0001, 0x1002, 0x2005, 0x3806, 0x4810, 0x5081, 0x5001, 0x9000], "<u2").tobytes()
    expected = {
        "mono": [(1_700_000_000_000_005, 300, 200, 1), (1_700_000_000_000_008, 301, 201, 0)],
        "libcaer": [
            (1_700_000_000_000_000 + 2**31 - 2, 5, 6, 1),
            (1_700_000_000_000_000 + 2**31 + 3, 7, 8, 0),
        ],
        "libcaer_cmp": [(1_700_000_000_000_000 + 4098, 5, y, 1) for y in (6, 16, 23, 24)],
    }
    for encoding, payload in (("mono", mono), ("libcaer", libcaer), ("libcaer_cmp", compressed)):
        folder = tmp_path / encoding
        folder.mkdir()
        content = make_packet(store, version, encoding, payload, base)
        path = write_bag(folder, kind, {"/e": [content]}, "event_camera_msgs/msg/EventPacket")
        recording = eventio.read(path)
        assert [(int(t), int(x), int(y), int(p)) for t, x, y, p in recording.events.tolist()] == expected[
            encoding
        ]
    content = make_packet(store, version, "evt9", b"1234")
    path = write_bag(tmp_path, kind, {"/e": [content]}, "event_camera_msgs/msg/EventPacket")
    with pytest.raises(eventio.FormatError, match="encoding 'evt9' is not read; known are mono, libcaer"):
        eventio.read(path)


def test_words_of_evt3_go_on_from_packet_to_packet(tmp_path: Path) -> None:
    store = make_store(2)
    events = make_events(400)
    events["t"] -= events["t"][0]
    recording = eventio.Recording(events, width=346, height=260)
    eventio.write(tmp_path / "a.raw", recording, format="evt3")
    words = (tmp_path / "a.raw").read_bytes().split(b"% end\n", 1)[1]
    contents = [
        make_packet(store, 2, "evt3", words[start : start + 36]) for start in range(0, len(words), 36)
    ]
    path = write_bag(tmp_path, "mcap", {"/e": contents}, "event_camera_msgs/msg/EventPacket")
    np.testing.assert_array_equal(eventio.read(path).events, events)


@pytest.mark.parametrize("kind", ["ros1", "mcap"])
def test_every_truncation_gives_a_prefix(tmp_path: Path, kind: str) -> None:
    version = 1 if kind == "ros1" else 2
    store = make_store(version)
    events = make_events(6)
    contents = [make_array(store, version, events[start : start + 2]) for start in (0, 2, 4)]
    path = write_bag(tmp_path, kind, {"/dvs": contents})
    data = path.read_bytes()
    lengths = set()
    for n_bytes in range(len(data) - 1, 0, -max(1, len(data) // 400)):
        path.write_bytes(data[:n_bytes])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", eventio.DamagedRecordingWarning)
            try:
                cut = eventio.read(path, format="rosbag1" if version == 1 else "mcap")
            except eventio.FormatError as error:
                is_good = path.name in str(error)
            else:
                is_good = (cut.events == events[: len(cut)]).all()
                lengths.add(len(cut))
        assert is_good
    assert 6 in lengths


@pytest.mark.parametrize("kind", ["ros1-bz2", "ros1-lz4", "db3", "mcap"])
def test_mutated_bags(tmp_path: Path, kind: str) -> None:
    version = 1 if kind.startswith("ros1") else 2
    store = make_store(version)
    path = write_bag(tmp_path, kind, {"/dvs": [make_array(store, version, make_events(20))] * 3})
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    n_read = 0
    for _ in range(150):
        broken = bytearray(data)
        for at in rng.integers(0, len(data), 3):
            broken[at] = int(rng.integers(0, 256))
        path.write_bytes(broken)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", eventio.DamagedRecordingWarning)
            try:
                n_read += len(eventio.read(path)) > 0
            except eventio.EventioError as error:
                assert path.name in str(error)  # noqa: PT017
    assert n_read > 0


def test_random_messages() -> None:
    rng = np.random.default_rng(0)
    store = make_store(2)
    whole = make_array(store, 2, make_events(3))
    n_read = n_refused = 0
    for _ in range(300):
        data = bytearray(whole[: int(rng.integers(0, len(whole) + 1))])
        for at in rng.integers(0, max(len(data), 1), 2):
            if at < len(data):
                data[at] = int(rng.integers(0, 256))
        for is_cdr in (False, True):
            message = messages.Message("/e", "dvs_msgs/EventArray", bytes(data), is_cdr)
            for read in (messages.read_array, messages.read_packet):
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    try:
                        found = read(message)
                    except eventio.FormatError:
                        n_refused += 1
                        continue
                n_read += 1
                assert read is messages.read_packet or len(found[2]) <= 3  # type: ignore[arg-type, index]
    assert n_read > 0
    assert n_refused > 0


def test_absurd_sizes_are_refused() -> None:
    for compression in ("bz2", "lz4", "zstd"):
        with pytest.raises(eventio.FormatError, match="promises 1099511627776 bytes"):
            unpack(b"abc", compression, 1 << 40)
        with pytest.raises(eventio.FormatError, match=r"cannot be unpacked|unpacks to"):
            unpack(b"abc", compression, 1 << 20)
    with pytest.raises(eventio.FormatError, match="compression 'rar' is unknown"):
        unpack(b"abc", "rar", 3)


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "lz4.frame", None)
    with pytest.raises(eventio.MissingPackageError, match=r"compressed with lz4.*pip install lz4"):
        unpack(b"abc", "lz4", 3)


@pytest.mark.parametrize(
    ("statements", "text"),
    [
        (["CREATE TABLE a(b)"], "without the tables of a ROS 2 bag"),
        (
            [
                "CREATE TABLE topics(id, name, type)",
                "CREATE VIEW messages AS SELECT 1 AS topic_id, x'00' AS data",
            ],
            "without the tables of a ROS 2 bag",
        ),
        (
            ["CREATE TABLE topics(id, name, type)", "CREATE TABLE messages(id, topic_id, data)"],
            "holds no messages with events .*, only no messages",
        ),
        (
            [
                "CREATE TABLE topics(id, name, type)",
                "CREATE TABLE messages(id, topic_id, data)",
                "INSERT INTO topics VALUES (1, '/e', 'dvs_msgs/msg/EventArray')",
                "INSERT INTO messages VALUES (1, 1, 'text')",
            ],
            "a message is no sequence of bytes",
        ),
    ],
)
def test_databases_that_are_no_bags(tmp_path: Path, statements: list[str], text: str) -> None:
    path = tmp_path / "a.db3"
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    with pytest.raises(eventio.FormatError, match=text) as caught:
        eventio.read(path)
    assert "a.db3" in str(caught.value)


REAL = [
    ("py/test_events_1.bag", "rosbag1", 343_474, 2_08),
    ("py/test_events_1/test_events_1.db3", "rosbag2", 343_474, 2_08),
    ("codecs/test_data_evt3_trigger/test_data_evt3_trigger_0.db3", "rosbag2", 82_469, 1_25),
    ("codecs/test_data_mono_cd/test_data_mono_cd_0.db3", "rosbag2", 100, None),
    ("codecs/test_data_libcaer_rollover/libcaer_rollover_0.db3", "rosbag2", 334_331, None),
    ("py/test_events_2/test_events_2_0.mcap", "mcap", 571_266, None),
]


@pytest.mark.parametrize("real", REAL, ids=lambda real: real[0])
def test_real_bags(data_dir: Path, real: tuple[str, str, int, int | None]) -> None:
    name, format_name, n_events, hundredths = real
    recording = eventio.read(data_dir / "ros_event_camera" / name)
    assert recording.metadata.format == format_name
    assert len(recording) == n_events
    assert not recording.is_damaged
    if hundredths is not None:
        assert (int(recording.t[-1] - recording.t[0]) + 5_000) // 10_000 == hundredths
    with eventio.open(data_dir / "ros_event_camera" / name) as reader:
        np.testing.assert_array_equal(np.concatenate(list(reader.chunks(n_events=5000))), recording.events)


def test_payloads_are_those_that_rosbags_sees(data_dir: Path, tmp_path: Path) -> None:
    rosbag1 = pytest.importorskip("rosbags.rosbag1")
    store = make_store(1)
    payload = b""
    with rosbag1.Reader(data_dir / "ros_event_camera/py/test_events_1.bag") as bag:
        for connection, _, raw in bag.messages():
            store_type = connection.msgtype
            store.register(rosbags_typesys.get_types_from_msg(connection.msgdef.data, store_type))
            payload += store.deserialize_ros1(raw, store_type).events.tobytes()
    (tmp_path / "a.raw").write_bytes(b"% evt 3.0\n% geometry 640x480\n% end\n" + payload)
    raw_file = eventio.read(tmp_path / "a.raw")
    bag_file = eventio.read(data_dir / "ros_event_camera/py/test_events_1.bag")
    db_file = eventio.read(data_dir / "ros_event_camera/py/test_events_1/test_events_1.db3")
    np.testing.assert_array_equal(bag_file.events, raw_file.events)
    np.testing.assert_array_equal(db_file.events, raw_file.events)
