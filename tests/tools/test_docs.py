"""The documentation's examples are those that are compiled and tested."""
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def test_the_example_policy_is_the_tested_one():
    page = re.search(r"<!-- example: begin -->\n```c\n(.*?)```\n<!-- example: end -->", read("docs/prototyping.md"), re.S)
    code = re.search(r"/\* example: begin \*/\n(.*?)/\* example: end \*/", read("tests/unit/mm_policy_example_test.c"), re.S)
    assert page and code
    assert page[1] == code[1]


def test_links_between_pages_lead_somewhere():
    pages = ["README.md"] + [os.path.join("docs", name) for name in sorted(os.listdir(os.path.join(ROOT, "docs")))]
    for page in (page for page in pages if page.endswith(".md")):
        for target in re.findall(r"`(docs/[a-z-]+\.md)`", read(page)):
            assert os.path.exists(os.path.join(ROOT, target)), f"{page} names {target}"
