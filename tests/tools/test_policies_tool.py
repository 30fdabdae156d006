"""The goals below the table of policies."""
from ballonet_lib.command_policies import base_goal, base_us_of


def runs(*figures):
    return [{"base": {"count": count, "mean_ns": mean_ns}} for count, mean_ns in figures]


def test_a_run_without_base_faults_does_not_make_them_fast():
    assert base_us_of(runs((10, 3000), (0, 0))) == 3.0
    assert base_us_of(runs((0, 0))) is None


def test_base_faults_are_compared_where_both_have_some():
    assert base_goal(3.0, 3.5)[1]
    assert base_goal(3.0, 3.7) == ("defrag: base fault at most 1.2x boost's (1.23x)", False)
    assert base_goal(None, None)[1] and base_goal(3.0, None)[1]
    assert not base_goal(None, 3.0)[1]
