/* SPDX-License-Identifier: BSD-2-Clause */
/* mgctl: parses the request, finds Margay, performs the request. */
#include <unistd.h>

#include <margay-build.h>

#include "show.h"

int main(int argc, char **argv)
{
	struct mgctl m = { .out = stdout, .err = stderr,
			   .functions = "/sys/bus/pci/devices" };
	struct request rq;
	int rc;

	rc = parse_args(argc, argv, &rq, stderr);
	if (rc)
		return rc;
	if (rq.command == HELP) {
		print_help(stdout);
		return MGCTL_OK;
	}
	if (rq.command == VERSION) {
		printf("mgctl " MARGAY_VERSION ", " MARGAY_DATE "\n");
		return MGCTL_OK;
	}
	if (rq.command == CHECKPOINT) {
		execlp("margay-checkpoint", "margay-checkpoint", "save", rq.disks ? "-d" : "--",
		       rq.guest, rq.file, NULL);
		perror("mgctl: margay-checkpoint");
		return MGCTL_USAGE;
	}
	m.terminal = isatty(STDOUT_FILENO);
	if (rq.command == TRACE_SHOW) {
		rc = show_trace(rq.file, stdout, stderr);
	} else if (rq.command == EXPORT) {
		rc = export_trace(rq.file, stdout, stderr);
	} else {
		rc = xen_open(&m);
		if (rc)
			return rc;
		rc = rq.command == ADOPT ? do_adopt(&m, rq.follow) : do_request(&m, &rq);
		xen_close(&m);
	}
	if (fflush(stdout) || ferror(stdout)) {
		perror("mgctl: output");
		return MGCTL_USAGE;
	}
	return rc;
}
