"""The goals below the table of policies."""
from ballonet_lib.command_policies import base_us_of, goals


def runs(*figures):
    return [{"base": {"count": count, "mean_ns": mean_ns}} for count, mean_ns in figures]


def test_a_run_without_base_faults_does_not_make_them_fast():
    assert base_us_of(runs((10, 3000), (0, 0))) == 3.0
    assert base_us_of(runs((0, 0))) is None


def test_base_faults_are_compared_where_there_are_no_others():
    good, bad = ({"boost": runs((100, 3000)), "defrag": runs((100, mean_ns))} for mean_ns in (3500, 3700))
    assert list(goals(good, "never")) == [("defrag: base fault at most 1.2x boost's (1.17x)", True)]
    assert list(goals(bad, "never")) == [("defrag: base fault at most 1.2x boost's (1.23x)", False)]
    assert not list(goals({"boost": runs((100, 3000))}, "never"))
