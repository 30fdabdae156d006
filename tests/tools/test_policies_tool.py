"""The goals below the table of policies."""
import argparse

import pytest
from ballonet_lib import command_policies
from ballonet_lib.command_policies import POLICIES, base_us_of, goals, goals_of_all


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


def table(mode_runs):
    """policy → runs with so many events each, all faults huge."""
    fault = {"count": 1, "mean_ns": 1}
    return {policy: [{"extfrag": events, "huge": fault, "base": fault, "asked": 1} for events in figures]
            for policy, figures in zip(POLICIES.split(","), mode_runs)}


def missed(pairs):
    return [text.split(",")[0].split(" (")[0] for text, met in pairs if not met]


def test_the_order_of_the_policies_holds_in_each_setting_but_for_chance():
    good = table([(1000, 1200), (1100, 1000), (90, 100), (96, 100), (0, 1)])
    assert not missed(goals(good, "madvise")) and not missed(goals(good, "default"))
    bad = table([(1000, 1000), (1010, 1010), (101, 101), (103, 103), (2, 2)])
    assert missed(goals(bad, "default")) == ["nofragment not above vanilla", "boost at least 90 % below vanilla",
                                             "stall not above boost", "defrag at least 99.9 % below vanilla"]


def test_nofragment_is_below_vanilla_in_sum_without_allowance():
    good, bad = table([(1000,), (900,), (), (), ()]), table([(1000,), (1050,), (), (), ()])
    assert not missed(goals_of_all({(1, "default"): good, (2, "default"): bad, (1, "never"): {"boost": []}}))
    assert missed(goals_of_all({(2, "default"): bad})) == ["nofragment below vanilla"]
    assert not list(goals_of_all({(2, "default"): {"vanilla": good["vanilla"]}}))


@pytest.mark.parametrize("words", [["--seeds", "0"], ["--min-free", "-1"], ["--jobs", "all"], ["--nodes", "1,two"]])
def test_numbers_are_looked_at_before_anything_runs(words, capsys):
    parser = argparse.ArgumentParser()
    command_policies.add_parser(parser.add_subparsers())
    with pytest.raises(SystemExit):
        parser.parse_args(["policies", *words])
    assert f"argument {words[0]}: at least 1, not" in capsys.readouterr().err
