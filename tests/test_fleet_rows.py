"""A table of jobs: made one by one, picked, joined; what was not said stays undefined."""

import numpy as np

from breakeven.fleet.rows import FIGURES, LEVELS, TEXTS, Rows, codes_of, joined, make_rows, pick


def a_job(name: str, *, levels: dict[int, dict[str, float | None]] | None = None, **more: object) -> dict[str, object]:
    return {"id": name, "digest": hash(name) & 0xFFFF, "levels": levels or {1: {"output_tok_per_s": 50.0}}, **more}


def two() -> Rows:
    failed: dict[int, dict[str, float | None]] = {1: {"output_tok_per_s": 40.0}, 5: {"output_tok_per_s": None}}
    jobs = [a_job("a", node="n1", usd_per_h=0.4), a_job("b", node="n2", levels=failed)]
    return make_rows(jobs, users=(5, 1))


def test_every_column_is_of_one_of_three_kinds() -> None:
    assert set(Rows.__struct_fields__) == {"users", "id", "digest", "tried", *TEXTS, *FIGURES, *LEVELS}


def test_what_a_job_does_not_tell_is_undefined_and_a_level_without_a_rate_has_failed() -> None:
    rows = two()
    assert rows.users == (1, 5)
    assert rows.node.at(0) == "n1"
    assert rows.market.at(0) is None
    assert rows.usd_per_h.tolist()[0] == 0.4
    assert np.isnan(rows.usd_per_h[1])
    assert rows.tried.tolist() == [[True, False], [True, True]]
    assert np.isnan(rows.output_tok_per_s).tolist() == [[False, True], [False, True]]


def test_jobs_are_picked_by_place_or_mask() -> None:
    rows = two()
    assert pick(rows, np.array([1])).id.tolist() == [b"b"]
    assert pick(rows, rows.node.is_in("n1", "never seen")).id.tolist() == [b"a"]


def test_joined_tables_keep_their_texts_and_put_levels_under_the_right_users() -> None:
    other = make_rows([a_job("c", node="n2", market="m", levels={10: {"output_tok_per_s": 70.0}})], users=(10,))
    rows = joined([two(), other])
    assert rows.users == (1, 5, 10)
    assert [rows.node.at(i) for i in range(3)] == ["n1", "n2", "n2"]
    assert [rows.market.at(i) for i in range(3)] == [None, None, "m"]
    assert rows.output_tok_per_s[2, 2] == 70
    assert np.isnan(rows.output_tok_per_s[2, 0])
    assert rows.tried.tolist() == [[True, False, False], [True, True, False], [False, False, True]]


def test_codes_hold_each_text_once() -> None:
    codes = codes_of(["x", None, "y", "x"])
    assert codes.codes.tolist() == [0, -1, 1, 0]
    assert codes.names == ("x", "y")
