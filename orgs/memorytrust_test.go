package orgs_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// cut is a database that cannot be reached while it is down.
type cut struct {
	store.Driver
	down atomic.Bool
}

var errDown = errors.New("down")

func (c *cut) Begin(ctx context.Context, writable bool) (store.DriverTx, error) {
	if c.down.Load() {
		return nil, errDown
	}
	return c.Driver.Begin(ctx, writable)
}

// unplugged runs a test on each database, which can be cut off.
func unplugged(t *testing.T, fn func(t *testing.T, c asked, database *cut)) {
	for _, name := range []string{"memory", "sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			database := &cut{}
			s := storetest.Open(t, name, store.Options{Wrap: func(d store.Driver) store.Driver { database.Driver = d; return database }})
			o := &orgs.Options{}
			o.Memory = rbac.MemoryOptions{Poll: 20 * time.Millisecond, Trust: 100 * time.Millisecond}
			c := newAsked(t, s, o)
			defer c.Close()
			fn(t, c, database)
		})
	}
}

// mistrusted is after how long memory is certainly not trusted any more: a comparison that was under way when the
// database went down counts until then.
const mistrusted = 200 * time.Millisecond

// doors are all ways to ask memory whether the developer may use a model.
func (c asked) doors(t *testing.T) map[string]func() (bool, error) {
	p, use, r := c.principal(t), c.Action("models.use"), c.request("models.use", "model:m")
	return map[string]func() (bool, error){
		"Allows":           func() (bool, error) { a, err := c.Allows(t.Context(), c.dev.ID, r); return a.Allowed, err },
		"Decide":           func() (bool, error) { d, err := c.Decide(t.Context(), c.dev.ID, r); return d.Allowed, err },
		"Principal.Allows": func() (bool, error) { a, err := p.Allows(t.Context(), use, &r.Call); return a.Allowed, err },
		"Principal.Decide": func() (bool, error) { d, err := p.Decide(t.Context(), use, &r.Call); return d.Allowed, err },
	}
}

// While the database cannot be reached memory is trusted for a while, and then refuses for as long as it takes.
func TestMemoryThatCannotBeComparedRefuses(t *testing.T) {
	unplugged(t, func(t *testing.T, c asked, database *cut) {
		doors := c.doors(t)
		for range 2 {
			for name, ask := range doors {
				is, err := ask()
				require.NoError(t, err, name)
				require.True(t, is, name)
			}
			database.down.Store(true)
			down := time.Now()
			for name, ask := range doors {
				require.Eventually(t, func() bool {
					is, err := ask()
					require.Equal(t, err == nil, is, "%s: an error is a refusal", name)
					return err != nil
				}, 10*time.Second, time.Millisecond, name)
			}
			require.Less(t, time.Since(down), 2*time.Second, "100 ms, and a slow machine")
			for time.Since(down) < 300*time.Millisecond {
				over := time.Since(down) > mistrusted
				for name, ask := range doors {
					is, err := ask()
					require.Equal(t, err == nil, is, name)
					if over {
						require.ErrorIs(t, err, errDown, name)
					}
				}
			}
			database.down.Store(false)
			for name, ask := range doors {
				is, err := ask()
				require.NoError(t, err, "%s, at once: who asks compares", name)
				require.True(t, is, name)
			}
		}
	})
}

// What others have changed while the database could not be reached is in the first answer after that.
func TestMemoryThatWasCutOffComesBackWithWhatHasHappened(t *testing.T) {
	unplugged(t, func(t *testing.T, c asked, database *cut) {
		others := orgstest.New(t, store.New(database.Driver, nil), nil) // another process, which is not cut off
		for name, ask := range c.doors(t) {
			is, err := ask()
			require.NoError(t, err, name)
			require.True(t, is, name)
			database.down.Store(true)
			down := time.Now()
			require.Eventually(t, func() bool { return second(ask()) != nil && time.Since(down) > mistrusted }, 10*time.Second, time.Millisecond, name)
			_, err = others.UpdateRole(others.Platform(), c.org.ID, "developer", rbac.RoleUpdate{Permissions: &[]string{}})
			require.NoError(t, err)
			database.down.Store(false)
			is, err = ask()
			require.NoError(t, err, name)
			require.False(t, is, name)
			_, err = c.UpdateRole(c.Platform(), c.org.ID, "developer", rbac.RoleUpdate{Permissions: &[]string{"models.use"}})
			require.NoError(t, err)
		}
	})
}

// A change that this process makes itself is never answered by memory that could not be read again for it.
func TestAChangeThatMemoryCannotReadIsAnErrorAndNotAnOldAnswer(t *testing.T) {
	w, database := limited(t, 10)
	dials, _, _ := newDials(t, w)
	for _, d := range dials {
		require.NoError(t, d.turn(w.Platform(), w.Manager, 0))
		byID, kept, err := d.memory(t.Context(), w.Manager)
		require.NoError(t, err)
		for n := int64(1); n < 3; n++ {
			database.down.Store(true) // for readers
			require.NoError(t, d.turn(w.Platform(), w.Manager, n), d.name)
			for _, allows := range []func(string) (bool, error){kept, byID} {
				is, err := allows(shown(n - 1))
				require.ErrorIs(t, err, errDown, d.name)
				require.False(t, is, d.name)
			}
			database.down.Store(false)
			for _, allows := range []func(string) (bool, error){kept, byID} {
				was, err := allows(shown(n - 1))
				require.NoError(t, err)
				is, err := allows(shown(n))
				require.NoError(t, err)
				require.Equal(t, []bool{false, true}, []bool{was, is}, d.name)
			}
		}
	}
}

func TestMemoryOfAManagerThatWasClosedRefuses(t *testing.T) {
	unplugged(t, func(t *testing.T, c asked, _ *cut) {
		doors := c.doors(t)
		for range 2 {
			require.NoError(t, c.Close())
			for name, ask := range doors {
				is, err := ask()
				require.ErrorIs(t, err, store.ErrClosed, name)
				require.False(t, is, name)
			}
		}
		_, err := c.Principal(t.Context(), c.org.ID, c.team.ID, c.dev.ID)
		require.ErrorIs(t, err, store.ErrClosed)
		_, err = c.UpdateRole(c.Platform(), c.org.ID, "developer", rbac.RoleUpdate{Description: ptr("all else goes on")})
		require.NoError(t, err)
	})
}
