/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * shm=PATH[@offset] on files: what is refused names the value, what is mapped is the region, and
 * nothing stays open or mapped behind a refusal.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "ivshmem_layout.h"
#include "ivshmem_shm.h"

#define TOTAL	(UINT64_C(1) << 20)
#define SHIFT	(UINT64_C(2) << 20)	/* where the region begins in the file "shifted" */
#define CNT(array) (sizeof(array) / sizeof((array)[0]))

static char dir[64];

/* dir/name, with "more" behind it. */
static const char *
in_dir(const char *name, const char *more)
{
	static char text[2 * PATH_MAX];

	snprintf(text, sizeof(text), "%s/%s%s", dir, name, more);
	return text;
}

/* A mapped file with a region at "offset"; the same uuid makes it the same region. */
static uint8_t *
make_file(const char *name, uint64_t offset, uint8_t uuid_byte)
{
	const struct ivshmem_geometry want = { .total_len = TOTAL };
	const uint8_t uuid[16] = { uuid_byte, 0xab };
	struct ivshmem_layout layout;
	struct ivshmem_fault fault;
	uint8_t *base;
	int fd;

	fd = open(in_dir(name, ""), O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd < 0 || ftruncate(fd, offset + TOTAL) != 0)
		exit(1);
	base = mmap(NULL, offset + TOTAL, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (base == MAP_FAILED || ivshmem_layout_plan(&want, &layout, &fault) != 0)
		exit(1);
	ivshmem_layout_format(base + offset, &layout, uuid);
	return base + offset;
}

static unsigned int
count_fds(void)
{
	DIR *list = opendir("/proc/self/fd");
	unsigned int count = 0;

	while (readdir(list) != NULL)
		count++;
	closedir(list);
	return count;
}

/* Mappings of the test's files. */
static unsigned int
count_maps(void)
{
	FILE *file = fopen("/proc/self/maps", "r");
	unsigned int count = 0;
	char line[1024];

	while (fgets(line, sizeof(line), file) != NULL)
		count += strstr(line, dir) != NULL;
	fclose(file);
	return count;
}

static void
test_maps_the_region(const uint8_t *bar)
{
	static const char *const specs[] = { "region", "region@0", "shifted@2M", "shifted@2048K",
					     "shifted@2097152", "shifted@0x200000", "at@home@0" };
	struct ivshmem_fault fault = { "" };
	struct ivshmem_shm shm;

	for (size_t i = 0; i < CNT(specs); i++) {
		int ret = ivshmem_shm_map(&shm, in_dir(specs[i], ""), TOTAL, &fault);

		if (!CHECK_MSG(ret == 0, "%s: %d %s", specs[i], ret, fault.text))
			continue;
		CHECK_EQ(shm.len, TOTAL);
		CHECK_EQ(shm.offset, specs[i][0] == 's' ? SHIFT : 0);
		ret = ivshmem_shm_check(&shm, bar, &fault);
		CHECK_MSG(ret == 0, "%s: %d %s", specs[i], ret, fault.text);
		if (i == 0) {
			((uint8_t *)shm.base)[TOTAL - 1] = 0x5a;
			CHECK_EQ(bar[TOTAL - 1], 0x5a);
		}
		ivshmem_shm_unmap(&shm);
		ivshmem_shm_unmap(&shm);
	}
}

static void
test_refuses_to_map(void)
{
	static const struct {
		const char *spec;
		int error;
		const char *words[3];
	} cases[] = {
		{ "absent", -ENOENT, { "open", "No such file", "" } },
		{ "", -EISDIR, { "open", "directory", "" } },
		{ "fifo", -EINVAL, { "no file", "character device", "" } },
		{ "short", -EINVAL, { "has 1048575 bytes", "1048576", "offset 0" } },
		{ "open", -EPERM, { "permissions 0662", "user 0", "chmod" } },
		{ "theirs", -EPERM, { "belongs to user 65534", "this process is user 0", "" } },
		{ "region@4096", -EINVAL, { "has 1048576 bytes", "1048576", "offset 4096" } },
		{ "region@1G", -EINVAL, { "has 1048576 bytes", "1048576", "offset 1073741824" } },
		{ "region@8589934591G", -EINVAL, { "has 1048576", "offset 9223372035781033984",
						   "" } },
		{ "shifted@2097153", -EINVAL, { "offset 2097153", "0x200001", "page size" } },
		{ "shifted@2K", -EINVAL, { "offset 2048", "page size", "" } },
		{ "shifted@", -EINVAL, { "offset \"\"", "0x1000", "@0" } },
		{ "shifted@-4096", -EINVAL, { "offset \"-4096\"", "", "" } },
		{ "shifted@0x", -EINVAL, { "offset \"0x\"", "", "" } },
		{ "shifted@2MB", -EINVAL, { "offset \"2MB\"", "", "" } },
		{ "shifted@2T", -EINVAL, { "offset \"2T\"", "", "" } },
		{ "shifted@8589934592G", -EINVAL, { "offset \"8589934592G\"", "", "" } },
		{ "shifted@18446744073709551616", -EINVAL, { "offset \"1844", "", "" } },
		{ "at@home", -EINVAL, { "offset \"home\"", "@0", "" } },
	};
	const unsigned int fds = count_fds(), maps = count_maps();
	struct ivshmem_fault fault;
	struct ivshmem_shm shm;

	for (size_t i = 0; i < CNT(cases); i++) {
		int ret = ivshmem_shm_map(&shm, in_dir(cases[i].spec, ""), TOTAL, &fault);

		CHECK_MSG(ret == cases[i].error, "%s: %d, not %d", cases[i].spec, ret,
			  cases[i].error);
		CHECK_MSG(shm.base == NULL, "%s is mapped", cases[i].spec);
		for (size_t word = 0; word < CNT(cases[i].words); word++)
			CHECK_HAS(fault.text, cases[i].words[word]);
	}
	CHECK_EQ(ivshmem_shm_map(&shm, "", TOTAL, &fault), -EINVAL);
	CHECK_EQ(ivshmem_shm_map(&shm, "@0", TOTAL, &fault), -EINVAL);
	CHECK_HAS(fault.text, "0 bytes");
	CHECK_EQ(count_fds(), fds);
	CHECK_EQ(count_maps(), maps);
}

static void
test_refuses_what_is_mapped(const uint8_t *bar)
{
	struct ivshmem_fault fault;
	struct ivshmem_shm shm;

	CHECK_EQ(ivshmem_shm_map(&shm, in_dir("other", ""), TOTAL, &fault), 0);
	CHECK_EQ(ivshmem_shm_check(&shm, bar, &fault), -EXDEV);
	CHECK_HAS(fault.text, "uuid is 02ab0000000000000000000000000000");
	CHECK_HAS(fault.text, "BAR2 is 01ab0000000000000000000000000000");
	ivshmem_shm_unmap(&shm);

	CHECK_EQ(ivshmem_shm_map(&shm, in_dir("shifted", "@4K"), TOTAL, &fault), 0);
	CHECK_EQ(ivshmem_shm_check(&shm, bar, &fault), -ENODEV);
	CHECK_HAS(fault.text, "offset 4096");
	CHECK_HAS(fault.text, "0x0000000000000000");
	CHECK_HAS(fault.text, "0x54454e4d48535649");
	ivshmem_shm_unmap(&shm);

	/* a mapping that is no longer good for anything: what a strict kernel leaves */
	CHECK_EQ(ivshmem_shm_map(&shm, in_dir("gone", ""), TOTAL, &fault), 0);
	CHECK_EQ(truncate(in_dir("gone", ""), 0), 0);
	CHECK_EQ(ivshmem_shm_check(&shm, bar, &fault), -EFAULT);
	CHECK_HAS(fault.text, "iomem=relaxed");
	ivshmem_shm_unmap(&shm);
}

int
main(void)
{
	static const char *const names[] = { "region", "other", "shifted", "gone", "at@home",
					     "short", "fifo", "open", "theirs" };
	uint8_t *bar;
	int fd;

	snprintf(dir, sizeof(dir), "/dev/shm/test-shm.XXXXXX");
	if (mkdtemp(dir) == NULL)
		return 1;
	bar = make_file("region", 0, 1);
	make_file("other", 0, 2);
	make_file("gone", 0, 1);
	make_file("at@home", 0, 1);
	make_file("shifted", SHIFT, 1);
	fd = open(in_dir("short", ""), O_RDWR | O_CREAT, 0600);
	CHECK_EQ(ftruncate(fd, TOTAL - 1), 0);
	close(fd);
	CHECK_EQ(mkfifo(in_dir("fifo", ""), 0600), 0);
	make_file("open", 0, 1);
	CHECK_EQ(chmod(in_dir("open", ""), 0662), 0);
	make_file("theirs", 0, 1);
	CHECK_EQ(chown(in_dir("theirs", ""), 65534, 65534), 0);
	test_maps_the_region(bar);
	test_refuses_to_map();
	test_refuses_what_is_mapped(bar);
	for (size_t i = 0; i < CNT(names); i++)
		unlink(in_dir(names[i], ""));
	rmdir(dir);
	return check_exit();
}
