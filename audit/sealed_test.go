package audit_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/seal"
	"github.com/orgkit/orgkit/store/sqlite"
	"github.com/orgkit/orgkit/store/storetest"
)

func newKey(t *testing.T) seal.Key {
	t.Helper()
	key, err := seal.ParseKey(seal.GenerateKey())
	require.NoError(t, err)
	return key
}

// under is the log with those keys to seal with: none, or the current one and older ones.
func (l signed) under(t *testing.T, keys ...seal.Key) signed {
	t.Helper()
	o := audit.Options{Signers: []note.Signer{l.key}, Origin: origin, NoBackground: true}
	if len(keys) > 0 {
		var err error
		o.Seal, err = seal.New(keys[0], keys[1:]...)
		require.NoError(t, err)
	}
	l.Log = audit.New(l.s, &o)
	return l
}

func (l signed) verdict(t *testing.T, org string) audit.Report {
	t.Helper()
	r, err := l.Verify(t.Context(), org, l.verifiers)
	require.NoError(t, err)
	return r
}

// secretive is a change all of whose personal parts hold canaries.
func secretive(ctx context.Context, tx *store.Tx, l *audit.Log, org string) error {
	by := audit.Actor{Type: audit.User, ID: "usr_1", Label: "canary@acme.com", UserAgent: "canary/1.0"}
	_, err := l.Append(audit.WithActor(ctx, by), tx, org, "teams.update", audit.Change{Type: "team.updated", Resource: audit.Resource{Type: "team", ID: "team_1", Slug: "eng"},
		Reason: "because of canary", Data: map[string]any{"name": "canary"}})
	return err
}

func appendTo(t *testing.T, l signed, org string, c audit.Change) {
	require.NoError(t, l.s.Update(audit.WithActor(t.Context(), audit.System("erasure")), func(ctx context.Context, tx *store.Tx) error {
		_, err := l.Append(ctx, tx, org, "audit.update", c)
		return err
	}))
}

func TestWhatIsPersonalIsSealed(t *testing.T) { // F295
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		first, second := newKey(t), newKey(t)
		open := newSigned(t, s)
		sealed, rotated, blind := open.under(t, first), open.under(t, second, first), open.under(t)
		require.False(t, open.Seals())
		require.True(t, sealed.Seals())
		write := func(l signed) {
			require.NoError(t, s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error { return secretive(ctx, tx, l.Log, "org_1") }))
		}
		byLabel := func(l signed) int {
			page, err := l.List(t.Context(), "org_1", audit.Filter{Actors: []string{"user:Canary@acme.com"}})
			require.NoError(t, err)
			for _, e := range page.Items {
				require.Equal(t, "canary@acme.com", e.ActorLabel)
				require.Equal(t, "because of canary", e.Reason)
			}
			return len(page.Items)
		}
		write(open) // before there was a key
		require.NoError(t, open.Flush(t.Context()))
		for range 20 { // more than a block of the tree
			write(sealed)
		}
		require.Equal(t, 21, byLabel(sealed))
		require.Equal(t, audit.Intact, sealed.verdict(t, "org_1").Verdict)

		write(rotated)
		require.Equal(t, 22, byLabel(rotated))
		require.Equal(t, audit.Intact, rotated.verdict(t, "org_1").Verdict)
		exported := rotated.all(t, "org_1")
		require.Len(t, exported, 22)
		p, err := rotated.Prove(t.Context(), "org_1", 5)
		require.NoError(t, err)
		_, err = p.Verify(origin+"/org_1", rotated.verifiers)
		require.NoError(t, err)
		require.Equal(t, "canary@acme.com", p.Entry.ActorLabel)

		// Whoever has no key continues the tree all the same, and reads the rest.
		write(blind)
		page, err := blind.List(t.Context(), "org_1", audit.Filter{Limit: 2, Actors: []string{"user:usr_1"}})
		require.NoError(t, err)
		require.Equal(t, "canary@acme.com", page.Items[0].ActorLabel, "it was written without a key")
		require.Empty(t, page.Items[1].ActorLabel)
		require.Equal(t, "team_1", page.Items[1].ResourceID)
		require.Equal(t, audit.Unchecked, blind.verdict(t, "org_1").Verdict)
		require.Equal(t, audit.Unchecked, sealed.verdict(t, "org_1").Verdict, "of the second key nothing is known here")
		_, err = blind.Prove(t.Context(), "org_1", 5)
		require.ErrorIs(t, err, seal.ErrNoKey)
		require.Equal(t, audit.Intact, rotated.verdict(t, "org_1").Verdict)

		n, err := rotated.Reseal(t.Context(), "org_1")
		require.NoError(t, err)
		require.Equal(t, 22, n, "all but one")
		n, err = rotated.Reseal(t.Context(), "org_1")
		require.NoError(t, err)
		require.Zero(t, n)
		_, err = blind.Reseal(t.Context(), "org_1")
		require.ErrorIs(t, err, seal.ErrNoKey)
		alone := open.under(t, second) // the first is not needed any more, but to find by labels
		require.Equal(t, audit.Intact, alone.verdict(t, "org_1").Verdict)
		require.Equal(t, exported, alone.all(t, "org_1")[:22], "it is what it was")

		appendTo(t, alone, "org_1", audit.Erasure("usr_1"))
		n, err = blind.Erase(t.Context(), "org_1", "usr_1")
		require.NoError(t, err)
		require.Equal(t, 23, n, "which needs no key")
		require.NotContains(t, strings.Join(alone.all(t, "org_1"), ""), "canary")
		r := alone.verdict(t, "org_1")
		require.Equal(t, audit.Intact, r.Verdict, r)
		require.EqualValues(t, 23, r.Erased)
		require.Zero(t, byLabel(rotated))
	})
}

