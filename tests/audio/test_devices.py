import subprocess
import sys

from runner.audio.devices import FRAME_BYTES, FRAME_MS, SAMPLE_RATE


def test_a_frame_is_50_ms_of_the_wires_audio() -> None:
    assert FRAME_BYTES == SAMPLE_RATE * 2 * FRAME_MS // 1000 == 2_400


def test_the_contract_loads_nothing_heavy() -> None:
    heavy = "numpy", "soxr", "soundfile", "sounddevice"
    code = (
        "import runner.audio.devices, sys\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == "[]"


def test_no_device_loads_its_library_before_it_is_opened() -> None:
    code = (
        "import runner.audio.portaudio.soundcard, runner.audio.files, sys\n"
        "print([n for n in ('soundfile', 'sounddevice') if n in sys.modules])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == "[]"
