package opengatellm_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
)

// TestTheBeginningOfAListIsReadAlone: what other dialects have made and nobody has numbered comes behind, and no part before it
// reads, and numbers, that.
func TestTheBeginningOfAListIsReadAlone(t *testing.T) { // F373, F374, F400, F401
	each(t, func(t *testing.T, w *world) {
		seeded(w)
		for i := range 6 {
			w.create(organizations, fmt.Sprintf(`{"name": "o%d"}`, i))
			w.create(users, person(fmt.Sprintf("u%d@b.example", i), ""))
		}
		w.call(204, "DELETE", organizations+"/3", "")
		w.call(204, "DELETE", users+"/3", "")
		_, err := w.CreateOrganization(w.Platform(), orgs.NewOrganization{Name: "native"})
		require.NoError(t, err)
		_ = w.User("native@b.example")
		for _, list := range []struct {
			path, body string
			alive      []any
			next       int
		}{
			{organizations, `{"name": "last"}`, []any{1.0, 2.0, 4.0, 5.0, 6.0, 7.0}, 8},
			{users, person("last@b.example", ""), []any{1.0, 2.0, 4.0, 5.0, 6.0}, 7},
		} {
			for from := range list.alive {
				for n := 1; from+n <= len(list.alive); n++ {
					require.Equal(t, list.alive[from:from+n], w.list(fmt.Sprintf("%s?offset=%d&limit=%d", list.path, from, n), "id"))
				}
			}
			require.Equal(t, list.next, w.create(list.path, list.body), "the native one has got no number until then")
			all := append(list.alive[:len(list.alive):len(list.alive)], float64(list.next), float64(list.next+1))
			require.Equal(t, all, w.list(list.path, "id"), "and gets one where it is listed")
			require.Equal(t, all[len(all)-2:], w.list(fmt.Sprintf("%s?offset=%d&limit=2", list.path, len(all)-2), "id"))
			require.Equal(t, all[:2], w.list(list.path+"?limit=2", "id"))
		}
		// Tokens and projects go likewise; those that do not work, and those of an organization that is deleted, are none.
		for i := range 4 {
			w.create(projects, fmt.Sprintf(`{"name": "p%d", "organization": %d}`, i, 1+i%2))
			w.create(tokens, fmt.Sprintf(`{"name": "t%d", "user": %d}`, i, 1+i%2))
		}
		w.call(204, "DELETE", tokens+"/2", "")
		w.call(204, "DELETE", organizations+"/2", "")
		for query, want := range map[string][]any{"limit=1": {1.0}, "limit=2": {1.0, 3.0}, "offset=1&limit=1": {3.0}, "offset=1": {3.0}} {
			require.Equal(t, want, w.list(projects+"?"+query, "id"))
		}
		for query, want := range map[string][]any{"limit=1": {1.0}, "limit=3": {1.0, 3.0, 4.0}, "offset=1&limit=2": {3.0, 4.0}, "offset=2": {4.0}} {
			require.Equal(t, want, w.list(tokens+"?"+query, "id"))
		}
	})
}
