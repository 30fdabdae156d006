"""The list of ways to break the code (tests/mutants.txt) keeps up with the code: trying them takes too long for every run."""
import subprocess

import mutants
import pytest
from ballonet_lib import paths


@pytest.mark.parametrize("mutant", mutants.read_list(""), ids=lambda mutant: mutant[0])
def test_each_changes_the_file_that_it_is_for(mutant):
    _, file, expression, _ = mutant
    with open(paths.absolute(file), encoding="utf-8") as source:
        before = source.read()
    after = subprocess.run(["sed", expression, paths.absolute(file)], stdout=subprocess.PIPE, check=True, text=True).stdout
    assert after != before