// A configuration that was sealed by a key which is not there must not be taken for one that logs everything, or nothing.
func TestASealedConfigurationWaitsForItsKey(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		key := newKey(t)
		open := newSigned(t, s)
		sealed := open.under(t, key)
		c := audit.DefaultConfig("org_1")
		c.Enabled = false
		ctx := audit.WithActor(t.Context(), alice)
		require.NoError(t, s.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
			_, err := sealed.Append(ctx, tx, "org_1", "audit.update", c.Changed(audit.DefaultConfig("org_1")))
			return err
		}))
		require.ErrorIs(t, open.Flush(ctx), seal.ErrNoKey)
		open.write(t, "org_1", 1)
		require.NoError(t, sealed.Flush(ctx))
		require.Len(t, sealed.all(t, "org_1"), 1, "the configuration says that the other event is not logged")
	})
}

// TestFilesHoldNothingPersonal looks into the files of a database for what was written to it.
func TestFilesHoldNothingPersonal(t *testing.T) { // F295
	for _, with := range []bool{true, false} {
		t.Run(fmt.Sprint(with), func(t *testing.T) {
			dir := t.TempDir()
			s, err := sqlite.Open(t.Context(), filepath.Join(dir, "a.db"), nil)
			require.NoError(t, err)
			l := newSigned(t, s)
			if with {
				l = l.under(t, newKey(t))
			}
			for n := range 50 {
				require.NoError(t, s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error { return secretive(ctx, tx, l.Log, "org_1") }))
				if n%10 == 0 {
					require.NoError(t, l.Flush(t.Context()))
				}
			}
			found := 0
			look := func() {
				files, err := filepath.Glob(filepath.Join(dir, "*"))
				require.NoError(t, err)
				for _, f := range files {
					b, err := os.ReadFile(f)
					require.NoError(t, err)
					found += bytes.Count(b, []byte("canary"))
				}
			}
			look() // also at what waits, and at the log of the database
			require.NoError(t, l.Flush(t.Context()))
			require.NoError(t, s.Close())
			look()
			if with {
				require.Zero(t, found)
			} else {
				require.NotZero(t, found, "or this test looks wrongly")
			}
		})
	}
}
