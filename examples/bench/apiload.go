package main

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/orgkit/orgkit/store"
)

// apiDatabase is a store and a connection beside it.
type apiDatabase struct {
	store *store.Store
	sql   *sql.DB
	name  string
}

// openAPI opens an empty database; nil where there is no server for it.
func openAPI(ctx context.Context, b *bench, name string) (db *apiDatabase, err error) {
	db = &apiDatabase{name: name}
	driver, at := "sqlite", filepath.Join(b.dir, "api.db")
	own := "file:" + at + "?_pragma=busy_timeout(60000)" // orgkit writes meanwhile
	if name == "sqlite" {
		db.store, err = b.openSQLite(ctx, at, store.Options{})
	} else {
		driver = "pgx"
		if at, err = b.server.database(ctx); err != nil || at == "" {
			return nil, err
		}
		own = at
		db.store, err = b.openPostgres(ctx, at, 0, store.Options{})
	}
	if err != nil {
		return nil, err
	}
	if db.sql, err = sql.Open(driver, own); err != nil {
		db.store.Close()
		return nil, err
	}
	return db, nil
}

// multiply has the database make a key as many as n, in the order of their ids and each a second older than the one before:
// by the service, with an event and a decision each, it would take half an hour. The indexes come after the rows, else each
// row would change a page of every index.
func (db *apiDatabase) multiply(ctx context.Context, key string, n int) error {
	own, err := db.sql.Conn(ctx)
	if err != nil {
		return err
	}
	defer own.Close()
	rows, err := own.QueryContext(ctx, "SELECT * FROM api_keys LIMIT 0")
	if err != nil {
		return err
	}
	columns, err := rows.Columns()
	if err = errors.Join(err, rows.Close()); err != nil {
		return err
	}
	listed := "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'api_keys' AND sql IS NOT NULL"
	numbers := "(WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < %d) SELECT i FROM c)"
	changed := map[string]string{"id": "k.id || printf('%07d', c.i)", "hash": "k.hash || c.i",
		"created_at": "strftime('%Y-%m-%d %H:%M:%S', k.created_at, '-' || c.i || ' seconds') || substr(k.created_at, 20)"}
	settings := []string{"PRAGMA synchronous = OFF", "PRAGMA cache_size = -500000"}
	if db.name == "postgres" {
		listed = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'api_keys' AND indexname NOT LIKE '%_pkey'"
		numbers = "(SELECT generate_series(1, %d) AS i)"
		changed["id"], changed["created_at"] = "k.id || lpad(c.i::text, 7, '0')", "k.created_at - c.i * interval '1 second'"
		settings = []string{"SET maintenance_work_mem = '500MB'", "SET synchronous_commit = off"}
	}
	indexes, err := pairsOf(ctx, own, listed)
	if err != nil {
		return err
	}
	values := slices.Clone(columns)
	for i, c := range columns {
		if values[i] = changed[c]; values[i] == "" {
			values[i] = "k." + c
		}
	}
	statements := settings
	for _, ix := range indexes {
		statements = append(statements, "DROP INDEX "+ix[0])
	}
	statements = append(statements, fmt.Sprintf("INSERT INTO api_keys (%s) SELECT %s FROM api_keys AS k CROSS JOIN "+numbers+" AS c WHERE k.id = '%s'",
		strings.Join(columns, ", "), strings.Join(values, ", "), n-1, key))
	for _, ix := range indexes {
		statements = append(statements, ix[1])
	}
	if db.name == "postgres" {
		statements = append(statements, "VACUUM ANALYZE api_keys")
	}
	for _, text := range statements {
		if _, err := own.ExecContext(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

// cursorBehind is the cursor of a list of keys, newest first, moved to where it goes on behind n of them.
func (db *apiDatabase) cursorBehind(ctx context.Context, cursor string, n int) (string, error) {
	var position struct {
		Query  []byte `json:"q"`
		Values [2]any `json:"v"` // the time in microseconds, and the id
	}
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		err = json.Unmarshal(text, &position)
	}
	if err != nil {
		return "", err
	}
	var kept any // SQLite keeps a text
	row := db.sql.QueryRowContext(ctx, fmt.Sprintf("SELECT id, created_at FROM api_keys ORDER BY created_at DESC, id DESC LIMIT 1 OFFSET %d", n-1))
	if err := row.Scan(&position.Values[1], &kept); err != nil {
		return "", err
	}
	at, is := kept.(time.Time)
	if !is {
		if at, err = time.Parse("2006-01-02 15:04:05.999999-07:00", fmt.Sprint(kept)); err != nil {
			return "", err
		}
	}
	position.Values[0] = at.UnixMicro()
	if text, err = json.Marshal(position); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(text), nil
}
