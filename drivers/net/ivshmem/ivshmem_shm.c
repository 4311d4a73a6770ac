/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright(c) 2026 The net_ivshmem authors
 */

/*
 * Map the region of a PCI device by a path, and prove that it is that region.
 *
 * To be mapped before the BAR is: on x86 the first mapping of a page decides the memory type of all
 * that follow, and with CONFIG_IO_STRICT_DEVMEM a BAR that a driver has claimed can not be mapped
 * through sysfs. The same option takes earlier mappings away at that moment; so a mapping is only
 * touched after the kernel itself could read from it.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "ivshmem_atomic.h"
#include "ivshmem_file.h"
#include "ivshmem_layout.h"
#include "ivshmem_shm.h"

/* A decimal number or 0x..., with K, M or G behind it. */
static bool
ivshmem_shm_number(const char *text, uint64_t *number)
{
	const bool is_hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	const char *units = "KMG";
	const char *unit;
	unsigned int shift = 0;
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	*number = strtoull(text, &end, is_hex ? 16 : 10);
	if (errno != 0)
		return false;
	unit = end[0] == '\0' ? NULL : strchr(units, end[0]);
	if (unit != NULL) {
		shift = 10 * (unit - units + 1);
		end++;
	}
	if (end[0] != '\0' || *number > (uint64_t)INT64_MAX >> shift)
		return false;
	*number <<= shift;
	return true;
}

/* Split PATH[@offset]; the last @ counts. */
static int
ivshmem_shm_parse(const char *spec, char path[PATH_MAX], uint64_t *offset,
		  struct ivshmem_fault *fault)
{
	const char *at = strrchr(spec, '@');
	const size_t len = at == NULL ? strlen(spec) : (size_t)(at - spec);
	const uint64_t page = sysconf(_SC_PAGESIZE);

	*offset = 0;
	if (len == 0 || len >= PATH_MAX)
		return IVSHMEM_FAULT(fault, -EINVAL, "a path of %zu bytes; 1..%d are possible",
				     len, PATH_MAX - 1);
	memcpy(path, spec, len);
	path[len] = '\0';
	if (at == NULL)
		return 0;
	if (!ivshmem_shm_number(at + 1, offset))
		return IVSHMEM_FAULT(fault, -EINVAL, "offset \"%.32s\" behind the last @ is no "
				     "number such as 4096, 0x1000, 2M; a path that has an @ needs "
				     "@0 behind it", at + 1);
	if (*offset % page != 0)
		return IVSHMEM_FAULT(fault, -EINVAL, "offset %" PRIu64 " (0x%" PRIx64 ") is no "
				     "multiple of the page size, %" PRIu64, *offset, *offset, page);
	return 0;
}

/* Bytes of a character device as sysfs has them, such as a device DAX; UINT64_MAX = unknown. */
static uint64_t
ivshmem_shm_device_len(dev_t device)
{
	uint64_t len = UINT64_MAX;
	char text[64];
	FILE *file;

	snprintf(text, sizeof(text), "/sys/dev/char/%u:%u/size", major(device), minor(device));
	file = fopen(text, "re");
	if (file == NULL)
		return len;
	if (fgets(text, sizeof(text), file) != NULL)
		len = strtoull(text, NULL, 10);
	fclose(file);
	return len;
}

/* Whether len bytes from offset on can be the region's. */
static int
ivshmem_shm_check_file(int fd, uint64_t offset, uint64_t len, struct ivshmem_fault *fault)
{
	struct stat info;
	uint64_t have;

	if (fstat(fd, &info) != 0)
		return IVSHMEM_FAULT(fault, -errno, "%s", strerror(errno));
	if (S_ISBLK(info.st_mode))
		return IVSHMEM_FAULT(fault, -EINVAL, "is a block device: mapped is this machine's "
				     "page cache, not the memory; give its /dev/dax");
	if (!S_ISREG(info.st_mode) && !S_ISCHR(info.st_mode))
		return IVSHMEM_FAULT(fault, -EINVAL, "is no file and no character device");
	have = S_ISCHR(info.st_mode) ? ivshmem_shm_device_len(info.st_rdev) :
		(uint64_t)info.st_size;
	if (offset > have || have - offset < len)
		return IVSHMEM_FAULT(fault, -EINVAL, "has %" PRIu64 " bytes, but the region in "
				     "BAR2 needs %" PRIu64 " from offset %" PRIu64 " on", have, len,
				     offset);
	return ivshmem_file_check_owner(fd, fault);
}

