"""Metadata operations without FUSE: bench/meta_bench on an ext4 image of this run."""

import json
import os

from harness.system import command


def run(work, binary, quick):
    """[{name, threads, us, items_per_second}]"""
    arguments = ["--benchmark_format=json"] + (["--benchmark_min_time=0.02"] if quick else [])
    output = command(binary, *arguments, env={**os.environ, "TMPDIR": str(work.mount_image("micro"))})
    results = []
    for entry in json.loads(output)["benchmarks"]:
        results.append({"name": entry["name"].replace("/real_time", ""), "threads": entry["threads"],
                        "us": entry["real_time"] / {"ns": 1e3, "us": 1, "ms": 1e-3}[entry["time_unit"]],
                        "items_per_second": entry["items_per_second"]})
    return results
