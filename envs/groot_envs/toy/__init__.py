"""An analytic suite: no simulator, known success probabilities; for tests, benchmarks and first steps."""
