"""An environment that counts, and that can be told to fail in every way that a simulator does; for tests."""
