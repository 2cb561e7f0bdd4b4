/* The port that VMs are started and ended by: the operator's, or a supervisor's. No host speaks it. */
#ifndef BATON_CONTROL_H
#define BATON_CONTROL_H

#include "enforcer/json-lines.h"

extern struct port control_port;

/* Takes in a line: carries it out, answers it. */
void control_take(void *context, char *line);
/* Answers what took its time. After each look at the machine. */
void control_turn(void);
/* It was told to end. */
bool control_is_over(void);

#endif
