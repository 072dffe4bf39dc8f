package bunstore

import (
	"context"
	"database/sql"
	"sync"

	"github.com/orgkit/orgkit/store"
)

// gets are the statements of Get. pgx keeps them prepared by their text; for SQLite they are prepared
// here, and only in Begin: inside a transaction preparing would wait for a second connection.
type gets struct {
	mu     sync.RWMutex
	texts  map[getKey]string
	stmts  map[getKey]*sql.Stmt
	wanted map[getKey]string // not prepared yet
}

type getKey struct {
	kind     *store.Kind
	writable bool
	lock     bool
}

func (g *gets) query(ctx context.Context, t *tx, k *store.Kind, id string, lock bool) (*sql.Rows, error) {
	key := getKey{k, !t.reader, lock}
	g.mu.RLock()
	stmt, text := g.stmts[key], g.texts[key]
	g.mu.RUnlock()
	if stmt != nil {
		return t.sql.Tx.StmtContext(ctx, stmt).QueryContext(ctx, id)
	}
	if text == "" {
		mark, end := "?", ""
		if t.Logs.Numbered {
			mark = "$1"
		}
		if lock {
			end = " FOR UPDATE"
		}
		text = t.heads.of(k) + " WHERE id = " + mark + end
		g.mu.Lock()
		if g.texts == nil {
			g.texts, g.stmts, g.wanted = map[getKey]string{}, map[getKey]*sql.Stmt{}, map[getKey]string{}
		}
		g.texts[key] = text
		if !t.Logs.Numbered {
			g.wanted[key] = text
		}
		g.mu.Unlock()
	}
	var buf [2]any
	return t.sql.Tx.QueryContext(ctx, text, append(append(buf[:0], t.Logs.Args...), id)...)
}

// prepare prepares what was asked for by its text before. It is called before a connection is taken, and holds
// no lock while it waits for one: those who have them all may want the lock.
func (g *gets) prepare(ctx context.Context, d *driver, writable bool) error {
	g.mu.RLock()
	n := len(g.wanted)
	g.mu.RUnlock()
	if n == 0 {
		return nil
	}
	mine := map[getKey]string{}
	g.mu.Lock()
	for key, text := range g.wanted {
		if key.writable == writable {
			mine[key] = text
			delete(g.wanted, key)
		}
	}
	g.mu.Unlock()
	db := d.Reader
	if writable {
		db = d.Writer
	}
	var failed error
	for key, text := range mine {
		stmt, err := db.DB.PrepareContext(ctx, text)
		g.mu.Lock()
		if err == nil {
			g.stmts[key] = stmt
		} else {
			g.wanted[key], failed = text, err // left to the next one
		}
		g.mu.Unlock()
	}
	return failed
}
