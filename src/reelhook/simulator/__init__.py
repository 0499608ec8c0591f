"""Simulated providers, which render real MP4s and fail on demand.

`server.running(...)` starts them. `job`, `faults` and `core` know no protocol. Each protocol is one
`*_wire` module; `fault_injector` applies faults to the requests of all of them. `encoder` renders
videos in a separate process, which `render_queue` manages.

This file imports nothing, because that process imports it too.
"""
