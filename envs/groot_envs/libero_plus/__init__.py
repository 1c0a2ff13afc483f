"""Suite `libero_plus`: LIBERO-plus's 10,030 variants of 40 LIBERO tasks; how-to: docs/libero_plus.md."""
