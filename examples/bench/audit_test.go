package main

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
)

func TestEventsAreOfTheMixTheyClaim(t *testing.T) {
	const n = 50_000
	types, actors, told := map[string]int{}, map[string]int{}, 0
	for i := range n {
		actor, _, change := newAuditEvent(i)
		types[change.Type]++
		actors[actor.ID]++
		if change.Before != nil || change.After != nil {
			told++
		}
	}
	require.Len(t, types, len(eventTypes))
	for _, e := range eventTypes {
		require.InDelta(t, float64(e.weight)/float64(len(typeOf)), float64(types[e.name])/n, 0.01, e.name)
		require.NoError(t, audit.Filter{Types: []string{e.name}}.Validate())
	}
	require.InDelta(t, 0.47, float64(told)/n, 0.02)
	require.Equal(t, (n+rareEvery-1)/rareEvery, actors[idOf("usr", rareActor)])
	require.Greater(t, actors[idOf("usr", 0)], n/20)
}

// A log can be loaded, verified and asked as the group does it.
func TestLoadedLogIsWhatTheBarsAreOf(t *testing.T) {
	l := &loadedLogs{end: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	l.begin = l.end.Add(-auditDays * 24 * time.Hour)
	var err error
	l.signer, l.verifiers, err = newSigner()
	require.NoError(t, err)
	l.sqlite = &loadedLog{name: "SQLite", path: filepath.Join(t.TempDir(), "audit.db")}
	l.sqlite.store, err = (&bench{}).openSQLite(t.Context(), l.sqlite.path, store.Options{Now: l.sqlite.clock.now, Wrap: l.sqlite.keep})
	require.NoError(t, err)
	defer l.sqlite.store.Close()
	l.sqlite.log = l.newLog(l.sqlite.store, true)

	require.NoError(t, l.fill(t.Context(), l.sqlite, 2*auditUnit))

	p, err := l.proved(t.Context(), mainOrg)
	require.NoError(t, err)
	require.Len(t, p.entries, auditUnit)
	for _, entry := range []func(int) (audit.Entry, error){nil, p.decode} {
		r, err := p.verify(entry)
		require.NoError(t, err)
		require.Equal(t, audit.Intact, r.Verdict, r)
	}
	f := audit.Filter{Limit: auditPage}
	f.After, err = l.middle(t.Context(), l.sqlite.log, []string{mainOrg}, f, 1)
	require.NoError(t, err)
	page, err := l.sqlite.log.ListOf(t.Context(), []string{mainOrg}, f)
	require.NoError(t, err)
	require.True(t, page.Items[0].Time.Before(l.begin.Add(61*24*time.Hour)), page.Items[0].Time)
}

// BenchmarkAuditAppend is Log.Append on SQLite, many in one unit, so that no commit is in it.
func BenchmarkAuditAppend(b *testing.B) {
	l := &loadedLogs{}
	var err error
	l.signer, l.verifiers, err = newSigner()
	require.NoError(b, err)
	s, err := (&bench{}).openSQLite(b.Context(), filepath.Join(b.TempDir(), "audit.db"), store.Options{})
	require.NoError(b, err)
	defer s.Close()
	log := l.newLog(s, true)
	b.ReportAllocs()
	b.ResetTimer()
	for first := 0; first < b.N; first += auditUnit {
		require.NoError(b, s.Update(b.Context(), func(ctx context.Context, tx *store.Tx) error {
			for i := first; i < min(b.N, first+auditUnit); i++ {
				actor, action, change := newAuditEvent(i)
				if _, err := log.Append(audit.WithActor(ctx, actor), tx, orgOf(i), action, change); err != nil {
					return err
				}
			}
			return nil
		}))
	}
}
