/* The control port, on which an operator or a supervisor starts and ends VMs. The host does not use it. */
#ifndef BATON_CONTROL_H
#define BATON_CONTROL_H

#include "enforcer/json-lines.h"

extern struct port control_port;

/* Carries out one request line and answers it. */
void control_take(void *context, char *line);
/* Answers requests that have completed. Called in each turn of the main loop. */
void control_turn(void);
/* Whether it was told to end. */
bool control_is_over(void);

#endif
