package audit_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/seal"
	"github.com/orgkit/orgkit/store/storetest"
)

// TestDamagedDatabaseIsFound writes past the library into what is stored: rows of events and of the tree are changed,
// taken away, moved to another organization and written again, with leaves to match. A checkpoint that was kept
// elsewhere finds it, and so does the one that is stored, unless that was taken away as well.
func TestDamagedDatabaseIsFound(t *testing.T) {
	var kinds = map[string]*store.Kind{}
	for _, k := range audit.Kinds() {
		kinds[k.Name] = k
	}
	for round := range 1000 / fewer {
		var driver store.Driver
		s := storetest.Open(t, "memory", store.Options{Wrap: func(d store.Driver) store.Driver { driver = d; return d }})
		l := newSigned(t, s)
		const n = 3*16 + 5
		l.write(t, "org_1", n)
		l.write(t, "org_2", n)
		kept, err := l.Checkpoint(t.Context(), "org_1")
		require.NoError(t, err)
		_, err = l.Checkpoint(t.Context(), "org_2")
		require.NoError(t, err)

		tx, err := driver.Begin(t.Context(), true)
		require.NoError(t, err)
		what := damage(t, tx, kinds, "org_1")
		require.NoError(t, tx.Commit(t.Context()))
		r, err := l.Verify(t.Context(), "org_1", l.verifiers, kept.Note)
		require.NoError(t, err)
		require.Equal(t, audit.Tampered, r.Verdict, "round %d: %s: %v", round, what, r)
		r, err = l.Verify(t.Context(), "org_2", l.verifiers)
		require.NoError(t, err)
		require.Equal(t, audit.Intact, r.Verdict)
	}
}

// Who changes an event so that it seems to be sealed, by a key that nobody has, hides nothing by it.
func TestWhatSeemsToBeSealedIsFoundToBeTamperedWith(t *testing.T) {
	var driver store.Driver
	s := storetest.Open(t, "memory", store.Options{Wrap: func(d store.Driver) store.Driver { driver = d; return d }})
	l := newSigned(t, s)
	l.write(t, "org_1", 3)
	_, err := l.Checkpoint(t.Context(), "org_1")
	require.NoError(t, err)
	p, err := l.Prove(t.Context(), "org_1", 1)
	require.NoError(t, err)

	k := audit.Kinds()[slices.IndexFunc(audit.Kinds(), func(k *store.Kind) bool { return k.Name == "audit_events" })]
	body, _ := k.Column("body")
	rows := reflect.New(reflect.SliceOf(reflect.TypeOf(k.New()).Elem()))
	tx, err := driver.Begin(t.Context(), true)
	require.NoError(t, err)
	require.NoError(t, tx.Claim(t.Context(), k, store.Span{Order: k.Key, Equal: []any{"org_1"}, Limit: 1000}, rows.Interface()))
	f := body.Field(rows.Elem().Index(1))
	changed := bytes.Clone(f.Bytes())
	at := bytes.Index(changed, p.Entry.Salt) - 1
	require.EqualValues(t, len(p.Entry.Salt), changed[at])
	changed[at] ^= 32 // that much longer is what stands beside a sealed one
	f.SetBytes(changed)
	_, err = tx.Append(t.Context(), k, rows.Elem().Interface())
	require.NoError(t, err)
	require.NoError(t, tx.Commit(t.Context()))

	_, err = l.Prove(t.Context(), "org_1", 1)
	require.ErrorIs(t, err, seal.ErrNoKey)
	r := l.verdict(t, "org_1")
	require.Equal(t, audit.Tampered, r.Verdict, r)
}

