package main

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
)

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
