package main

import (
	"context"
	"database/sql"
)

// benchUsageBytes asks SQLite for the pages of each table and index, and returns those of all of them over the events.
func benchUsageBytes(ctx context.Context, b *bench, which string) (total float64, err error) {
	b.begin("usage: bytes in SQLite")
	db, err := sql.Open("sqlite", b.usageFile())
	if err != nil {
		return 0, err
	}
	defer db.Close()
	var events float64
	if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM usage_events").Scan(&events); err != nil {
		return 0, err
	}
	rows, err := db.QueryContext(ctx, "SELECT name, SUM(pgsize) FROM dbstat WHERE name LIKE 'usage!_%' ESCAPE '!' GROUP BY name ORDER BY 2 DESC")
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	b.note("SQLite, bytes of a usage event in whole pages, %s:", which)
	for rows.Next() {
		var p pages
		if err := rows.Scan(&p.name, &p.bytes); err != nil {
			return 0, err
		}
		total += p.bytes / events
		b.note("  %-46s %7.1f", p.name, p.bytes/events)
	}
	b.note("  %-46s %7.1f", "all", total)
	return total, rows.Err()
}
