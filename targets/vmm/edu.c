/*
 * QEMU's teaching device `edu`: a few registers, a buffer of 4 KiB that only its DMA reaches, an interrupt.
 *
 * It has no reset, so it is cleared by its own functions: registers are overwritten, and the buffer is filled by DMA
 * from a page of zeros, the only memory that it can reach then. While it is busy it ignores register writes.
 */
#include <stdio.h>
#include <string.h>

#include "edu.h"
#include "vfio.h"

#define LIVENESS 0x04
#define FACTORIAL 0x08
#define STATUS 0x20
#define STATUS_COMPUTING 1
#define RAISED 0x24
#define ACKNOWLEDGE 0x64
#define DMA_FROM 0x80
#define DMA_TO 0x88
#define DMA_BYTES 0x90
#define DMA_COMMAND 0x98
#define DMA_RUN 1

/*
 * The buffer in the device's own addresses. Before QEMU 8.2.1 an access to its last byte ended QEMU. On such a version
 * --edu-bytes must say so; on a newer one a reset that omits the byte would leak it.
 */
#define BUFFER 0x40000
uint32_t edu_buffer_bytes = 4096;
/* Address of the zeros during a reset; no VM has anything there. Two pages, since vfio_has asks about the second. */
#define ZEROS_AT 0x10000
#define ZEROS_BYTES 8192
/* A DMA takes 100 ms; a reset waits for one and starts one. */
#define RESET_MS_MAX 1000

static char zeros[ZEROS_BYTES] __attribute__((aligned(4096)));

enum step { RESTING, EMPTYING, FILLING };

static uint32_t read32(const struct device *device, unsigned at)
{
	return ((volatile uint32_t *)device->registers)[at / 4];
}

static void write32(struct device *device, unsigned at, uint32_t value)
{
	((volatile uint32_t *)device->registers)[at / 4] = value;
}

static bool is_busy(const struct device *device)
{
	return (read32(device, DMA_COMMAND) & DMA_RUN) || (read32(device, STATUS) & STATUS_COMPUTING);
}

static bool idle(struct device *device)
{
	return device->reset_step == RESTING && !is_busy(device) && read32(device, RAISED) == 0;
}

static bool begin_filling(struct device *device, char *error)
{
	write32(device, STATUS, 0);
	write32(device, LIVENESS, UINT32_MAX); /* reads as its complement */
	write32(device, FACTORIAL, 0);
	write32(device, ACKNOWLEDGE, UINT32_MAX);
	if (!vfio_map(device->inside, ZEROS_AT, zeros, ZEROS_BYTES, false, error) || !vfio_master(device, true, error))
		return false;
	write32(device, DMA_FROM, ZEROS_AT);
	write32(device, DMA_TO, BUFFER);
	write32(device, DMA_BYTES, edu_buffer_bytes);
	write32(device, DMA_COMMAND, DMA_RUN);
	return true;
}

static bool end_filling(struct device *device, char *error)
{
	write32(device, ACKNOWLEDGE, UINT32_MAX);
	bool is_off = vfio_master(device, false, error);
	return vfio_unmap(device->inside, ZEROS_AT, ZEROS_BYTES, error) && is_off;
}

static enum baton_progress give_up(struct device *device, char *error)
{
	char ignored[ERROR_BYTES];
	if (device->reset_step == FILLING)
		end_filling(device, ignored);
	device->reset_step = RESTING;
	if (!error[0])
		snprintf(error, ERROR_BYTES, "%s: busy after %d ms of reset", device->name, RESET_MS_MAX);
	return BATON_FAILED;
}

static enum baton_progress reset(struct device *device, char *error)
{
	if (device->reset_step == RESTING) {
		device->reset_step = EMPTYING;
		device->reset_until = now_ms() + RESET_MS_MAX;
	}
	if (is_busy(device))
		return now_ms() > device->reset_until ? give_up(device, error) : BATON_AGAIN;
	if (device->reset_step == EMPTYING) {
		device->reset_step = FILLING;
		return begin_filling(device, error) ? BATON_AGAIN : give_up(device, error);
	}
	if (!end_filling(device, error)) {
		device->reset_step = EMPTYING; /* end_filling was tried */
		return give_up(device, error);
	}
	device->reset_step = RESTING;
	return BATON_DONE;
}

/* Linux has no driver for it; our out-of-tree driver uses it as a touch screen. */
const struct model EDU = { 0x1234, 0x11e8, "baton,touch", idle, reset };
