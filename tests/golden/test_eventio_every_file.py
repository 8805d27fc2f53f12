"""Every recording beside the tests: how many events it holds, and who else says so.

`PEERS`: read by other libraries column by column in `tests/conformance/test_eventio_peers.py`; `PACKAGE`: by the
package of its container (rosbags, scipy, h5py, NumPy) in the format's own tests; `ORACLE`: by the slow reader of
`tests/oracle`, because no other library reads it right (`docs/explanation/event-files.md`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import eventio
from tests.oracle.event_formats import decode_aedat2

PEERS, PACKAGE, ORACLE = "peers", "package", "oracle"
ENDINGS = {
    ".aedat", ".aedat4", ".raw", ".es", ".dat", ".bag", ".db3", ".mcap", ".h5", ".hdf5", ".mat", ".npz", ".bs2", ".bin",
}  # fmt: skip
GESTURES = (63_471, 84_260, 113_063, 151_879, 181_179, 124_244, 159_617, 101_288, 141_773, 85_936)
OBJECTS = {
    "Caixa": 201_523, "Caneca": 351_217, "Celular": 307_531, "Estilete": 314_257, "Lapiseira": 126_164,
    "Mouse": 293_096, "Tesoura": 143_655,
}  # fmt: skip
BAGS = "ros_event_camera/"

#: File: events, who agrees, and the format where the content does not tell.
FILES: dict[str, tuple[int, str, str | None]] = {
    "aestream_davis/davis.aedat4": (117_667, PEERS, None),
    "cpphots_samples/trcl0.es": (2_628, PEERS, None),
    "dnd_hls/moving-dot-1-pixel.aedat": (46_924, PEERS, "aedat2-davis346"),
    "dv_processing_tests/io/test_files/sample_data.aedat4": (9_193, PEERS, None),
    "dv_processing_tests/io/test_files/test-minimal.aedat4": (255_283, PEERS, None),
    "dv_processing_tests/tests/data/sample_data.aedat4": (9_408, PEERS, None),
    "event_vision_library/sample.aedat4": (6_676, PEERS, None),
    "event_vision_library/faces_easy_0001.bin": (67_445, PEERS, None),
    "event_vision_library/event.hdf5": (17, PACKAGE, None),
    "expelliarmus_samples/evt2_sample.raw": (539_481, PEERS, None),
    "expelliarmus_samples/evt3_sample.raw": (219_596, PEERS, None),
    "faery_samples/dvs.es": (473_225, PEERS, None),
    "faery_samples/evt2.raw": (521_252, PEERS, None),
    "gorchard_atis/example_data.mat": (242_040, PACKAGE, None),
    "loris_samples/NCARS_obj_004397_td.dat": (4_407, PEERS, None),
    "pydvs_samples/poster_6dof.npz": (30_000, PACKAGE, None),
    "pydvs_samples/poster_translation.npz": (100_000, PACKAGE, None),
    "pyaedattools/IMU_rotDisk.aedat": (374_296, PEERS, None),
    "pyaedattools/IMU_translBoxes.aedat": (162_771, PEERS, None),
    "event_lifetime_mat/building.mat": (115_839, PACKAGE, None),
    "event_lifetime_mat/flip.mat": (175_136, PACKAGE, None),
    "event_lifetime_mat/garfield.mat": (202_235, PACKAGE, None),
    "event_lifetime_mat/stripes.mat": (340_394, PACKAGE, None),
    "dvs128_colleen/DVS128-2017-03-21-short.aedat": (130_114, ORACLE, None),
    "dvs128_colleen/DVS128-2017-03-21T16-00-20.aedat": (370_039, ORACLE, None),
    "jaer_jspikestack/MovingDarkBox.aedat": (489_834, ORACLE, "aedat2-dvs128"),
    "jaer_jspikestack/VowelSounds.aedat": (111_318, ORACLE, "aedat2-cochlea"),
    f"{BAGS}codecs/test_data_evt3_trigger/test_data_evt3_trigger_0.db3": (82_469, PACKAGE, None),
    f"{BAGS}codecs/test_data_libcaer_rollover/libcaer_rollover_0.db3": (334_331, PACKAGE, None),
    f"{BAGS}codecs/test_data_mono_cd/test_data_mono_cd_0.db3": (100, PACKAGE, None),
    f"{BAGS}py/test_events_1/test_events_1.db3": (343_474, PACKAGE, None),
    f"{BAGS}py/test_events_1.bag": (343_474, PACKAGE, None),
    f"{BAGS}py/test_events_2/test_events_2_0.mcap": (571_266, PACKAGE, None),
    **{f"dvs_gesture_slayer10/{k}.bs2": (n, PEERS, None) for k, n in enumerate(GESTURES, start=1)},
    **{f"dvs128_objects/{name}.aedat": (n, ORACLE, None) for name, n in OBJECTS.items()},
}
#: Files that end so and are no recordings, or hold no pixel events; their errors say it.
OTHERS = {
    "dv_processing_tests/data/test_files/test-frame.aedat4": "only 20 frames",
    "dv_processing_tests/io/test_files/empty_stereo.aedat4": "holds no event",
    "faery_samples/color.es": "only 473225 colour events",
    "faery_samples/generic.es": "only 70 generic events",
    "dvs_sign/dvs_sign15_full.npz": "none of its arrays are events",
    "qtdb_ecg/QTDB_test.mat": "none of its arrays are events",
    "qtdb_ecg/QTDB_train.mat": "none of its arrays are events",
}
ELSEWHERE = ("nmnist_subset/", "snn_toolbox_ann/", "jaer_mlpf/", "pyaedattools/synthesized samples/")


def test_no_file_is_left_out(data_dir: Path) -> None:
    names = {
        path.relative_to(data_dir).as_posix()
        for path in data_dir.rglob("*")
        if path.suffix.lower() in ENDINGS and path.is_file()
    }
    assert {name for name in names if not name.startswith(ELSEWHERE)} == FILES.keys() | OTHERS.keys()


@pytest.mark.parametrize("name", FILES)
def test_the_number_of_events(data_dir: Path, name: str) -> None:
    n_events, witness, format_name = FILES[name]
    slow = name.startswith("event_lifetime_mat/") and "building" not in name
    if slow:
        pytest.skip("read in the format's own tests")
    recording = eventio.read(data_dir / name, format=format_name, keep_companions=False)
    assert len(recording) == n_events
    assert not recording.is_damaged
    if witness == ORACLE and recording.metadata.address_space == "pixels":
        data = (data_dir / name).read_bytes()
        start = data.rindex(b"\r\n", 0, data.index(b"\0")) + 2
        expected, _ = decode_aedat2(data[start:][: 8 * 4000], 128, 128, is_davis=False)
        assert recording.events[: len(expected)].tolist() == [tuple(each) for each in expected]


@pytest.mark.parametrize("name", OTHERS)
def test_files_without_pixel_events_say_what_they_are(data_dir: Path, name: str) -> None:
    with pytest.raises(eventio.FormatError, match=OTHERS[name]):
        eventio.read(data_dir / name)


def test_arrays_are_those_that_numpy_loads(data_dir: Path) -> None:
    for name in ("poster_6dof", "poster_translation"):
        path = data_dir / f"pydvs_samples/{name}.npz"
        table, recording = np.load(path)["events"], eventio.read(path)
        np.testing.assert_array_equal(recording.x, table[:, 1])
        np.testing.assert_array_equal(recording.y, table[:, 2])
        np.testing.assert_array_equal(recording.p, table[:, 3] > 0)
