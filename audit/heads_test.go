package audit_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// trips counts what is read at once.
type trips struct {
	store.Driver
	n *int
}

func (d trips) Sequential() bool {
	s, is := d.Driver.(interface{ Sequential() bool })
	return is && s.Sequential()
}

func (d trips) Begin(ctx context.Context, writable bool) (store.DriverTx, error) {
	tx, err := d.Driver.Begin(ctx, writable)
	return countedTx{tx, d.n}, err
}

type countedTx struct {
	store.DriverTx
	n *int
}

func (t countedTx) ReadAll(ctx context.Context, reads []store.Read) error {
	*t.n++
	return t.DriverTx.ReadAll(ctx, reads)
}

func (t countedTx) Scan(ctx context.Context, k *store.Kind, s store.Span, dst any) error {
	*t.n++
	return t.DriverTx.Scan(ctx, k, s, dst)
}

// Two processes put events in order by turns: neither remembers the trees as the other has left them. They read them for
// all organizations at once, from checkpoints or from what the trees are made of, and go on with the same ones.
func TestTreesThatAnotherProcessHasGrown(t *testing.T) {
	for _, name := range []string{"memory", "sqlite", "postgres"} {
		for _, kind := range []string{"signed", "unsigned"} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				read := 0
				s := storetest.Open(t, name, store.Options{Wrap: func(d store.Driver) store.Driver { return trips{d, &read} }})
				one := newSigned(t, s)
				o := audit.Options{Origin: origin, NoBackground: true}
				if kind == "signed" {
					o.Signers = []note.Signer{one.key}
				}
				other := signed{audit.New(s, &o), s, one.verifiers, one.key}
				took := map[int]int{} // by the number of organizations
				for turn := range 12 {
					l := []signed{one, other}[turn%2]
					orgs := 3 + 20*(turn/2%2)
					for i := range orgs {
						l.write(t, fmt.Sprint("org_", i), 1+(i*7+turn)%13) // together less than are put in order at once
					}
					read = 0
					require.NoError(t, l.Flush(t.Context()))
					if turn >= 8 && turn%2 == 0 { // all organizations are known, and what they are called
						took[orgs] = read
					}
				}
				require.Equal(t, took[3], took[23])
				for i := range 23 {
					org := fmt.Sprint("org_", i)
					c, err := one.Checkpoint(t.Context(), org)
					require.NoError(t, err)
					r, err := one.Verify(t.Context(), org, one.verifiers, c.Note)
					require.NoError(t, err)
					require.Equal(t, audit.Intact, r.Verdict, r)
					require.Equal(t, c.Size, r.Checked)
				}
			})
		}
	}
}
