package main

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// multiply makes the log as large as -full wants it: the same events at other times between those that are there.
// The tree and the counts stay as they are; no list looks at them.
func (l *loadedLogs) multiply(ctx context.Context, b *bench, one *loadedLog) error {
	if !b.full {
		return nil
	}
	b.begin("audit: multiplying the log of " + one.name)
	begin := time.Now()
	const copies = auditEventsFull / auditEvents
	apart := l.step() / (copies + 1)
	own, err := one.sql.Conn(ctx)
	if err != nil {
		return err
	}
	defer own.Close()
	listed, numbers := "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'audit_events' AND sql IS NOT NULL",
		"WITH RECURSIVE c (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c WHERE i < %d) SELECT i FROM c"
	settings := []string{"PRAGMA synchronous = OFF", "PRAGMA cache_size = -1000000"}
	if one.path == "" {
		listed, numbers = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'audit_events' AND indexname NOT LIKE '%_pkey'", "SELECT generate_series(0::bigint, %d) AS i"
		settings = []string{"SET work_mem = '1GB'", "SET maintenance_work_mem = '1GB'", "SET synchronous_commit = off"}
	}
	indexes, err := pairsOf(ctx, own, listed)
	if err != nil {
		return err
	}
	// In the order of the table, and its indexes after it: else every copy would change every page.
	statements := append(settings, "CREATE TABLE bench_seed AS SELECT * FROM audit_events", "DELETE FROM audit_events")
	for _, ix := range indexes {
		statements = append(statements, "DROP INDEX "+ix[0])
	}
	statements = append(statements, fmt.Sprintf(`INSERT INTO audit_events SELECT org_id, at - c.i * %d AS at, seq, lag, team_id, kind, manner, actor, resource, body
		FROM bench_seed CROSS JOIN (`+numbers+`) AS c ORDER BY 1, 2`, apart.Microseconds(), copies-1), "DROP TABLE bench_seed")
	for _, ix := range indexes {
		statements = append(statements, ix[1])
	}
	for _, text := range statements {
		if _, err := own.ExecContext(ctx, text); err != nil {
			return err
		}
	}
	b.note("%s: multiplied to %d events in %.0f s", one.name, auditEventsFull, time.Since(begin).Seconds())
	return nil
}

// pairsOf are the rows of a query of two texts.
func pairsOf(ctx context.Context, c *sql.Conn, query string) (list [][2]string, err error) {
	rows, err := c.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var p [2]string
		if err := rows.Scan(&p[0], &p[1]); err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, rows.Err()
}

// settle is that of the log's database.
func (one *loadedLog) settle(ctx context.Context) error {
	if one.path != "" {
		return nil
	}
	return settle(ctx, one.sql)
}
