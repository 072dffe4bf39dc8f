package billing_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/jobs"
	"github.com/orgkit/orgkit/store/postgres"
	"github.com/orgkit/orgkit/store/sqlite"
	"github.com/orgkit/orgkit/store/storetest"
)

// What is in the environment of a process that races for alerts.
const (
	raceDatabase = "ORGKIT_ALERT_DATABASE" // DSN or file
	raceOutbox   = "ORGKIT_ALERT_OUTBOX"   // file to which it appends what it delivers
)

// racers is how many goroutines spend in each of the processes.
const (
	raceProcesses = 8
	racers        = 125
)

// raceNode is one process of the race, with a ledger and a metering whose alerts are delivered by jobs.
type raceNode struct {
	store    *store.Store
	guard    *rbac.Guard
	ledger   *billing.Ledger
	metering *billing.Metering
	worker   *jobs.Worker
}

func openRace(ctx context.Context, database, outbox string) (*raceNode, error) {
	n := &raceNode{}
	var err error
	if strings.HasPrefix(database, "postgres") {
		n.store, err = postgres.Open(ctx, database, nil)
	} else {
		n.store, err = sqlite.Open(ctx, database, nil)
	}
	if err != nil {
		return nil, err
	}
	if n.guard, err = rbac.NewGuard(n.store, nil); err != nil {
		return nil, err
	}
	n.ledger = billing.NewLedger(n.store, n.guard, &billing.Options{Flush: 20 * time.Millisecond, Silence: 2 * time.Second, Fired: func(ctx context.Context, tx *store.Tx, f billing.FiredAlert) error {
		_, _, err := jobs.Enqueue(ctx, tx, jobs.NewJob{Kind: "alert", OrgID: f.OrgID, Payload: f.ID, Lane: f.BudgetID + f.AlertID})
		return err
	}})
	n.metering = billing.NewMetering(n.store, &billing.MeteringOptions{Flush: 50 * time.Millisecond, Alerts: n.ledger})
	file, err := os.OpenFile(outbox, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	n.worker = jobs.NewWorker(n.store, &jobs.Options{Lease: time.Second, Poll: 100 * time.Millisecond})
	n.worker.Handle("alert", func(_ context.Context, j jobs.Job) error {
		var fired string
		if err := j.Decode(&fired); err != nil {
			return err
		}
		_, err := fmt.Fprintf(file, "%s %s\n", j.ID, fired) // in one write, which is whole
		time.Sleep(5 * time.Millisecond)                    // in which it may be killed, and nobody knows that it has sent it
		return err
	}, nil)
	return n, nil
}

// runAlertRacer spends until its input ends, or it is killed.
func runAlertRacer() error {
	ctx := context.Background()
	n, err := openRace(ctx, os.Getenv(raceDatabase), os.Getenv(raceOutbox))
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	go func() { _ = n.worker.Run(ctx) }()
	var all sync.WaitGroup
	for range racers {
		all.Go(func() {
			for i := 0; ; i++ {
				time.Sleep(rand.N(100 * time.Millisecond))
				cost := billing.Pico(1 + rand.Int64N(2_000_000_000)).Decimal()
				r, err := n.ledger.Reserve(ctx, path, &cost)
				if err != nil {
					continue
				}
				_ = r.Settle(ctx, cost)
				if i%20 == 0 {
					e := callAt(fmt.Sprint(rand.Uint64()), time.Now())
					e.Cost = cost.Mul(decimal.NewFromInt(20))
					_ = n.metering.Record(ctx, &e)
				}
			}
		})
	}
	all.Wait()
	return nil
}

// raceShares are the thresholds of the budget, besides two amounts.
var raceShares = []string{"0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9"}

// TestAlertsAreFiredOnceByAThousandRacers has eight processes, which are killed all the time, cross the same thresholds;
// ORGKIT_ALERT_ROUNDS says how often the limit is raised (billing edges 45 to 47 and 54).
func TestAlertsAreFiredOnceByAThousandRacers(t *testing.T) {
	rounds := 2
	if n, err := strconv.Atoi(os.Getenv("ORGKIT_ALERT_ROUNDS")); err == nil {
		rounds = n
	}
	if testing.Short() {
		rounds = 1
	}
	t.Run("postgres", func(t *testing.T) { raceForAlerts(t, storetest.Postgres(t), rounds) })
	t.Run("sqlite", func(t *testing.T) { raceForAlerts(t, filepath.Join(t.TempDir(), "race.db"), rounds) })
}

func raceForAlerts(t *testing.T, database string, rounds int) {
	outbox := filepath.Join(t.TempDir(), "outbox")
	n, err := openRace(t.Context(), database, outbox)
	require.NoError(t, err)
	t.Cleanup(func() { n.metering.Close(); n.ledger.Close(); n.store.Close() })
	budget := billing.Budget{OrgID: "org_1", Scope: billing.ScopeOrg, ScopeID: "org_1", Limit: decimal.NewFromInt(10), Window: billing.Lifetime, Zone: "UTC",
		Thresholds: append(shares(raceShares...), billing.Threshold{Amount: amount("2.5")}, billing.Threshold{Amount: amount("7.5")})}
	put := func() {
		t.Helper()
		require.NoError(t, n.store.Update(t.Context(), func(ctx ctx, tx *store.Tx) error {
			b := budget
			return n.ledger.Put(ctx, tx, &b)
		}))
	}
	require.NoError(t, n.store.Update(t.Context(), func(ctx ctx, tx *store.Tx) error {
		scope := rbac.Scope{Zone: "UTC", State: rbac.Active}
		scope.ID = "org_1"
		if err := rbac.Scopes.Insert(ctx, tx, &scope); err != nil {
			return err
		}
		s := billing.Settings{OrgID: "org_1", CostAllocation: billing.CostAllocation{Strategy: billing.NotAllotted}}
		s.ID = "org_1"
		for _, cost := range []string{"1", "2", "3", "4"} {
			s.Alerts = append(s.Alerts, billing.Alert{ID: "alrt_" + cost, Type: billing.ThresholdAlert, Amount: amount(cost), Period: "yearly", Notify: []string{"a@acme.com"}})
		}
		s.Alerts = append(s.Alerts, billing.Alert{ID: "alrt_over", Type: billing.ExceededAlert, Action: billing.NotifyAction, Notify: []string{"a@acme.com"}})
		return billing.SettingsRecords.Insert(ctx, tx, &s)
	}))
	put()

	self, err := os.Executable()
	require.NoError(t, err)
	start := func() *exec.Cmd {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), raceDatabase+"="+database, raceOutbox+"="+outbox)
		_, err := cmd.StdinPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		return cmd
	}
	var list []*exec.Cmd
	kill := func(cmd *exec.Cmd) { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	t.Cleanup(func() {
		for _, cmd := range list {
			kill(cmd)
		}
	})
	for range raceProcesses {
		list = append(list, start())
	}
	kills := 0
	for version := int64(0); version < int64(rounds); version++ {
		for end := time.Now().Add(2 * time.Minute); len(firedOf(t, n.store, func(f billing.FiredAlert) bool { return f.Kind == billing.LimitReached && f.LimitVersion == version })) == 0; {
			require.True(t, time.Now().Before(end), "the limit is not reached")
			time.Sleep(rand.N(400 * time.Millisecond))
			i := rand.IntN(len(list))
			kill(list[i])
			list[i] = start()
			kills++
		}
		if version < int64(rounds)-1 {
			budget.Limit = budget.Limit.Mul(decimal.NewFromInt(2))
			put()
		}
	}
	for _, cmd := range list {
		kill(cmd)
	}
	list = nil
	rest := callAt("rest", time.Now())
	rest.Cost = usd("5")
	_, err = n.metering.Ingest(t.Context(), []billing.UsageEvent{rest})
	require.NoError(t, err)

	want := []string{"amount 2.5 0", "amount 7.5 0", "threshold 1 0", "threshold 2 0", "threshold 3 0", "threshold 4 0"}
	for version := range rounds {
		want = append(want, fmt.Sprint("limit 1 ", version), fmt.Sprint("budget_exceeded 0 ", version))
		for _, s := range raceShares {
			want = append(want, fmt.Sprint("share ", s, " ", version))
		}
	}
	fired := map[string]billing.FiredAlert{}
	var got []string
	for _, f := range firedOf(t, n.store, func(billing.FiredAlert) bool { return true }) {
		fired[f.ID] = f
		got = append(got, fmt.Sprint(strings.TrimPrefix(string(f.Kind), "budget."), " ", f.Threshold, " ", f.LimitVersion))
	}
	require.ElementsMatch(t, want, got, "each once")

	log := audit.New(n.store, nil)
	count := 0
	for f := (audit.Filter{Types: []string{"budget.alert", "budget.exceeded", "billing.alert"}, Limit: audit.MaxPage}); ; {
		page, err := log.List(t.Context(), "org_1", f)
		require.NoError(t, err)
		count += len(page.Items)
		if f.After = page.Next; f.After == "" {
			break
		}
	}
	require.Equal(t, len(want), count, "each with one event")

	messages := func() map[string][]string { // by alert, the ids of the messages about it, in the order in which they were sent
		file, err := os.Open(outbox)
		require.NoError(t, err)
		defer file.Close()
		sent := map[string][]string{}
		for lines := bufio.NewScanner(file); lines.Scan(); {
			id, about, ok := strings.Cut(lines.Text(), " ")
			require.True(t, ok, lines.Text())
			sent[about] = append(sent[about], id)
		}
		return sent
	}
	require.Eventually(t, func() bool { // those whose sender was killed are sent again when its lease is over
		_, err := n.worker.RunDue(t.Context())
		return err == nil && len(messages()) == len(want)
	}, time.Minute, 200*time.Millisecond)
	time.Sleep(1100 * time.Millisecond)
	_, err = n.worker.RunDue(t.Context())
	require.NoError(t, err)
	doubled := 0
	for about, ids := range messages() {
		require.Contains(t, fired, about)
		doubled += len(ids) - 1
		require.Len(t, slices.Compact(slices.Sorted(slices.Values(ids))), 1, "a message that was sent twice has one id")
	}
	t.Logf("%d alerts by %d racers, %d processes were killed, %d messages were sent again", len(want), raceProcesses*racers, kills, doubled)
}

func firedOf(t *testing.T, s *store.Store, which func(billing.FiredAlert) bool) (list []billing.FiredAlert) {
	t.Helper()
	require.NoError(t, s.View(t.Context(), func(ctx ctx, tx *store.Tx) error {
		list = nil
		for f, err := range billing.FiredAlerts.All(ctx, tx, store.Query{}) {
			if err != nil {
				return err
			}
			if which(f) {
				list = append(list, f)
			}
		}
		return nil
	}))
	return list
}
