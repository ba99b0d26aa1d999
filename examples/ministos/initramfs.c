/* Owns the reading of a cpio archive in the "newc" format (cpio(5)): headers of ASCII hexadecimal, parts aligned to 4. */
#include "initramfs.h"

#include <stddef.h>

#include "check.h"
#include "string.h"
#include "symbol.h"

struct header {
	char magic[6];
	char inode[8];
	char mode[8];
	char uid[8];
	char gid[8];
	char links[8];
	char mtime[8];
	char file_size[8];
	char dev_major[8];
	char dev_minor[8];
	char rdev_major[8];
	char rdev_minor[8];
	char name_size[8];
	char checksum[8];
};
_Static_assert(sizeof(struct header) == 110, "a newc header is 110 bytes");

#define MAX_LINKS 4 /* followed in a row */
#define MAX_PATH 128

enum step { ENTRY, END, BROKEN };

static uint32_t first;
static uint32_t limit;

void initramfs_init(uint32_t start, uint32_t end)
{
	first = start;
	limit = end;
}

static bool parse_hex(const char field[8], uint32_t *value)
{
	*value = 0;
	for (int i = 0; i < 8; i++) {
		uint32_t c = (unsigned char)field[i];
		uint32_t digit = c - '0' < 10 ? c - '0' : (c | 0x20) - 'a' < 6 ? (c | 0x20) - 'a' + 10 : 16;

		if (digit > 15)
			return false;
		*value = *value << 4 | digit;
	}
	return true;
}

/* The archive's parts are aligned to its start, and that to 4 bytes only if the loader was kind: count from it. */
static uint32_t align(uint32_t offset)
{
	return (offset + 3) & ~3U;
}

static enum step read(uint32_t *cursor, struct initramfs_entry *entry)
{
	uint32_t room = limit - first;
	uint32_t at = *cursor;
	const struct header *h = (const struct header *)(first + at);
	uint32_t name_size;
	uint32_t data;

	if (first == 0)
		return END;
	if (at > room || room - at < sizeof *h)
		return BROKEN;
	if (memcmp(h->magic, "070701", 6) != 0 || !parse_hex(h->mode, &entry->mode) ||
	    !parse_hex(h->file_size, &entry->size) || !parse_hex(h->name_size, &name_size))
		return BROKEN;
	at += sizeof *h;
	if (name_size == 0 || name_size > room - at || ((const char *)(first + at))[name_size - 1] != '\0')
		return BROKEN;
	entry->name = (const char *)(first + at);
	data = align(at + name_size);
	if (data > room || entry->size > room - data)
		return BROKEN;
	entry->data = (const char *)(first + data);
	*cursor = align(data + entry->size);

	if (strcmp(entry->name, "TRAILER!!!") == 0)
		return END;
	if (entry->name[0] == '.' && entry->name[1] == '/')
		entry->name += 2;
	while (*entry->name == '/')
		entry->name++;
	return ENTRY;
}

bool initramfs_next(uint32_t *cursor, struct initramfs_entry *entry)
{
	return read(cursor, entry) == ENTRY;
}

static bool find_exactly(const char *path, size_t length, struct initramfs_entry *entry)
{
	uint32_t cursor = 0;

	while (initramfs_next(&cursor, entry))
		if (text_is(path, length, entry->name))
			return true;
	return false;
}

bool initramfs_find(const char *path, struct initramfs_entry *entry)
{
	char buffer[MAX_PATH];
	size_t length = strlen(path);

	for (int links = 0; links <= MAX_LINKS; links++) {
		size_t parent;

		if (!find_exactly(path, length, entry))
			return false;
		if ((entry->mode & INITRAMFS_TYPE) != INITRAMFS_LINK)
			return true;

		/* A target is relative to the directory that holds the link, or absolute. */
		parent = strlen(entry->name);
		while (parent > 0 && entry->name[parent - 1] != '/')
			parent--;
		if (entry->size > 0 && entry->data[0] == '/') {
			parent = 0;
			entry->data++;
			entry->size--;
		}
		length = parent + entry->size;
		if (length > MAX_PATH)
			return false;
		memcpy(buffer, entry->name, parent);
		memcpy(buffer + parent, entry->data, entry->size);
		path = buffer;
	}
	return false;
}

void initramfs_check(void)
{
	struct initramfs_entry entry;
	uint32_t cursor = 0;
	enum step step;

	do
		step = read(&cursor, &entry);
	while (step == ENTRY);
	check_true("initramfs: none, or an archive that is whole", step == END);
}

EXPORT(initramfs_next);
EXPORT(initramfs_find);
