package rbac

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTableIsAMapThatNeverChanges(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	now, want := &table[int]{}, map[string]int{}
	type version struct {
		table *table[int]
		want  map[string]int
	}
	var versions []version
	for i := range 4000 {
		key := fmt.Sprint("key", r.IntN(700))
		if r.IntN(3) == 0 {
			now = now.without(key)
			delete(want, key)
		} else {
			now = now.with(key, i)
			want[key] = i
		}
		if i%200 == 0 {
			versions = append(versions, version{now, maps.Clone(want)})
		}
	}
	for _, v := range append(versions, version{now, want}) {
		require.Equal(t, len(v.want), v.table.size)
		require.Equal(t, v.want, maps.Collect(v.table.all))
		for i := range 701 {
			key := fmt.Sprint("key", i)
			n, ok := v.table.get(key)
			is, there := v.want[key]
			require.Equal(t, there, ok)
			require.Equal(t, is, n)
		}
	}
}
