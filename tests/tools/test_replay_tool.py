"""The goals below the tables of `ballonet replay`."""
from ballonet_lib.command_replay import goals, goals_of_all


def run(extfrag, whole_end):
    return {"extfrag": extfrag, "whole_end": whole_end}


LINUX = [run(1, 10), run(2, 12), run(3, 14)]


def met(pairs):
    return [was for _, was in pairs]


def test_one_setting_is_held_against_the_mean_within_the_spread():
    assert met(goals(run(2, 12), LINUX)) == [True, True]
    assert met(goals(run(2, 11), LINUX)) == [True, True]
    assert met(goals(run(3, 10), LINUX)) == [False, False]


def test_the_sum_has_no_allowance():
    good, bad = {"linux": LINUX, "defrag": run(1, 13)}, {"linux": LINUX, "defrag": run(3, 11)}
    assert met(goals_of_all([good, bad])) == [True, True]
    assert met(goals_of_all([bad])) == [False, False]
    assert met(goals_of_all([good, good, bad])) == [True, True]
    assert "(5 / 4.0)" in next(iter(goals_of_all([bad | {"defrag": run(5, 11)}, {"linux": [run(2, 0)], "defrag": run(0, 0)}])))[0]
