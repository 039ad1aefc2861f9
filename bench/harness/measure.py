"""The rounds: every operation on every subject in turn, in an order that changes from turn to turn."""

import json
import random
import statistics
import sys
import time

from harness.system import command, drop_caches


class Worker:
    """bench/fsops with this run's sizes."""

    def __init__(self, binary, options):
        self._binary = binary
        self._seconds = options.seconds
        self._sizes = ["--threads", options.threads, "--files", options.files, "--big-mib", options.big_mib]

    def __call__(self, *arguments, turns=1):
        return command(self._binary, *arguments, *self._sizes, "--seconds", self._seconds / turns)

    def operations(self):
        return json.loads(command(self._binary, "--list"))


# An operation that can be repeated at will is measured in many short turns a round rather than in one long one: the closer in time
# two subjects are measured, the less of the machine's noise is in their ratio.
TURNS = 8

# One that uses up what was prepared for it is prepared anew for each turn, which takes longer than the turn.
PREPARED_TURNS = 3

# Filling fresh pages, from a disk or from a program, is over in a moment, and now and then many times slower for a reason outside
# of this machine: its memory lies on a host that takes pages away and fetches them again. The fastest of some passes is what the
# file system does.
FRESH_PASSES = 5


def run_rounds(work, worker, subjects, operations, rounds):
    """{operation: {subject: [sample, ...]}}, a sample a turn; the samples of one turn are at the same index."""
    samples = {op["name"]: {s.name: [] for s in subjects} for op in operations}
    for number in range(rounds):
        started = time.monotonic()
        for op in operations:
            able = [s for s in subjects if s.does(op)]
            measure = _in_turns if op["repeatable"] else _in_prepared_turns
            for subject, sample in measure(work, worker, able, op, number):
                samples[op["name"]][subject.name].append(sample)
        _progress(f"round {number + 1}/{rounds}: {time.monotonic() - started:.0f} s\n")
    return samples


def _in_turns(work, worker, subjects, op, number):
    """Short turns, one close behind the other; nothing is changed, so there is nothing to settle between them."""
    for subject in subjects:
        subject.prepare(worker, op["name"])
    work.settle()
    for turn in range(TURNS):
        for subject in _order(subjects, number, op, turn):
            _progress(f"round {number + 1}: {op['name']} on {subject.name}")
            yield subject, {**_pass(worker, subject, op, TURNS), "background_cpu_seconds": 0.0}


def _in_prepared_turns(work, worker, subjects, op, number):
    turns, passes = (1, FRESH_PASSES) if op["fresh_pages"] else (PREPARED_TURNS, 1)
    for turn in range(turns):
        for subject in _order(subjects, number, op, turn):
            _progress(f"round {number + 1}: {op['name']} on {subject.name}")
            samples = [_prepared_pass(work, worker, subject, op) for _ in range(passes)]
            yield subject, max(samples, key=lambda sample: sample["rate"])


def _order(subjects, number, op, turn):
    """A random order, the same one in every run: what comes before a subject leaves its traces (memory that is given back
    to the host and has to be fetched again, say), so no subject may always come behind the same other."""
    shuffled = list(subjects)
    random.Random(f"{number} {op['name']} {turn}").shuffle(shuffled)
    return shuffled


def _prepared_pass(work, worker, subject, op):
    subject.prepare(worker, op["name"])
    work.settle()
    sample = _pass(worker, subject, op, 1)
    # Work that the operation has left to the background is not in its rate, so it is shown beside it.
    sample["background_cpu_seconds"] = work.settle()
    return sample


def _pass(worker, subject, op, turns):
    if op["cold"] != "no":
        drop_caches(op["cold"])
    return json.loads(worker("--op", op["name"], "--dir", subject.directory, turns=turns))


def _progress(text):
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text}")
    elif text.endswith("\n"):
        sys.stderr.write(text)
    sys.stderr.flush()


def ratios(samples, operation, subject, other):
    """The rate of `subject` over that of `other`, turn by turn: both were measured within seconds of each other."""
    runs = samples.get(operation, {})
    return [a["rate"] / b["rate"] for a, b in zip(runs.get(subject, []), runs.get(other, []))]


def medians(samples):
    """{operation: {subject: {key: median}}}, without subjects that did not run the operation."""
    result = {}
    for op, by_subject in samples.items():
        result[op] = {}
        for subject, runs in by_subject.items():
            if not runs:
                continue
            keys = ("rate", "p50_us", "p99_us", "background_cpu_seconds")
            result[op][subject] = {key: statistics.median(run[key] for run in runs) for key in keys}
            rates = [run["rate"] for run in runs]
            result[op][subject]["rate_min"], result[op][subject]["rate_max"] = min(rates), max(rates)
    return result
