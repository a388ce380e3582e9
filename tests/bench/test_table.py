from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from itertools import product
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenas.api.errors import SpecError
from kubenas.bench.figures import figures
from kubenas.bench.run import Run
from kubenas.bench.spaces import ListedSpace
from kubenas.bench.table import Goal, Source, Table, parse_goal
from kubenas.space.base import Architecture
from kubenas.space.conformance import check_space
from kubenas.space.decisions import Decision
from kubenas.space.domains import Choice
from kubenas.space.presets.nasbench201 import NASBench201
from tests.bench.tables import ALL, HEADER, published, rows_of, small, source, write


def test_a_string_of_categories_is_a_choice_for_each_position(tmp_path: Path) -> None:
    table = small(tmp_path)
    assert table.space.size() == 81
    first = next(iter(table.space.enumerate()))
    assert first.to_json() == {"code.0": "a", "code.1": "a", "code.2": "a", "code.3": "a"}
    row = table.row(first)
    assert row is not None
    assert table.reported[row] == 100


def test_a_position_with_one_category_is_no_decision(tmp_path: Path) -> None:
    table = small(tmp_path, [code for code in ALL if code[1] == "b"])
    assert list(table.space.sample(Random(0))) == ["code.0", "code.2", "code.3"]


def test_a_table_without_the_whole_product_is_searched_on_its_rows_alone(tmp_path: Path) -> None:
    codes = [code for index, code in enumerate(ALL) if index % 3 == 0]
    table = small(tmp_path, codes)
    assert table.space.size() == len(codes)
    assert {table.row(a) for a in table.space.enumerate()} == set(range(len(codes)))
    assert all(table.row(table.space.sample(Random(seed))) is not None for seed in range(50))


@given(st.sets(st.tuples(*[st.sampled_from("abc")] * 4), min_size=2), st.integers(0, 2**32))
def test_changes_of_a_list_lead_to_others_of_it(codes: set[tuple[str, ...]], seed: int) -> None:
    listed = [Architecture({str(place): letter for place, letter in enumerate(code)}) for code in sorted(codes)]
    space = ListedSpace([Decision(str(place), Choice(("a", "b", "c"))) for place in range(4)], listed)
    rng = Random(seed)
    architecture = space.sample(rng)
    mutated = space.mutate(architecture, rng)
    assert mutated != architecture
    assert mutated in listed
    neighbours = space.neighbours(architecture)
    assert neighbours
    assert set(neighbours) <= set(listed) - {architecture}


def test_a_listed_space_conforms() -> None:
    values = ("a", "b", "c")
    listed = [
        Architecture({"0": first, "1": second, "2": third})
        for first, second, third in product(values, repeat=3)
        if first != second or third == "c"
    ]
    check_space(ListedSpace([Decision(str(place), Choice(values)) for place in range(3)], listed))


