"""The embedded suite: robosuite 1.5.2 tasks, everything from PyPI. `suite.py` is data, `env.py` the simulator's side."""
