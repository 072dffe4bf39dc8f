package main

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
)

// benchBytes asks SQLite for the pages of each table and index.
func benchBytes(ctx context.Context, b *bench, l *loadedLogs) error {
	b.begin("audit: bytes in SQLite")
	sizes, total, err := pageBytes(ctx, l.sqlite.sql)
	if err != nil {
		return err
	}
	b.values["audit.bytes_live"] = exactly(total)
	vacuumed := filepath.Join(b.dir, "vacuumed.db")
	if _, err := l.sqlite.sql.ExecContext(ctx, "VACUUM INTO ?", vacuumed); err != nil {
		return err
	}
	tight, err := sql.Open("sqlite", vacuumed)
	if err != nil {
		return err
	}
	defer tight.Close()
	tightSizes, tightTotal, err := pageBytes(ctx, tight)
	if err != nil {
		return err
	}
	b.note("SQLite, bytes of an event in whole pages, as it was written and after VACUUM:")
	for _, s := range sizes {
		i := slices.IndexFunc(tightSizes, func(t pages) bool { return t.name == s.name })
		if s.bytes >= 0.05 {
			b.note("  %-46s %7.1f %7.1f", s.name, s.bytes, tightSizes[i].bytes)
		}
	}
	b.note("  %-46s %7.1f %7.1f", "all", total, tightTotal)
	var body float64
	if err := l.sqlite.sql.QueryRowContext(ctx, "SELECT AVG(LENGTH(body)) FROM audit_events").Scan(&body); err != nil {
		return err
	}
	b.note("  of a row the ids, the salt and what is personal are %.0f", body)
	return nil
}

// pages are those of a table or index.
type pages struct {
	name  string
	bytes float64 // of an event
}

func pageBytes(ctx context.Context, db *sql.DB) (list []pages, total float64, err error) {
	rows, err := db.QueryContext(ctx, "SELECT name, SUM(pgsize) FROM dbstat WHERE name LIKE 'audit!_%' ESCAPE '!' GROUP BY name")
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var p pages
		if err := rows.Scan(&p.name, &p.bytes); err != nil {
			return nil, 0, err
		}
		p.bytes /= auditEvents
		list, total = append(list, p), total+p.bytes
	}
	slices.SortFunc(list, func(a, b pages) int { return cmp.Compare(b.bytes, a.bytes) })
	return list, total, rows.Err()
}

// archived is how many events are in one file of an archive.
const archived = 10_000

// benchArchive compresses what an export writes.
func benchArchive(ctx context.Context, b *bench, l *loadedLogs) error {
	b.begin("audit: bytes of an archive")
	entries, err := l.entries(ctx, mainOrg, archived)
	if err != nil {
		return err
	}
	lines, err := jsonLines(entries, nil)
	if err != nil {
		return err
	}
	size := float64(compressed(lines, gzip.DefaultCompression)) / archived
	b.values["audit.bytes_archived"] = exactly(size)
	b.note("JSON lines of %d events: %.0f bytes an event, gzip -1 %.1f, -6 %.1f, -9 %.1f; with -6 there are to", archived, float64(len(lines))/archived,
		float64(compressed(lines, 1))/archived, size, float64(compressed(lines, 9))/archived)
	for _, part := range archiveParts {
		lines, err := jsonLines(entries, part.leave)
		if err != nil {
			return err
		}
		b.note("  %-28s %5.1f", part.name, size-float64(compressed(lines, gzip.DefaultCompression))/archived)
	}
	return nil
}

// archiveParts are what a line is made of, and how to leave it out.
var archiveParts = []struct {
	name  string
	leave func(e *audit.Entry)
}{
	{"the salt", func(e *audit.Entry) { e.Salt = nil }},
	{"the request id", func(e *audit.Entry) { e.RequestID = "" }},
	{"the id", func(e *audit.Entry) { e.ID = "" }},
	{"the times", func(e *audit.Entry) { e.Time, e.OccurredAt = time.Time{}, time.Time{} }},
	{"the sequence", func(e *audit.Entry) { e.Seq = 0 }},
	{"the actor", func(e *audit.Entry) { e.ActorID, e.ActorLabel, e.ActorType, e.OnBehalfOf = "", "", "", "" }},
	{"address and agent", func(e *audit.Entry) { e.IP, e.UserAgent = "", "" }},
	{"the resource and team", func(e *audit.Entry) { e.ResourceType, e.ResourceID, e.ResourceSlug, e.TeamID = "", "", "", "" }},
	{"type, category, action", func(e *audit.Entry) { e.Type, e.Category, e.Action = "", "", "" }},
	{"before, after and data", func(e *audit.Entry) { e.Before, e.After, e.Data, e.Reason = nil, nil, nil, "" }},
}

// entries are the first n events of an organization, all for n = 0.
func (l *loadedLogs) entries(ctx context.Context, orgID string, n int) (list []audit.Entry, err error) {
	err = l.sqlite.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		for e, err := range l.sqlite.log.Entries(ctx, tx, orgID, 0) {
			if err != nil {
				return err
			}
			if list = append(list, e); len(list) == n {
				break
			}
		}
		return nil
	})
	if err == nil && len(list) < n {
		err = fmt.Errorf("there are %d events, not %d", len(list), n)
	}
	return list, err
}

func jsonLines(entries []audit.Entry, change func(*audit.Entry)) ([]byte, error) {
	var lines bytes.Buffer
	out := json.NewEncoder(&lines)
	for _, e := range entries {
		if change != nil {
			change(&e)
		}
		if err := out.Encode(e); err != nil {
			return nil, err
		}
	}
	return lines.Bytes(), nil
}

// compressed is how many bytes gzip makes of them.
func compressed(b []byte, level int) int {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, level)
	if err != nil {
		panic(err) // the levels are constants
	}
	z.Write(b) // into memory
	z.Close()
	return out.Len()
}
