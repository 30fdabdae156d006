/*
 * Shell lines that the host passes in; see script.c.
 */
#pragma once

/* Runs them if there are any; a line that fails does not end the script. May not return (exit). */
void script_run(void);
