# Only hosted until the guest has ktest.
tests_hosted += $(patsubst %,tests/unit/%,$(notdir $(wildcard tests/unit/*_test.c)))
# drivers/virtio
tests_hosted += $(addprefix tests/unit/,ring_device.c virtqueue_fixture.c)
