/*
 * A build without the gpu controller: every call is there, does nothing, and says yes.
 */
#include "kernel/ktest.h"
#include "lib/string.h"
#include "tests/unit/cgroup_fixture.h"

KTEST(gpucg_off, callers_run_unchanged)
{
	struct gpucg_bucket *bucket = gpucg_register_bucket("anything");
	struct gpucg *gpucg;
	char path[8];

	REQUIRE_OK(t, ensure_cgroups());
	REQUIRE_OK(t, new_group(t, "off"));
	gpucg = gpucg_get(NULL);
	EXPECT(t, !IS_ERR(bucket));
	EXPECT(t, gpucg == NULL && gpucg_parent(gpucg) == NULL);
	EXPECT(t, css_to_gpucg(css_root(CGROUP_GPU)) == NULL);
	gpucg_bucket_set_capacity(bucket, 1);
	EXPECT_OK(t, gpucg_charge(gpucg, bucket, 1));
	EXPECT_OK(t, gpucg_transfer(gpucg, NULL, bucket, 1));
	EXPECT_EQ(t, gpucg_usage(gpucg, bucket), 0u);
	gpucg_uncharge(gpucg, bucket, 1);
	gpucg_put(gpucg);
	EXPECT_STR(t, gpucg_path(gpucg, path, sizeof(path)), "-");
	EXPECT_STR(t, file(ROOT "/off/cgroup.controllers"), "memory\n");
	EXPECT_STR(t, file(ROOT "/off/gpu.memory.current"), "(error)");
}
