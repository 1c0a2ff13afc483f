"""The embedded suite: robosuite 1.5.2, all of it from PyPI. `suite.py` is data, `env.py` the simulator's side."""
