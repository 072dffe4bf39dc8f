package orgs_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/postgres"
)

// remember makes the program of another process that answers from memory, which it trusts whatever happens:
//
//	recall ORG SUBJECT STEP TOKEN  answers whether the step is shown by ids and by a principal that was made
//	                               with the first question; a TOKEN of - waits until it is
func remember(told bool, poll time.Duration) func(context.Context, *orgs.Manager, *bufio.Scanner) error {
	return func(ctx context.Context, m *orgs.Manager, input *bufio.Scanner) (err error) {
		s := m.Store()
		if !told {
			if s, err = openDeaf(ctx, os.Getenv(childDatabase)); err != nil {
				return err
			}
			defer s.Close()
		}
		o := withDials()
		o.Memory = rbac.MemoryOptions{Poll: poll, Trust: time.Hour}
		if m, err = orgs.New(s, o); err != nil {
			return err
		}
		defer m.Close()
		say("ready")
		return recallAll(ctx, m, input)
	}
}

func recallAll(ctx context.Context, m *orgs.Manager, input *bufio.Scanner) error {
	kept := map[string]*rbac.Principal{}
	for input.Scan() {
		var org, subject, token string
		var n int64
		fmt.Sscanf(input.Text(), "recall %s %s %d %s", &org, &subject, &n, &token)
		r := rbac.Request{OrgID: org, Action: shown(n), Call: rbac.Call{Resource: "organization:" + org}}
		var err error
		if token != "-" {
			if r.Least, err = rbac.ParseRevision("revision", token); err != nil {
				return err
			}
		}
		if kept[subject] == nil {
			if kept[subject], err = m.Principal(ctx, org, "", subject); err != nil {
				return err
			}
		}
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
			byPrincipal, err := kept[subject].Allows(ctx, m.Action(r.Action), &r.Call) // first: nobody else has looked
			if err != nil {
				return err
			}
			byID, err := m.Allows(ctx, subject, &r)
			if err != nil {
				return err
			}
			if byID.Allowed && byPrincipal.Allowed || token != "-" || time.Now().After(end) {
				say("recalls %d %t %t", n, byID.Allowed, byPrincipal.Allowed)
				break
			}
		}
	}
	return nil
}

// openDeaf opens a store that is told nothing by other processes.
func openDeaf(ctx context.Context, database string) (*store.Store, error) {
	if strings.HasPrefix(database, "postgres") {
		return postgres.Open(ctx, database, &postgres.Options{NoFeed: true})
	}
	var inner store.Driver
	if _, err := openDatabase(ctx, database, func(d store.Driver) store.Driver { inner = d; return d }); err != nil {
		return nil, err
	}
	return store.New(silent{inner}, nil), nil
}

func (c *child) recalls(d dial, n int64, token string) {
	c.t.Helper()
	require.Equal(c.t, fmt.Sprintf("recalls %d true true", n), c.ask("recall %s %s %d %s", d.orgID, d.subject, n, token))
}

// A process that does nothing but answer shows what another has changed: to who has a token at once, though it
// was told nothing; without one as soon as it was told, or has compared.
func TestMemoryOfAProcessThatDoesNothingComesForward(t *testing.T) {
	shared(t, func(t *testing.T, fresh func() string) {
		for _, program := range []string{"remembers a token", "remembers what it is told", "remembers what it compares"} {
			t.Run(program, func(t *testing.T) {
				database := fresh()
				w, dials, _ := neighbours(t, database)
				other := startChild(t, program, database)
				for _, d := range dials[:2] {
					other.recalls(d, 0, "-")
				}
				for n := int64(1); n <= 4; n++ {
					for _, d := range dials[:2] {
						ctx, receipt := rbac.WithReceipt(w.Platform())
						require.NoError(t, d.turn(ctx, w.Manager, n))
						token := "-"
						if program == "remembers a token" {
							token = receipt.Revision().String()
						}
						answered := time.Now()
						other.recalls(d, n, token)
						require.Less(t, time.Since(answered), 2*time.Second)
					}
				}
			})
		}
	})
}
