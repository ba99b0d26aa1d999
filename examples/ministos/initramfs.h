/* Offers the files of the initramfs. */
#ifndef INITRAMFS_H
#define INITRAMFS_H

#include <stdbool.h>
#include <stdint.h>

/* File types in a mode, as in POSIX <sys/stat.h>. */
#define INITRAMFS_TYPE 0170000
#define INITRAMFS_DIRECTORY 0040000
#define INITRAMFS_FILE 0100000
#define INITRAMFS_LINK 0120000

struct initramfs_entry {
	/* NUL-terminated path, without a leading "/" or "./"; "." for the root itself. */
	const char *name;
	uint32_t mode;
	/* Contents, or the target of a symbolic link; not NUL-terminated. */
	const char *data;
	uint32_t size;
};

/* Notes where the archive is (0 for none), and that it ends before `limit`; both virtual. */
void initramfs_init(uint32_t start, uint32_t limit);
/* Walks the whole archive once. */
void initramfs_check(void);
/* The next entry after `*cursor`, which starts as 0. False at the end. */
bool initramfs_next(uint32_t *cursor, struct initramfs_entry *entry);
/* Looks an entry up by its path, following symbolic links of the last component. */
bool initramfs_find(const char *path, struct initramfs_entry *entry);

#endif
