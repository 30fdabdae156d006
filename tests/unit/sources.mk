# Most are only hosted until each is seen to pass in the guest.
guest_tests := $(addprefix tests/unit/,x86_64_paging_test.c x86_64_stack_test.c)
tests_hosted += $(filter-out $(guest_tests),$(wildcard tests/unit/*_test.c))
# drivers/virtio
tests_both += $(addprefix tests/unit/,ring_device.c virtqueue_fixture.c)
tests_both += $(addprefix tests/unit/drivers_,virtqueue_test.c virtqueue_hostile_test.c virtio_parse_test.c)
tests_hosted += tests/unit/scripted_balloon.c
# mm
tests_hosted += tests/unit/mm_fixture.c
