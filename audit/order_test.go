package audit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/postgres"
	"github.com/orgkit/orgkit/store/storetest"
)

// TestOrderIsThatOfTheLocks has units of two processes that wait for each other's lock of an organization, whichever
// began first, while both put events in order in the background and sign. The log has them in the order in which they
// had the lock, every one once, and whoever reads sees at once what was committed.
func TestOrderIsThatOfTheLocks(t *testing.T) {
	dsn := storetest.Postgres(t)
	signer, verifier, err := audit.NewKey("gateway.example")
	require.NoError(t, err)
	key, err := note.NewSigner(signer)
	require.NoError(t, err)
	verifiers, err := audit.Verifiers(verifier)
	require.NoError(t, err)

	const orgCount, workers, each = 3, 6, 40 / min(fewer, 2)
	var logs []*audit.Log
	var stores []*store.Store
	for range 2 {
		s, err := postgres.Open(t.Context(), dsn, nil)
		require.NoError(t, err)
		defer s.Close()
		stores = append(stores, s)
		logs = append(logs, audit.New(s, &audit.Options{Signers: []note.Signer{key}, Alarm: func(err error) { t.Error(err) }}))
	}
	org := func(i int) string { return fmt.Sprint("org_", i) }
	require.NoError(t, stores[0].Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		for i := range orgCount {
			if err := rbac.Scopes.Insert(ctx, tx, &rbac.Scope{Meta: store.Meta{ID: org(i)}}); err != nil {
				return err
			}
		}
		return nil
	}))
	var wg sync.WaitGroup
	errs := make(chan error, 2*workers)
	for process := range 2 {
		for range workers {
			wg.Go(func() {
				ctx := audit.WithActor(t.Context(), alice)
				for i := range each {
					id := org(i % orgCount)
					var e audit.Event
					err := stores[process].Update(ctx, func(ctx context.Context, tx *store.Tx) error {
						scope, err := rbac.Scopes.Lock(ctx, tx, id)
						if err != nil {
							return err
						}
						scope.Revision++
						if err := rbac.Scopes.Update(ctx, tx, &scope); err != nil {
							return err
						}
						e, err = logs[process].Append(ctx, tx, id, "x.do", audit.Change{Type: "x.done", Data: scope.Revision})
						return err
					})
					if err == nil && i%10 == 0 { // the other process reads
						var page store.Page[audit.Event]
						if page, err = logs[1-process].List(ctx, id, audit.Filter{Limit: 200}); err == nil && !has(page.Items, e.ID) {
							err = fmt.Errorf("%s was committed and is not there", e.ID)
						}
					}
					if err != nil {
						errs <- err
						return
					}
				}
			})
		}
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
	total := 0
	for i := range orgCount {
		// In the background, within a second.
		require.Eventually(t, func() bool {
			r, err := logs[0].Verify(t.Context(), org(i), verifiers)
			require.NoError(t, err)
			require.NotEqual(t, audit.Tampered, r.Verdict, r)
			return r.Verdict == audit.Intact && r.Covered == r.Checked
		}, 20*time.Second, 100*time.Millisecond, "a checkpoint covers all")
		require.NoError(t, stores[0].View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			n := 0
			for e, err := range logs[0].Entries(ctx, tx, org(i), 0) {
				require.NoError(t, err)
				n++
				var revision int
				require.NoError(t, json.Unmarshal(e.Data, &revision))
				require.Equal(t, n, revision)
			}
			total += n
			return nil
		}))
	}
	require.Equal(t, 2*workers*each, total)
}

func has(events []audit.Event, id string) bool {
	for _, e := range events {
		if e.ID == id {
			return true
		}
	}
	return false
}
