"""Suite `libero_pro`: LIBERO's 40 tasks with other objects, places, words, goals or tables; see docs/libero_pro.md."""
