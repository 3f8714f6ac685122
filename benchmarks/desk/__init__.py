"""What the desk does and costs, through the real PortAudio in a simulated room.

    python -m benchmarks.desk echo|talk|drift|path|cuts|cpu [--seconds N] ...

On Linux with pulseaudio, pulseaudio-utils, libasound2-plugins and libportaudio2.
Speech is spoken by the local voice and kept in the temporary folder.
"""
