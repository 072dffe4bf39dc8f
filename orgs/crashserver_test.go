package orgs_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store/storetest"
)

// TestKilledServerLeavesNoHalfChange kills the database server at random moments while a process changes things: all of
// it, or the process that serves somebody, upon which it recovers by itself. What was answered is there, and all agrees.
func TestKilledServerLeavesNoHalfChange(t *testing.T) {
	rounds := 30
	if testing.Short() || fewer > 1 {
		rounds = 6
	}
	server := storetest.PostgresServer(t)
	a := &answers{events: map[string]int{}, least: rbac.Revision{}}
	for round := range rounds {
		c := startChild(t, "crash", server.DSN)
		some, began := rand.IntN(10), time.Now()
		for range some {
			a.note(t, c.hear())
		}
		time.Sleep(rand.N(2*time.Since(began)/time.Duration(some+1) + 5*time.Millisecond))
		if whole := round%2 == 0; whole {
			server.Kill(t)
			server.Start(t)
		} else {
			server.KillSession(t)
		}
		c.cmd.Process.Kill() // if it has not given up by itself
		for line := range c.lines {
			a.note(t, line)
		}
		c.kill()
		if round%5 == 4 {
			newOutsider(t, server.DSN).finally(a)
		}
	}
	require.Greater(t, len(a.events), rounds)
	s, err := openDatabase(t.Context(), server.DSN, nil)
	require.NoError(t, err)
	proves(t, s)
	require.NoError(t, s.Close())
}
