"""The suites. `<suite>/suite.py` is data for the harness; `<suite>/env.py` runs in the suite's own process."""
