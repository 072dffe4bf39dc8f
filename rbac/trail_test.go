package rbac

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store"
)

// A trail may forget, and then says so; what it names is everything that was changed.
func TestTrailNamesEverythingOrNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	kinds := []*store.Kind{Assignments.Kind(), roles.Kind(), overrides.Kind(), policies.Kind(), Restrictions.Kind(), approvals.Kind(), Scopes.Kind()}
	trail, reached := "", 0
	changed := map[int64]map[touch]bool{}
	for revision := int64(1); revision <= 400; revision++ {
		changed[revision] = map[touch]bool{}
		var traces []store.Trace
		for range r.IntN(4) * r.IntN(12) {
			trace := store.Trace{Kind: kinds[r.IntN(len(kinds))], Value: fmt.Sprint("id_", r.IntN(50))}
			traces = append(traces, trace)
			if kind, ok := kindOf(trace.Kind); ok {
				changed[revision][touch{kind, trace.Value}] = true
			}
		}
		trail = extend(trail, revision, traces)
		require.LessOrEqual(t, len(trail), maxTrail)
		for from := max(0, revision-60); from <= revision; from++ {
			touched, ok := since(trail, from, revision)
			if !ok {
				continue
			}
			reached++
			want := map[touch]bool{}
			for n := from + 1; n <= revision; n++ {
				for is := range changed[n] {
					want[is] = true
				}
			}
			require.Len(t, touched, len(want))
			for _, is := range touched {
				require.True(t, want[is], "%v from %d in %s", is, from, trail)
			}
		}
	}
	require.Greater(t, reached, 1000, "it mostly reaches back some revisions")
	require.Less(t, reached, 400*59, "and not for ever")
}

func TestTrailThatCannotBeReadIsNoTrail(t *testing.T) {
	good := "7 a:usr_1,r:role_2;8;9 p:pol_1"
	touched, ok := since(good, 6, 9)
	require.True(t, ok)
	require.Equal(t, []touch{{'a', "usr_1"}, {'r', "role_2"}, {'p', "pol_1"}}, touched)
	for name, bad := range map[string]string{"one is missing": "7 a:usr_1;9", "no number": "7;x;9", "all": "7;8 *;9", "it ends early": "7;8", "no kind": "7;8 usr;9", "empty": ""} {
		_, ok := since(bad, 6, 9)
		require.False(t, ok, name)
	}
	_, ok = since(good, 5, 9)
	require.False(t, ok, "it begins too late")
	_, ok = since(good, 10, 9)
	require.False(t, ok, "nobody goes back")
	_, ok = since("7 *;8;9", 7, 9)
	require.True(t, ok, "what was before does not matter")
}

// An id that has a separator of trails in it, or a change of very many, is not named.
func TestTrailGivesUpRatherThanBeMisread(t *testing.T) {
	for _, id := range []string{"a;b", "a b", "*", "a,b", ""} {
		_, ok := since(extend("", 1, []store.Trace{{Kind: roles.Kind(), Value: id}}), 0, 1)
		require.False(t, ok, id)
	}
	many := slices.Repeat([]store.Trace{{}}, maxTouches+1)
	for i := range many {
		many[i] = store.Trace{Kind: roles.Kind(), Value: fmt.Sprint(i)}
	}
	_, ok := since(extend("", 1, many), 0, 1)
	require.False(t, ok)
	_, ok = since(extend("", 1, []store.Trace{{Kind: roles.Kind(), Value: strings.Repeat("x", maxTrail)}}), 0, 1)
	require.False(t, ok)
}
