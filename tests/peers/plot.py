"""Tables and plots of what bench_peers.py has measured."""

START, END = "<!-- peers -->", "<!-- end of peers -->"


def tables(results):
    names = list(results)
    rows = list(dict.fromkeys(row for one in results.values() for row in one["rows"]))
    lines = []
    for title, figure in [("Median, ms", "ms"), ("CPU of the server for each request, ms", "cpu")]:
        lines += [f"| {title} | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
        for row in rows:
            cells = [results[name]["rows"].get(row) for name in names]
            lines.append(f"| {label(row)} | {' | '.join('—' if cell is None else f'{cell[figure]:.2f}' for cell in cells)} |")
        lines.append("")
    missing = [f"- {name}: {label(row)}." for name in names for row in results[name]["not measured"]]
    if missing:
        lines += ["Not measured, because the server refused it or answered otherwise:", "", *missing, ""]
    return "\n".join(lines)


def label(row):
    name, _, clients = row.rpartition(", ")
    if not clients.isdigit():
        return row
    return f"{name}, {clients} client{'' if clients == '1' else 's'}"


def write(results, page):
    """Puts the tables into the page, and the plots beside it."""
    for clients in ("1", "16"):
        draw(results, clients, page.with_name(f"peers-{clients}.svg"))
    text = page.read_text()
    before, rest = text.split(START)
    after = rest.split(END)[1]
    page.write_text(f"{before}{START}\n\n{tables(results)}\n{END}{after}")


def draw(results, clients, file):
    import matplotlib

    matplotlib.use("svg")
    # The same figures give the same bytes.
    matplotlib.rcParams["svg.hashsalt"] = "rollcall"
    from matplotlib import pyplot

    rows = [row for row in dict.fromkeys(row for one in results.values() for row in one["rows"]) if row.endswith(f", {clients}")]
    figure, axes = pyplot.subplots(figsize=(9, 0.55 * len(rows) + 1.5))
    height = 0.8 / len(results)
    for at, (name, result) in enumerate(results.items()):
        found = [(place, result["rows"][row]["ms"]) for place, row in enumerate(rows) if row in result["rows"]]
        axes.barh([place + at * height for place, _ in found], [ms for _, ms in found], height, label=name)
    axes.set_yticks([place + 0.4 - height / 2 for place in range(len(rows))], [row.rpartition(", ")[0] for row in rows])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel(f"median, ms, {clients} client{'' if clients == '1' else 's'}")
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})
