"""Triggers, frames and inertial measurements in the packets of AEDAT 3.1."""

from __future__ import annotations

import numpy as np

from eventio.companions import IMU_DTYPE, TRIGGER_DTYPE, CompanionCollector, Frame, TriggerKind

SPECIAL, POLARITY, FRAME, IMU6, IMU9 = range(5)
KINDS = {
    SPECIAL: "special events",
    POLARITY: "invalid events",
    FRAME: "frames",
    IMU6: "inertial measurements",
    IMU9: "inertial measurements",
}
SIZES = {SPECIAL: 8, POLARITY: 8, IMU6: 36, IMU9: 48}
FRAME_HEAD_BYTES = 36
TRIGGERS = {
    1: TriggerKind.TIME_RESET,
    2: TriggerKind.RISING_EDGE,
    3: TriggerKind.FALLING_EDGE,
    4: TriggerKind.PULSE,
}


def keep(kind: int, data: bytes, event_bytes: int, base_us: int, companions: CompanionCollector) -> None:
    """
    Keep what a packet holds; only what is marked as valid.

    Parameters
    ----------
    kind : int
        Of its events.
    data : bytes
        The events.
    event_bytes : int
        Size of one, at least that of the kind.
    base_us : int
        What is added to times.
    companions : CompanionCollector
        Where it goes.
    """
    rows = np.frombuffer(data, np.uint8).reshape(-1, event_bytes)
    if kind == FRAME:
        for row in rows:
            keep_frame(row.tobytes(), base_us, companions)
        return
    numbers = np.ascontiguousarray(rows[:, : SIZES[kind]]).view("<u4")
    numbers = numbers[numbers[:, 0] & 1 == 1]
    t = base_us + numbers[:, 1].astype(np.int64)
    if kind == SPECIAL:
        found = [TRIGGERS.get(int(word) >> 1 & 0x7F) for word in numbers[:, 0]]
        kept = [(time, 0, each) for time, each in zip(t.tolist(), found, strict=True) if each is not None]
        companions.add_triggers(np.array(kept, TRIGGER_DTYPE))
        return
    floats = numbers[:, 2:].view("<f4")
    measurements = np.empty(len(t), IMU_DTYPE)
    measurements["t"] = t
    measurements["acceleration_g"], measurements["rotation_deg_s"] = floats[:, :3], floats[:, 3:6]
    measurements["temperature_c"] = floats[:, 6]
    measurements["magnetic_ut"] = floats[:, 7:10] if kind == IMU9 else np.nan
    companions.add_imu(measurements)


def keep_frame(data: bytes, base_us: int, companions: CompanionCollector) -> None:
    """
    Keep a frame whose sides its bytes can hold.

    Parameters
    ----------
    data : bytes
        The event.
    base_us : int
        What is added to times.
    companions : CompanionCollector
        Where it goes.
    """
    info, *times, width, height, x, y = (int(number) for number in np.frombuffer(data, "<i4", 9))
    n_channels = info >> 1 & 7
    n = width * height * n_channels
    if not info & 1 or min(width, height, n_channels) < 1 or FRAME_HEAD_BYTES + 2 * n > len(data):
        return
    image = np.frombuffer(data, "<u2", n, FRAME_HEAD_BYTES).copy()
    image = image.reshape((height, width) if n_channels == 1 else (height, width, n_channels))
    start, stop = base_us + times[2], base_us + times[3]
    companions.add_frame(Frame(stop, image, (start, stop), (x, y)))
