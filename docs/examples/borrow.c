/* Borrows a bundle for as long as a command runs: borrow SOCKET BUNDLE COMMAND. Build: cc -o borrow borrow.c */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* "observed" is the default; on a bench without isolation it has to be "none". */
#define REQUEST                                                                                    \
  "{\"id\":1,\"do\":\"borrow\",\"bundle\":\"%s\",\"purpose\":\"pin\",\"leaseMs\":30000,"                    \
  "\"evidence\":\"observed\"}\n"

int main(int argc, char **argv) {
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  char line[65536];
  if (argc != 4) return fputs("borrow SOCKET BUNDLE COMMAND\n", stderr), 64;
  snprintf(to.sun_path, sizeof to.sun_path, "%s", argv[1]);
  int agent = socket(AF_UNIX, SOCK_STREAM, 0);
  if (connect(agent, (struct sockaddr *)&to, sizeof to) != 0) return perror(argv[1]), 69;

  dprintf(agent, REQUEST, argv[2]);
  FILE *lines = fdopen(agent, "r");
  if (fgets(line, sizeof line, lines) == NULL) return fputs("the agent ended\n", stderr), 69;
  if (strstr(line, "\"ok\":true") == NULL) return fputs(line, stderr), 75;
  printf("%s: held\n", argv[2]);
  fflush(stdout);
  int status = system(argv[3]);

  close(agent); /* The connection is the lease: the bundle goes back now. */
  return status == 0 ? 0 : 1;
}
