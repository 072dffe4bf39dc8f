package main

import (
	"context"
	"fmt"
)

var auditBars = []bar{
	{name: "audit.append_sqlite_us", what: "SQLite: what an event adds to an update of a record, p50", limit: 100},
	{name: "audit.append_postgres_pct", what: "PostgreSQL: tx/s lost by the event in the unit, %, 16 connections, 1,024 orgs", limit: 15},
	{name: "audit.hot_org_s", what: "PostgreSQL: events a second of one org, 256 callers, until all are in order", limit: 10_000, least: true},
	{name: "audit.query_p99_ms", what: "both: a page of 100 events by any filter, the slowest, p99", limit: 5},
	{name: "audit.children_p99_ms", what: "both: a page of 100 events of 100 orgs, the slowest, p99", limit: 20},
	{name: "audit.verify_s", what: "events verified a second on 2 cores, in memory", limit: 400_000, least: true},
	{name: "audit.bytes_live", what: "SQLite: bytes of an event with its indexes and its part of the tree", limit: 450},
	{name: "audit.bytes_archived", what: "bytes of an event as gzipped JSON lines", limit: 70},
}

// benchAudit loads one log into both databases and measures it there.
func benchAudit(ctx context.Context, b *bench) error {
	logs, err := loadLogs(ctx, b)
	if err != nil {
		return err
	}
	defer logs.close()
	// The queries come last: a log that was multiplied has no tree to go on with.
	measures := []func(context.Context, *bench, *loadedLogs) error{benchBytes, benchArchive, benchVerify, benchAppendSQLite, benchAppendPostgres, benchHotOrg, benchQueries}
	for _, measure := range measures {
		if err := measure(ctx, b, logs); err != nil {
			return fmt.Errorf("audit: %w", err)
		}
	}
	return nil
}