// damage changes something of the organization, and says what.
func damage(t *testing.T, tx store.DriverTx, kinds map[string]*store.Kind, orgID string) string {
	name := []string{"audit_events", "audit_tree"}[rand.N(2)]
	k := kinds[name]
	rows := reflect.New(reflect.SliceOf(reflect.TypeOf(k.New()).Elem()))
	span := store.Span{Order: k.Key, Equal: []any{orgID}, Limit: 1000}
	require.NoError(t, tx.Claim(context.Background(), k, span, rows.Interface()))
	list := rows.Elem()
	i, j := rand.N(list.Len()), rand.N(list.Len()-1)
	if j >= i {
		j++
	}
	what := fmt.Sprint(name, " ", i)
	switch rand.N(5) {
	case 0:
		list = reflect.AppendSlice(list.Slice(0, i), list.Slice(i+1, list.Len()))
		what += " is gone"
	case 1:
		list = list.Slice(0, i)
		what += " and all behind it are gone"
	case 2:
		list = list.Slice(i+1, list.Len())
		what += " and all before it are gone"
	default: // a field
		row := list.Index(i)
		c := k.Columns[rand.N(len(k.Columns))]
		f := c.Field(row)
		what += " has another " + c.Name
		switch v := f.Addr().Interface().(type) {
		case *string:
			*v += "x"
		case *int64:
			*v++
		case *[]byte:
			if len(*v) == 0 {
				*v = []byte{1}
			} else {
				b := append([]byte(nil), *v...)
				b[rand.N(len(b))] ^= 1 << rand.N(8)
				*v = b
			}
		default: // a time: that of another
			at := reflect.New(f.Type()).Elem()
			at.Set(c.Field(list.Index(j)))
			c.Field(list.Index(j)).Set(f)
			f.Set(at)
		}
	}
	_, err := tx.Append(context.Background(), k, list.Interface())
	require.NoError(t, err)
	return what
}

func TestErasedIsGoneAndSaidSo(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store, _ *storetest.Clock) {
		l := newSigned(t, s)
		l.write(t, "org_1", 3)
		bob := audit.Actor{Type: audit.User, ID: "usr_2", Label: "bob@acme.com"}
		write(t, s, as(t, bob), "org_1", audit.Change{Type: "member.removed", Resource: audit.Resource{Type: "user", ID: "usr_1"}, Before: map[string]any{"email": "alice@acme.com"}})
		write(t, s, as(t, bob), "org_1", audit.Change{Type: "x.done"})
		_, err := l.Checkpoint(t.Context(), "org_1")
		require.NoError(t, err)

		n, err := l.Erase(t.Context(), "org_1", "usr_1")
		require.NoError(t, err)
		require.Equal(t, 4, n)
		verdict := func() audit.Report {
			r, err := l.Verify(t.Context(), "org_1", l.verifiers)
			require.NoError(t, err)
			return r
		}
		require.Equal(t, audit.Tampered, verdict().Verdict, "nobody has said so")
		write(t, s, as(t, bob), "org_1", audit.Erasure("usr_1"))
		r := verdict()
		require.Equal(t, audit.Intact, r.Verdict, r)
		require.EqualValues(t, 4, r.Erased)

		page, err := l.List(t.Context(), "org_1", audit.Filter{Ascending: true})
		require.NoError(t, err)
		require.Len(t, page.Items, 6)
		for i, e := range page.Items {
			require.Equal(t, i < 4, e.Erased)
			require.NotContains(t, fmt.Sprintf("%+v", e), "lice@acme")
		}
		require.Empty(t, types(t, s, "org_1", audit.Filter{Actors: []string{"user:alice@acme.com"}}), "the name is gone too")
		require.Len(t, types(t, s, "org_1", audit.Filter{Actors: []string{"user:usr_1"}}), 3)
		n, err = l.Erase(t.Context(), "org_1", "usr_1")
		require.NoError(t, err)
		require.Zero(t, n)
		for seq := range int64(6) {
			p, err := l.Prove(t.Context(), "org_1", seq)
			require.NoError(t, err)
			_, err = p.Verify(origin+"/org_1", l.verifiers)
			require.NoError(t, err)
		}
	})
}
