"""The rounds: every operation on every subject in turn, the order of subjects shifted from round to round."""

import json
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


# An operation that changes nothing is measured in several short turns a round rather than in one long one: the closer in time
# two subjects are measured, the less of the machine's noise is in their ratio.
TURNS = 3


def run_rounds(work, worker, subjects, operations, rounds):
    """{operation: {subject: [sample, ...]}}, a sample a turn; the samples of one turn are at the same index."""
    samples = {op["name"]: {s.name: [] for s in subjects} for op in operations}
    for number in range(rounds):
        started = time.monotonic()
        for position, op in enumerate(operations):
            turns = TURNS if op["read_only"] else 1
            for turn in range(turns):
                shift = (number + position + turn) % len(subjects)
                for subject in subjects[shift:] + subjects[:shift]:
                    if subject.read_only and not op["read_only"]:
                        continue
                    _progress(f"round {number + 1}/{rounds}: {op['name']} on {subject.name}")
                    samples[op["name"]][subject.name].append(_one(work, worker, subject, op, turns))
        _progress(f"round {number + 1}/{rounds}: {time.monotonic() - started:.0f} s\n")
    return samples


def _one(work, worker, subject, op, turns):
    subject.prepare(worker, op["name"])
    work.settle()
    if op["cold"] != "no":
        drop_caches(op["cold"])
    sample = json.loads(worker("--op", op["name"], "--dir", subject.directory, turns=turns))
    # Work that the operation has left to the background is not in its rate, so it is shown beside it.
    sample["background_cpu_seconds"] = work.settle()
    return sample


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
