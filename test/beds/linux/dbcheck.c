/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dbcheck run FILE, in a Linux guest: commits rows to an SQLite database without end, and prints the number of
 * each transaction when it is acknowledged, until a line comes. What is in the database and what this program
 * remembers must agree, also if both were put back to an earlier point.
 *
 * dbcheck verify FILE LOW HIGH: whether a database is whole, and ends with a transaction from LOW to HIGH.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sqlite3.h>

#define ROWS_MOST 5
#define KEPT 200	/* transactions in the database: those before are deleted */
#define SUM_OF(n, i) (((n) * 2654435761u + (i) * 40503u) % 1000003u)

static sqlite3 *db;

static void die(const char *what)
{
	printf("FAIL db: %s: %s\n", what, sqlite3_errmsg(db));
	exit(1);
}

static void do_sql(const char *sql)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL))
		die(sql);
}

/* Returns the number that a query gives. */
static long long number(const char *sql)
{
	sqlite3_stmt *s;
	long long n;

	if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) || sqlite3_step(s) != SQLITE_ROW)
		die(sql);
	n = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	return n;
}

static unsigned rows_of(unsigned n) { return n % ROWS_MOST + 1; }

/* Transaction n: new rows, the oldest go, and the sum of all is in the one row of another table. */
static void commit(unsigned n)
{
	char sql[256];

	do_sql("BEGIN");
	for (unsigned i = 0; i < rows_of(n); i++) {
		snprintf(sql, sizeof(sql), "INSERT INTO rows VALUES (%u, %u, %u, randomblob(%u))",
			 n, i, SUM_OF(n, i), n * 37 % 3000);
		do_sql(sql);
	}
	snprintf(
		sql, sizeof(sql),
		"UPDATE total SET last = %u, sum = sum + (SELECT sum(value) FROM rows WHERE n = %u)"
		" - (SELECT ifnull(sum(value), 0) FROM rows WHERE n = %u)",
		n, n, n - KEPT);
	do_sql(sql);
	snprintf(sql, sizeof(sql), "DELETE FROM rows WHERE n = %u", n - KEPT);
	do_sql(sql);
	do_sql("COMMIT");
}

/* Checks the whole database. Returns its last transaction. */
static unsigned verify(void)
{
	unsigned last = (unsigned)number("SELECT last FROM total");
	long long rows = 0, sum = 0;
	sqlite3_stmt *s;

	if (sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &s, NULL) ||
	    sqlite3_step(s) != SQLITE_ROW || strcmp((const char *)sqlite3_column_text(s, 0), "ok"))
		die("integrity_check");
	sqlite3_finalize(s);
	for (unsigned n = last > KEPT ? last - KEPT + 1 : 1; n <= last; n++)
		for (unsigned i = 0; i < rows_of(n); i++, rows++)
			sum += SUM_OF(n, i);
	if (number("SELECT count(*) FROM rows") != rows ||
	    number("SELECT sum(value) FROM rows") != sum ||
	    number("SELECT sum FROM total") != sum || number("SELECT max(n) FROM rows") != last)
		die("rows are missing, or too many");
	return last;
}

static int line_came(int ms)
{
	struct pollfd p = { .fd = 0, .events = POLLIN };

	return poll(&p, 1, ms) > 0;
}

int main(int argc, char **argv)
{
	unsigned n = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 3 || sqlite3_open(argv[2], &db)) {
		printf("FAIL db: cannot open\n");
		return 1;
	}
	if (argc == 5 && !strcmp(argv[1], "verify")) {
		n = verify();
		printf("db: ends with %u\n", n);
		return n < strtoul(argv[3], NULL, 0) || n > strtoul(argv[4], NULL, 0);
	}
	do_sql("PRAGMA synchronous = FULL; CREATE TABLE rows (n, i, value, data); CREATE TABLE total (last, sum);"
	       "INSERT INTO total VALUES (0, 0)");
	while (!line_came(20)) {
		commit(++n);
		printf("db: %u.\n", n);
		if (number("SELECT last FROM total") != n)
			die("the last transaction is not the one that was acknowledged");
		if (n % 16 == 0 && verify() != n)
			die("the database has another end");
	}
	if (verify() != n)
		die("the database has another end");
	sqlite3_close(db);
	return 0;
}