int
ivshmem_shm_map(struct ivshmem_shm *shm, const char *spec, uint64_t len,
		struct ivshmem_fault *fault)
{
	char path[PATH_MAX];
	int error;
	int ret;
	int fd;

	memset(shm, 0, sizeof(*shm));
	ret = ivshmem_shm_parse(spec, path, &shm->offset, fault);
	if (ret != 0)
		return ret;
	fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return IVSHMEM_FAULT(fault, -errno, "open: %s", strerror(errno));
	ret = ivshmem_shm_check_file(fd, shm->offset, len, fault);
	if (ret == 0) {
		void *base = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, shm->offset);

		error = errno;
		if (base != MAP_FAILED) {
			shm->base = base;
			shm->len = len;
		} else {
			ret = IVSHMEM_FAULT(fault, -error, "map %" PRIu64 " bytes at offset %"
					    PRIu64 ": %s", len, shm->offset, strerror(error));
		}
	}
	close(fd);
	return ret;
}

/* Whether the first bytes can be read; reading them here would be SIGBUS where not. */
static bool
ivshmem_shm_is_readable(const void *base)
{
	bool readable;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
		return false;
	readable = write(ends[1], base, sizeof(uint64_t)) == sizeof(uint64_t);
	close(ends[0]);
	close(ends[1]);
	return readable;
}

int
ivshmem_shm_check(const struct ivshmem_shm *shm, const void *bar, struct ivshmem_fault *fault)
{
	const struct ivshmem_superblock_shm *mapped = shm->base;
	const struct ivshmem_superblock_shm *wanted = bar;
	uint8_t uuids[2][sizeof(wanted->uuid)];
	char text[2][2 * sizeof(wanted->uuid) + 1];

	if (!ivshmem_shm_is_readable(shm->base))
		return IVSHMEM_FAULT(fault, -EFAULT, "the kernel took the mapping away when the "
				     "BAR was claimed: boot it with iomem=relaxed, or give a "
				     "/dev/dax of the same memory");
	if (!ivshmem_layout_is_ours(shm->base, shm->len))
		return IVSHMEM_FAULT(fault, -ENODEV, "no region begins at offset %" PRIu64
				     ": the magic is 0x%016" PRIx64 ", not 0x%016" PRIx64,
				     shm->offset, ivshmem_load64(&mapped->magic),
				     (uint64_t)IVSHMEM_ABI_MAGIC);
	memcpy(uuids[0], mapped->uuid, sizeof(uuids[0]));
	memcpy(uuids[1], wanted->uuid, sizeof(uuids[1]));
	if (memcmp(uuids[0], uuids[1], sizeof(uuids[0])) == 0)
		return 0;
	for (unsigned int i = 0; i < sizeof(uuids[0]); i++) {
		snprintf(&text[0][2 * i], 3, "%02x", uuids[0][i]);
		snprintf(&text[1][2 * i], 3, "%02x", uuids[1][i]);
	}
	return IVSHMEM_FAULT(fault, -EXDEV, "another region begins at offset %" PRIu64 ": its uuid "
			     "is %s, that of BAR2 is %s", shm->offset, text[0], text[1]);
}

void
ivshmem_shm_unmap(struct ivshmem_shm *shm)
{
	if (shm->base != NULL)
		munmap(shm->base, shm->len);
	shm->base = NULL;
}
