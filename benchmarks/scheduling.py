"""How close the loop comes to an ideal scheduler: 8 slots, 32 episodes of 50 to 200 steps (4,467 in all), 20 ms a
control step, a policy of 60 + 2 B ms, 8 actions per query. The ideal is a discrete-event model without any overhead.

    python benchmarks/scheduling.py

The wall time of groot-bench is that of the whole call, from starting eight processes to the finished run folder.
"""

from __future__ import annotations

import argparse
import heapq

import numpy as np
from measure import REPEATS, machine, medians, peer, run_peer, timed
from trivial import EchoPolicy, trivial_suite

from groot_bench import evaluate

SLOTS, TASKS, EPISODES, STEPS, CHUNK = 8, 4, 8, 200, 8
STEP, LATENCY, PER_ROW = 0.020, 0.060, 0.002  # seconds


def ideal() -> float:
    """Seconds that a work-conserving scheduler needs: whoever is ready is served as soon as the policy is free."""
    lengths = [
        int(np.random.default_rng([0, task, index]).integers(STEPS // 4, STEPS + 1))
        for task in range(TASKS)
        for index in range(EPISODES)
    ]
    now, end, busy, order = 0.0, 0.0, False, 0
    ready: list[int] = []
    events: list[tuple[float, int, str, list[int]]] = []
    left = lengths[::-1]

    def post(when: float, what: str, who: list[int]) -> None:
        nonlocal order
        order += 1
        heapq.heappush(events, (when, order, what, who))

    for _ in range(SLOTS):
        post(0.0, "ready", [left.pop()])
    while events:
        now, _, what, who = heapq.heappop(events)
        end = max(end, now)
        if what == "ready":
            ready += who
        elif what == "answered":
            busy = False
            for rest in who:
                after = rest - min(CHUNK, rest)
                post(now + min(CHUNK, rest) * STEP, "ready" if after else "finished", [after])
        elif left:
            post(now, "ready", [left.pop()])
        if not busy and ready and (not events or events[0][0] > now):
            busy, batch, ready = True, ready[:SLOTS], ready[SLOTS:]
            post(now + LATENCY + PER_ROW * len(batch), "answered", batch)
    return end


def ours() -> float:
    suite = trivial_suite(tasks=TASKS, steps=STEPS, chunk=CHUNK, images=0, var=True, step_ms=STEP * 1e3)
    policy = EchoPolicy(CHUNK, LATENCY * 1e3, PER_ROW * 1e3, batch_size=SLOTS)
    return timed(lambda out: evaluate(policy, suite=suite, episodes=EPISODES, slots=SLOTS, out=out))


def vla_eval() -> float:
    server = "--args.chunk=8 --args.latency_ms=60 --args.per_ms=2 --args.max_batch_size=8 --args.max_wait_time=0.001"
    words = ["b8", "8", server, "--param", "var=true", "--param", "steps=200", "--param", "step_ms=20"]
    words += ["--param", "n_tasks=4", "--param", "n_img=0", "--benchmark-field", "episodes_per_task=8"]
    return float(run_peer("thr.sh", *words).partition("wall=")[2].split("s")[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    repeats = parser.parse_args().repeats
    cases = {"groot-bench": ours}
    if peer():
        cases["vla-eval 0.8.0"] = vla_eval
    best = ideal()
    print(
        f"## Scheduling: 8 slots, 32 episodes, 4,467 steps\n\n{machine()};"
        f" medians of {repeats} (goal: within 5 % of ideal)\n"
    )
    print("| scheduler | wall [s] | least to most | over the ideal |\n|---|---|---|---|")
    print(f"| ideal (model) | {best:.1f} | | |")
    for name, (median, least, most) in medians(cases, repeats).items():
        print(f"| {name} | {median:.2f} | {least:.2f} to {most:.2f} | {100 * (median / best - 1):+.1f} % |")


if __name__ == "__main__":
    main()
