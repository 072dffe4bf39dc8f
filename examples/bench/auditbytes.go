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
	"regexp"
	"slices"
	"strings"

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

// benchArchive compresses what an export writes, and counts the manifest that proves it.
func benchArchive(ctx context.Context, b *bench, l *loadedLogs) error {
	b.begin("audit: bytes of an archive")
	var out bytes.Buffer
	m, err := l.sqlite.log.Export(ctx, &out, mainOrg, 0, 0)
	if err != nil {
		return err
	}
	manifest, err := json.Marshal(m)
	if err != nil {
		return err
	}
	lines := bytes.SplitAfterN(out.Bytes(), []byte("\n"), archived+1)
	if len(lines) <= archived {
		return fmt.Errorf("an export of %d lines", len(lines))
	}
	text := bytes.Join(lines[:archived], nil)
	each := func(bytes int) float64 { return float64(bytes) / archived }
	whole, usual := compressed(text, gzip.BestCompression), compressed(text, gzip.DefaultCompression)
	b.values["audit.bytes_archived"] = exactly(each(whole + len(manifest)))
	b.note("lines of an export of %d events: %.0f bytes an event, gzip -1 %.1f, -6 %.1f, -9 %.1f, its manifest %.2f", archived, each(len(text)),
		each(compressed(text, 1)), each(usual), each(whole), each(len(manifest)))
	if !b.full {
		return nil
	}
	b.note("  with -6 there are to")
	for _, part := range archiveParts {
		without, err := leaveOut(lines[:archived], part.fields)
		if err != nil {
			return err
		}
		b.note("    %-26s %5.1f", part.name, each(usual-compressed(without, gzip.DefaultCompression)))
	}
	return nil
}

// leaveOut returns lines without some fields.
func leaveOut(lines [][]byte, names string) ([]byte, error) {
	field := regexp.MustCompile(`"(` + strings.ReplaceAll(names, " ", "|") + `)":("[^"]*"|\d+|\{[^{}]*\}),?`)
	var out []byte
	for _, line := range lines {
		line = bytes.Replace(field.ReplaceAll(line, nil), []byte(",}\n"), []byte("}\n"), 1)
		if !json.Valid(line) {
			return nil, fmt.Errorf("a line without %s is none", names)
		}
		out = append(out, line...)
	}
	return out, nil
}

// archiveParts are what a line is made of.
var archiveParts = []struct{ name, fields string }{
	{"the salts", "salt salts"}, {"the request id", "request_id"}, {"the id", "id"}, {"the times", "time occurred_at"}, {"the sequence", "sequence"},
	{"the actor", "actor_type actor_id actor_label on_behalf_of"}, {"address and agent", "ip user_agent"},
	{"the resource and team", "resource_type resource_id resource_slug team_id"}, {"type, category, action", "type category action outcome"},
	{"before, after and data", "before after data reason"},
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
