"""An upstream that speaks `/v1/videos`, renders real MP4s and fails on demand.

`server.running(...)` starts it. `job`, `faults` and `core` know no protocol; every protocol is one
`*_wire` file on top of them, and what befalls any request whatever its protocol is `upstream`.
Videos are drawn by `video` in a process of its own, which `studio` keeps.

This file imports nothing, because that process goes through it too.
"""
