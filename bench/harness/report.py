"""Results as a markdown table."""


def rate_text(rate):
    if rate >= 1e6:
        return f"{rate / 1e6:.2f}M"
    if rate >= 1e4:
        return f"{rate / 1e3:.0f}k"
    if rate >= 1e3:
        return f"{rate / 1e3:.1f}k"
    return f"{rate:.0f}"


def _ratio(by_subject, subject, base):
    if subject not in by_subject or base not in by_subject or subject == base:
        return None
    return by_subject[subject]["rate"] / by_subject[base]["rate"]


def _table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def _rates(result):
    names = [s["name"] for s in result["subjects"]]
    bases = [base for base in ("ext4", "mergerfs") if base in names]
    compared = [(name, base) for name in names for base in bases
                if name not in ("ext4", base)]
    head = ["operation", "unit"] + names + [f"{name} / {base}" for name, base in compared]
    rows = []
    for op in result["operations"]:
        by_subject = result["medians"][op["name"]]
        row = [op["name"], op["unit"]]
        row += [rate_text(by_subject[n]["rate"]) if n in by_subject else "" for n in names]
        for name, base in compared:
            ratio = _ratio(by_subject, name, base)
            row.append("" if ratio is None else f"{ratio:.2f}")
        rows.append(row)
    return _table(head, rows)


def _latencies(result):
    names = [s["name"] for s in result["subjects"]]
    rows = []
    for op in result["operations"]:
        by_subject = result["medians"][op["name"]]
        rows.append([op["name"]] + [
            f"{by_subject[n]['p50_us']:.1f} / {by_subject[n]['p99_us']:.1f}" if n in by_subject else "" for n in names])
    return _table(["p50 / p99, us"] + names, rows)


def _background(result):
    """Only where it matters: a tenth of a second and more."""
    lines = []
    for op in result["operations"]:
        for name, median in result["medians"][op["name"]].items():
            if median["background_cpu_seconds"] >= 0.1:
                lines.append(f"- {op['name']} on {name}: {median['background_cpu_seconds']:.2f} CPU seconds afterwards")
    return lines or ["- none"]


def verdict_lines(result):
    lines = []
    for v in result["targets"]:
        lines.append(f"{'holds        ' if v['holds'] else 'DOES NOT HOLD'}  {v['subject']} {v['operation']}: "
                     f"{v['measured']:.2f} of {v['of']}, at least {v['factor']:.2f} wanted")
    return lines


def markdown(result):
    env = result["environment"]
    lines = ["# Side by side", "",
             f"{env['date']}, commit {env['commit']}, Linux {env['kernel']}, {env['cpus']} x {env['cpu']}; "
             f"{result['threads']} threads, {result['files']} files and {result['big_mib']} MiB a thread, "
             f"medians of {result['rounds']} interleaved rounds; load at the start {env['load']}.", ""]
    lines += [f"- **{s['name']}**: {s['about']}" for s in result["subjects"]]
    lines += [""] + _rates(result) + [""] + _latencies(result)
    lines += ["", "Operations:", ""] + [f"- {op['name']}: {op['what']}" for op in result["operations"]]
    lines += ["", "Work left to the background (daemons' CPU after the operation, not in its rate):", ""] + _background(result)
    if result.get("micro"):
        lines += ["", "Metadata operations called in one process (no FUSE):", ""] + _table(
            ["operation", "us", "per second"],
            [[m["name"], f"{m['us']:.2f}", rate_text(m["items_per_second"])] for m in result["micro"]])
    if result["targets"]:
        lines += ["", "Targets:", ""] + _table(
            ["subject", "operation", "measured", "wanted", "holds"],
            [[v["subject"], v["operation"], f"{v['measured']:.2f} of {v['of']}", f"{v['factor']:.2f}",
              "yes" if v["holds"] else "**no**"] for v in result["targets"]])
    return "\n".join(lines) + "\n"
