/*
 * The bench's end: starts and ends VMs, looks into their RAM, and is the world outside. For tests; no host speaks it.
 */
#ifndef BATON_BENCH_H
#define BATON_BENCH_H

#include "port.h"

extern struct port bench_port;

void bench_take(char *line);
void bench_gone(void);
/* Answers what took its time. After each look at the machine. */
void bench_turn(void);
/* The bench has said that all is over. */
bool bench_is_over(void);

#endif