def test_several_columns_are_one_choice_each(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", [("relu", 3, 0.1), ("gelu", 3, 0.2), ("relu", 5, 0.3), ("gelu", 5, 0.4)], "akv")
    table = Table(Source(path, ("a", "k"), "choices", (Goal("v", "maximize"),)))
    assert table.row(Architecture({"a": "gelu", "k": "5"})) == 3


def test_the_row_of_the_very_string_comes_before_one_that_computes_the_same() -> None:
    path = published("nasbench201.csv")
    table = Table(Source(path, ("arch",), "nasbench201", (Goal("cifar10_val_12ep", "maximize"),)))
    with path.open(encoding="utf-8") as file:
        strings = [row["arch"] for row in csv.DictReader(file)]
    for row in range(0, len(strings), 100):
        assert table.row(table.space.parse(strings[row])) == row


def test_a_twin_of_a_measured_cell_is_looked_up_by_its_key(tmp_path: Path) -> None:
    cell = "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"
    twin = "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"
    other = "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|skip_connect~1|none~2|"
    path = write(tmp_path / "t.csv", [(cell, 1)], ("arch", "v"))
    table = Table(Source(path, ("arch",), "nasbench201", (Goal("v", "maximize"),)))
    assert table.row(table.space.parse(twin)) == 0
    assert table.row(table.space.parse(other)) is None


def test_repeated_rows_are_counted_and_the_first_holds(tmp_path: Path) -> None:
    table = small(tmp_path, ["aab", "aba", "aab"])
    assert table.repeats == 1
    assert table.row(Architecture({"code.1": "a", "code.2": "b"})) == 0


def test_the_optimum_is_what_is_reported_of_the_best_by_the_objective(tmp_path: Path) -> None:
    table = small(tmp_path)
    three = {100.0 + index for index, code in enumerate(ALL) if code.count("a") == 3}
    assert table.optimum == three


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"path": Path("absent.csv")}, "absent.csv: cannot be read: No such file"),
        ({"architecture": ("cod",)}, "--architecture: 'cod' is no column of"),
        ({"report": "tests"}, "--report: 'tests' is no column of"),
        ({"cost": "time"}, "--cost: 'time' is no column of"),
        ({"features": ("flops",)}, "--features: 'flops' is no column of"),
        ({"goals": (Goal("accuracy", "maximize"),)}, "--objective: 'accuracy' is no column of"),
        ({"space": "nasbench102"}, "--space: is choices or a preset"),
        ({"space": "nasbench201"}, "row 2: is no architecture of the space: 'aaaa' is no cell"),
    ],
)
def test_what_is_wrong_with_a_source_is_named(tmp_path: Path, change: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError) as error:
        Table(replace(source(tmp_path), **change))  # type: ignore[arg-type]
    assert message in str(error.value)


def test_what_is_left_out_counts_for_nothing(tmp_path: Path) -> None:
    """The optimum is one that a search can come to, also where a repeated row has a better value."""
    path = write(tmp_path / "t.csv", [("ab", 1, 7), ("aa", 2, 8), ("ab", 9, 9)], ("code", "v", "test"))
    table = Table(Source(path, ("code",), "choices", (Goal("v", "maximize"),), "test"))
    assert (len(table), table.repeats, table.optimum, table.worst) == (2, 1, frozenset({8.0}), [1.0])
    run = Run(rows=[table.row(one) for one in table.space.enumerate()], proposing=[0.0, 0.0])
    [row] = figures(table, {"all": [run]}, [2], 1)
    assert row.optimum_share == 1


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_files_of_other_programs_are_read(tmp_path: Path, separator: str) -> None:
    lines = [("code", " v "), ("ab", "1"), ("aa", " 2")]
    text = "".join(separator.join(line) + "\r\n" for line in lines)
    path = tmp_path / "t.csv"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    table = Table(Source(path, ("code",), "choices", (Goal("v", "maximize"),)))
    assert table.values.tolist() == [[1.0], [2.0]]


def test_a_comma_within_cells_is_no_separator(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("code, of cells;v\nab;1\naa;2\n")
    assert len(Table(Source(path, ("code, of cells",), "choices", (Goal("v", "maximize"),)))) == 2


@pytest.mark.parametrize(
    ("codes", "first"),
    [
        (
            ["gat-gcn-gat-cheb", "gcn-gcn-gat-gat", "gat-gcn-gcn-cheb"],
            {"code.0": "gat", "code.2": "gat", "code.3": "cheb"},
        ),
        (["|max_pool|skip|", "|skip|max_pool|"], {"code.0": "max_pool", "code.1": "skip"}),
        (["gat", "gat-gcn", "gcn-gcn-gat"], {"code.length": "1", "code.0": "gat"}),
        (["gat-gcn", "gat", "gcn-gcn"], {"code.length": "2", "code.0": "gat"}),
        (["ab", "abc", "b"], {"code.length": "2", "code.0": "a"}),
    ],
)
def test_strings_with_separators_and_of_several_lengths(
    tmp_path: Path, codes: list[str], first: dict[str, str]
) -> None:
    table = small(tmp_path, codes)
    listed = list(table.space.enumerate())
    assert dict(listed[table_index(table, listed, 0)]) == first
    assert sorted(table.row(one) or 0 for one in listed) == list(range(len(codes)))
    rng = Random(0)
    for one in listed:
        assert table.space.parse(one.to_json()) == one
        assert table.space.sample(rng) in listed
        assert table.space.mutate(one, rng) in {*listed} - {one}
        assert {*table.space.neighbours(one)} <= {*listed} - {one}


def table_index(table: Table, listed: list[Architecture], row: int) -> int:
    """Which of `listed` the table has in that row."""
    return next(index for index, one in enumerate(listed) if table.row(one) == row)


@pytest.mark.parametrize("value", ["0,93", "-1,5e-3", ",5"])
def test_a_decimal_comma_is_named_by_row_and_column(tmp_path: Path, value: str) -> None:
    rows = rows_of(ALL)
    rows[4] = (ALL[4], value, *rows[4][2:])
    of = source(tmp_path)
    write(of.path, rows)
    said = f"row 6: quality is '{value}': write numbers with a decimal point, {value.replace(',', '.')}"
    with pytest.raises(SpecError, match=re.escape(said)):
        Table(of)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "good", ""])
