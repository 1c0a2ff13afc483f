"""`python -m groot_bench` is `groot-bench`."""

from groot_bench.cli import main

raise SystemExit(main())
