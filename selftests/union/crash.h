/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The states of a disk: what is written to it is recorded, by the kernel's
 * dm-log-writes, and put on a copy again, write by write, in the order in which it
 * was durable. Helpers return 0, or -1 and errno.
 */
#ifndef UNION_TEST_CRASH_H
#define UNION_TEST_CRASH_H

#include <stdint.h>
#include <stdio.h>

struct recorder {
	const char *mountpoint;
	char name[32];			/* of the device that records */
};

struct replay {
	FILE *log;
	int disk;			/* a file that gets the writes */
	uint64_t left;			/* entries of the log */
	uint32_t sector;		/* their unit */
	unsigned int marks;		/* that were come by */
};

/*
 * A copy of @image is mounted, with a file system of that type. The directory that
 * the process is in gets the files recorded and log.
 */
int start_recording(struct recorder *rec, const char *image,
		    const char *mountpoint, const char *fstype);
int mark(const struct recorder *rec);
int stop_recording(const struct recorder *rec);

int start_replay(struct replay *replay, const struct recorder *rec,
		 const char *image);
/* 1 if there was one more write, which is on the image now, or mark. */
int replay_step(struct replay *replay);
void stop_replay(struct replay *replay);

/* In microseconds, from some moment on. */
unsigned int now(void);

#endif /* UNION_TEST_CRASH_H */
