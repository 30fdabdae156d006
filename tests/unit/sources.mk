# Only hosted until the guest has ktest.
tests_hosted += $(patsubst %,tests/unit/%,$(notdir $(wildcard tests/unit/*_test.c)))
