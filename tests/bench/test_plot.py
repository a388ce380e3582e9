from __future__ import annotations

import base64
import re
from pathlib import Path

from kubenas.bench.plot import plot_regret
from kubenas.bench.run import Run
from tests.bench.tables import small

# The second ends early, the third fails at first.
RUNS = {"one": [Run([3, 5, 0], []), Run([8], [])], "two": [Run([None, 2], [])]}


def test_a_page_holds_the_picture(tmp_path: Path) -> None:
    table = small(tmp_path)
    plot_regret(table, RUNS, tmp_path / "regret.png", "a <table>")
    plot_regret(table, RUNS, tmp_path / "regret.html", "a <table>")
    picture = (tmp_path / "regret.png").read_bytes()
    page = (tmp_path / "regret.html").read_text()
    assert picture.startswith(b"\x89PNG")
    (embedded,) = re.findall(r"base64,([^\"]+)", page)
    assert base64.b64decode(embedded).startswith(b"\x89PNG")
    assert "<title>a &lt;table&gt;</title>" in page
