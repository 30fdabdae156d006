"""Pictures: what `run hints` printed goes in, a picture with every tracker comes out."""
import json

import pytest
from ballonet_lib import command_plot, plot_hints

pytest.importorskip("matplotlib")


def lines(rate, **changes):
    for tracker, hits in (("none", 0), ("bitmap", 871), ("freelist", 1000)):
        cost = {"count": 3000, "mean_ns": 1500, "p50_ns": 1000, "p99_ns": 9000, "max_ns": 90000}
        yield "json " + json.dumps({
            "workload": "hints", "tracker": tracker, "rate": rate, "order": 9, "threads": 2, "seed": 1, "blocks": 2750,
            "bytes": 1 << 32, "hit_permille": hits, "blocks_per_s": 24680, "to_report_ns": 234000000, "passes": 20,
            "take": cost, "free": cost, **changes})


def text():
    noise = ["ballonet> run hints", "[    1.2] something", "json {\"workload\": \"noisy\", \"failed\": 0}", "=> 0"]
    return "\n".join([*noise, *lines(2000), *noise, *lines(0), *noise])


def plot(tmp_path, content, ending):
    source, picture = tmp_path / "console", tmp_path / ("picture" + ending)
    source.write_text(content)
    args = type("Args", (), {"input": str(source), "output": str(picture)})
    assert command_plot.main(args) == 0
    return picture.read_bytes()


def test_the_lines_of_hints_are_found_among_others():
    results = plot_hints.read(text())
    assert [result["tracker"] for result in results] == ["none", "bitmap", "freelist"] * 2
    assert {result["rate"] for result in results} == {0, 2000}


def test_an_svg_shows_every_tracker_at_every_rate(tmp_path):
    picture = plot(tmp_path, text(), ".svg").decode()
    for word in ("none", "bitmap", "freelist", "2,000/s", "flat out", "87.1", "234", "24,680"):
        assert f">{word}<" in picture, word
    for title in ("blocks looked at that were free", "from the last free until all was told", "told, while it told",
                  "a take and a free, for the threads"):
        assert title in picture


def test_a_png_is_one(tmp_path):
    assert plot(tmp_path, text(), ".png").startswith(b"\x89PNG\r\n")


@pytest.mark.parametrize("content", ["", "json {\"workload\": \"noisy\"}", "[1, 2"])
def test_what_holds_no_results_is_refused(tmp_path, content):
    with pytest.raises(SystemExit, match="neither the result of"):
        plot(tmp_path, content, ".svg")