def test_a_value_that_is_no_finite_number_is_named_by_row_and_column(tmp_path: Path, value: str) -> None:
    rows = rows_of(ALL)
    rows[4] = (ALL[4], value, *rows[4][2:])
    of = source(tmp_path)
    write(of.path, rows)
    with pytest.raises(SpecError, match=r"row 6: quality is '.*', not a finite number"):
        Table(of)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "has no rows"),
        ([("aa", 1, 1, 1)], "row 2: has 4 cells, but the header has 5"),
        ([("a-b", 1, 1, 1, 1), ("a--b", 1, 1, 1, 1)], "row 3: code is 'a--b': nothing stands at one of its positions"),
        ([("ab", 1, 1, 1, 1), ("", 1, 1, 1, 1)], "row 3: code is '': nothing stands at one of its positions"),
        ([("aa", 1, 1, 1, 1)], "is the same in every row, so there is nothing to choose"),
        ([("aa", 1, 1, 1, 1), ("ab", 1, 1, 1, 0)], "row 3: seconds is 0: the seconds of a trial must be above 0"),
    ],
)
def test_a_table_that_cannot_be_searched_says_why(tmp_path: Path, rows: list[tuple[object, ...]], message: str) -> None:
    of = replace(source(tmp_path), cost="seconds")
    write(of.path, rows, HEADER)
    with pytest.raises(SpecError) as error:
        Table(of)
    assert message in str(error.value)


@pytest.mark.parametrize("text", ["accuracy", "accuracy:max", ":maximize", "", "accuracy:maximize "])
def test_an_objective_needs_a_column_and_a_direction(text: str) -> None:
    with pytest.raises(SpecError, match="write COLUMN:maximize or COLUMN:minimize"):
        parse_goal(text)
    assert parse_goal("a:b:minimize") == Goal("a:b", "minimize")


def test_columns_are_decisions_by_name_or_else_in_order(tmp_path: Path) -> None:
    decisions = list(NASBench201().decisions)
    cell = ["none", "skip_connect", "nor_conv_1x1", "none", "none", "none"]
    for columns in (decisions, list("abcdef")):
        path = write(tmp_path / "t.csv", [(*cell, 1)], (*columns, "v"))
        table = Table(Source(path, tuple(columns), "nasbench201", (Goal("v", "maximize"),)))
        assert table.row(Architecture(dict(zip(decisions, cell, strict=True)))) == 0
    with pytest.raises(SpecError, match="row 2: is no architecture of the space: 'a' is no decision"):
        Table(Source(path, ("a", "b"), "nasbench201", (Goal("v", "maximize"),)))


def test_a_column_of_json_is_read_as_such(tmp_path: Path) -> None:
    cell = dict.fromkeys(NASBench201().decisions, "skip_connect")
    path = write(tmp_path / "t.csv", [(json.dumps(cell), 1)], ("arch", "v"))
    table = Table(Source(path, ("arch",), "nasbench201", (Goal("v", "maximize"),)))
    assert table.row(Architecture(cell)) == 0


def test_features_are_kept_by_key(tmp_path: Path) -> None:
    table = Table(replace(source(tmp_path), features=("delay", "seconds")))
    for architecture in table.space.enumerate():
        letters = list(architecture.values())
        assert table.scores[table.space.key(architecture)] == (1 + letters.count("a"), 1 + letters.count("b"))
    assert small(tmp_path).scores == {}
