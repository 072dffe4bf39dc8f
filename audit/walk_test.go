package audit_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// Of a hundred organizations eight have done all that is on the first pages. They are read on together, so that a
// page takes a few round trips and not one for each of them.
func TestRoundTripsOfAPageOfManyOrganizations(t *testing.T) {
	for _, name := range []string{"memory", "sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			read := 0
			at := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
			s := storetest.Open(t, name, store.Options{
				Now:  func() time.Time { return at },
				Wrap: func(d store.Driver) store.Driver { return trips{d, &read} },
			})
			l := audit.New(s, &audit.Options{NoBackground: true})
			write := func(orgs, each int) {
				for range each {
					for i := range orgs {
						at = at.Add(time.Millisecond)
						require.NoError(t, s.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
							_, err := l.Append(audit.WithActor(ctx, audit.Actor{Type: audit.User, ID: "usr_1"}), tx, fmt.Sprintf("org_%03d", i), "create", audit.Change{Type: "team.created", Resource: audit.Resource{Type: "team", ID: "team_1"}})
							return err
						}))
					}
				}
			}
			write(100, 1)
			write(8, 50)
			require.NoError(t, l.Flush(t.Context()))
			var orgIDs []string
			for i := range 100 {
				orgIDs = append(orgIDs, fmt.Sprintf("org_%03d", i))
			}
			for _, f := range []audit.Filter{{}, {Types: []string{"team.*"}}, {Outcome: audit.Success}} {
				f.Limit = 100
				pages, events := 0, 0
				for {
					read = 0
					page, err := l.ListOf(t.Context(), orgIDs, f)
					require.NoError(t, err)
					pages, events = pages+1, events+len(page.Items)
					if pages == 1 {
						require.Len(t, page.Items, 100)
						require.LessOrEqual(t, read, 6)
					}
					if f.After = page.Next; f.After == "" {
						break
					}
				}
				require.Equal(t, 500, events)
			}
		})
	}
}
