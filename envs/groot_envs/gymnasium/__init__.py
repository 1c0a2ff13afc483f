"""Any registered gymnasium environment as a suite, by a declared key map."""
