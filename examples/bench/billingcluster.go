package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store/postgres"
)

// spendVariable holds the DSN for a process of benchCluster.
const spendVariable = "ORGKIT_BENCH_SPEND"

const clusterTime = 10 * time.Second

// benchCluster has four processes spend from the same budgets.
func benchCluster(ctx context.Context, b *bench) error {
	dsn, err := b.server.database(ctx)
	if err != nil {
		return err
	}
	b.begin("billing: four processes")
	s, err := postgres.Open(ctx, dsn, nil)
	if err != nil {
		return err
	}
	p, err := newPurses(ctx, s, "1000000000")
	if err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	var running sync.WaitGroup
	var mu sync.Mutex
	var total int64
	var failed error
	for range 4 {
		running.Go(func() {
			cmd := exec.CommandContext(ctx, exe)
			cmd.Env = append(os.Environ(), spendVariable+"="+dsn)
			cmd.Stderr = os.Stderr
			out, err := cmd.Output()
			mu.Lock()
			defer mu.Unlock()
			n, bad := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
			if err == nil {
				err = bad
			}
			if err != nil {
				failed = err
			}
			total += n
		})
	}
	running.Wait()
	if failed != nil {
		return failed
	}
	b.values["billing.cluster_admits_s"] = exactly(float64(total) / clusterTime.Seconds())
	states, err := p.ledger.Overview(audit.WithActor(ctx, audit.PlatformAdmin()), "org_1")
	if err != nil {
		return err
	}
	for _, st := range states {
		if want := billing.Pico(total * actual).Decimal(); !st.Spent.Equal(want) {
			return fmt.Errorf("the %s budget has spent %s, not %s", st.Budget.Scope, st.Spent, want)
		}
	}
	return p.close()
}

// spend is one process of benchCluster. It prints how many calls it has admitted and settled.
func spend(ctx context.Context, dsn string) error {
	s, err := postgres.Open(ctx, dsn, nil)
	if err != nil {
		return err
	}
	g, err := rbac.NewGuard(s, nil)
	if err != nil {
		return err
	}
	p := purses{s, g, billing.NewLedger(s, g, nil)}
	purse := p.ledger.Purse(benchPath)
	n := 0
	for end := time.Now().Add(clusterTime); time.Now().Before(end); {
		for range 1000 {
			var h billing.Hold
			if err := purse.Reserve(ctx, &h, held); err != nil {
				return err
			}
			if err := h.Settle(actual); err != nil {
				return err
			}
			n++
		}
	}
	if err := p.close(); err != nil {
		return err
	}
	fmt.Println(n)
	return nil
}

// elsewhere is the DSN of another database of the same server, and the name of this one.
func elsewhere(dsn string) (other, name string, err error) {
	u, err := url.Parse(dsn)
	if err != nil {
		return "", "", err
	}
	name = strings.TrimPrefix(u.Path, "/")
	u.Path = "/postgres"
	return u.String(), name, nil
}
