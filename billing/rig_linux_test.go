package billing_test

import (
	"bufio"
	"bytes"
	"database/sql"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/store/storetest"
)

// rig has processes spend from the same budgets, does them every harm there is, and holds what they have had charged
// against what they were allowed. It uses nothing of the package that it tries: only what processes have written down.
type rig struct {
	t         *testing.T
	rand      *rand.Rand
	seed      uint64
	database  string
	server    *storetest.Server // nil with SQLite
	dir       string
	journals  bool
	processes []*process
	admin     *process
	made      int // processes
	limits    map[string]*limit
	oracle    *oracle
	log       []string
	fenced    map[string]bool
	began     time.Time
	calm      time.Time // until then nobody is stopped: a new budget is on its way
}

// process is a process of the rig.
type process struct {
	cmd     *exec.Cmd
	input   io.WriteCloser
	lines   *bufio.Reader
	errors  bytes.Buffer
	record  string
	hours   int64     // by which its clock is ahead
	stopped time.Time // until then
}

// TestRigCannotOverspend harms processes on SQLite and PostgreSQL a hundred times; ORGKIT_RIG_FAULTS says another
// number (billing edges 17, 27 to 31, 36, 37 and 41).
func TestRigCannotOverspend(t *testing.T) {
	faults := 100 / fewer
	if n, err := strconv.Atoi(os.Getenv("ORGKIT_RIG_FAULTS")); err == nil {
		faults = n
	}
	if testing.Short() {
		faults = min(faults, 10)
	}
	t.Run("postgres", func(t *testing.T) {
		server := storetest.PostgresServer(t)
		newRig(t, server.DSN, server, 8, true).run((faults + 1) / 2)
	})
	t.Run("sqlite", func(t *testing.T) {
		newRig(t, filepath.Join(t.TempDir(), "rig.db"), nil, 8, false).run(faults / 2)
	})
}

func newRig(t *testing.T, database string, server *storetest.Server, processes int, journals bool) *rig {
	r := &rig{t: t, seed: rand.Uint64(), database: database, server: server, dir: t.TempDir(), journals: journals,
		limits: map[string]*limit{}, fenced: map[string]bool{}, began: time.Now()}
	r.rand = rand.New(rand.NewPCG(r.seed, 3))
	r.oracle = newOracle(r.dir)
	t.Cleanup(func() {
		for _, p := range append(r.processes, r.admin) {
			if p != nil {
				p.kill()
			}
		}
	})
	r.admin = r.start("")
	for name, b := range rigBudgets {
		if name == "guest" {
			continue
		}
		r.limits[name] = &limit{paths: b.paths, hourly: b.Window == "1h"}
		most := 500_000_000_000 + r.rand.Int64N(2_000_000_000_000)
		if name == "ample" {
			most = 1_000_000_000_000_000_000
		}
		r.allow(name, most)
	}
	for range processes {
		r.processes = append(r.processes, r.start(r.fresh()))
	}
	return r
}

func (r *rig) say(format string, args ...any) {
	r.log = append(r.log, fmt.Sprintf("%8.3f ", time.Since(r.began).Seconds())+fmt.Sprintf(format, args...))
}

// require fails with the seed, what was done and the accounts.
func (r *rig) require(ok bool, format string, args ...any) {
	r.t.Helper()
	if ok {
		return
	}
	r.t.Errorf(format, args...)
	r.t.Fatalf("seed %d\n%s\n%s", r.seed, strings.Join(r.log, "\n"), strings.Join(r.query("SELECT id || ' ' || spent || ' ' || reserved || ' ' || \"limit\" || ' ' || over || ' ' || forfeited FROM budget_accounts"), "\n"))
}

func (r *rig) fresh() string {
	r.made++
	return filepath.Join(r.dir, fmt.Sprintf("%04d.calls", r.made))
}

func (r *rig) start(record string) *process {
	r.t.Helper()
	self, err := os.Executable()
	require.NoError(r.t, err)
	p := &process{cmd: exec.Command(self), record: record}
	p.cmd.Env = append(os.Environ(), rigDatabase+"="+r.database, rigRecord+"="+record)
	if r.journals && record != "" {
		p.cmd.Env = append(p.cmd.Env, rigJournal+"="+filepath.Join(r.dir, "journals"))
	}
	p.cmd.Stderr = &p.errors
	p.input, err = p.cmd.StdinPipe()
	require.NoError(r.t, err)
	out, err := p.cmd.StdoutPipe()
	require.NoError(r.t, err)
	p.lines = bufio.NewReader(out)
	require.NoError(r.t, p.cmd.Start())
	if record == "" {
		r.hear(p, "ready")
	}
	return p
}

func (r *rig) hear(p *process, want string) {
	r.t.Helper()
	var line string
	said := make(chan bool)
	go func() {
		defer close(said)
		line, _ = p.lines.ReadString('\n')
	}()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		select {
		case <-said:
			end = time.Now()
		case <-time.After(50 * time.Millisecond):
			r.wake(false) // it may wait for one that is stopped
		}
	}
	r.require(line == want+"\n", "a process says %q instead of %q: %s", line, want, &p.errors)
}

func (p *process) kill() {
	if p.cmd.ProcessState == nil {
		p.cmd.Process.Kill()
		p.cmd.Wait()
	}
}

// allow has the limit of a budget set. What it allows counts from before the change and ends with the next one.
func (r *rig) allow(name string, most int64) {
	r.limits[name].most = max(r.limits[name].most, most)
	fmt.Fprintf(r.admin.input, "%s=%d\n", name, most)
	r.hear(r.admin, "done")
	r.say("%s may spend %d", name, most)
}

// run does so much harm and then looks whether all adds up.
func (r *rig) run(faults int) {
	kinds := []func(){r.killOne, r.killOne, r.stopOne, r.stopOne, r.stepOne}
	if r.server != nil {
		kinds = append(kinds, r.cutSessions, r.cutCommits, r.restart)
	}
	time.Sleep(time.Second)
	r.stop(r.processes[0], 5*time.Second) // long enough for the others to give it up
	for n := range faults {
		kinds[r.rand.IntN(len(kinds))]()
		time.Sleep(time.Duration(r.rand.Int64N(int64(400 * time.Millisecond))))
		r.wake(false)
		r.change()
		r.watch()
		if n%5 == 4 {
			r.oracle.check(r)
		}
	}
	r.wake(true)
	r.giveUp()
	r.finish()
}

// giveUp has processes be stopped, one after another, for as long as it takes the others to give one up, where chance has left
// nobody so long: those that were stopped may have been killed meanwhile, or woken for a new budget. One that is not up yet has
// nothing to be given up for, and one that has the lock of SQLite keeps the others from it.
func (r *rig) giveUp() {
	for _, p := range r.processes {
		if len(r.fenced) > 0 {
			return
		}
		time.Sleep(time.Until(r.calm))
		r.stop(p, time.Minute)
		for end := time.Now().Add(6 * time.Second); len(r.fenced) == 0 && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			r.watch()
		}
		r.wake(true)
	}
}

// watch sees to it that nobody has ended by himself.
func (r *rig) watch() {
	for _, p := range r.processes {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(p.cmd.Process.Pid, &status, syscall.WNOHANG, nil)
		if err == nil && pid != 0 {
			r.require(false, "a process has ended: %v %s", status, &p.errors)
		}
	}
	for _, id := range r.query("SELECT id FROM budget_nodes WHERE fenced") {
		r.fenced[id] = true
	}
}

// query answers the texts of one column, and nothing while the database is away.
func (r *rig) query(text string) (list []string) {
	driver := "sqlite"
	if r.server != nil {
		driver = "pgx"
	}
	db, err := sql.Open(driver, r.database)
	require.NoError(r.t, err)
	defer db.Close()
	rows, err := db.Query(text)
	if err != nil {
		return nil
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		require.NoError(r.t, rows.Scan(&s))
		list = append(list, s)
	}
	return list
}

// change raises or lowers a limit, or has a budget come or go.
func (r *rig) change() {
	for range 2 {
		names := slices.DeleteFunc(slices.Collect(func(yield func(string) bool) {
			for name := range r.limits {
				if !yield(name) {
					return
				}
			}
		}), func(name string) bool { return name == "ample" || name == "guest" })
		slices.Sort(names)
		name := names[r.rand.IntN(len(names))]
		most := r.limits[name].most + r.rand.Int64N(300_000_000_000) // soon used up again
		if r.rand.IntN(3) == 0 {
			most = r.limits[name].charged * (80 + r.rand.Int64N(20)) / 100
		}
		r.allow(name, most)
	}
	if r.rand.IntN(8) != 0 {
		return
	}
	if b := r.limits["guest"]; b == nil {
		r.wake(true)
		r.limits["guest"] = &limit{paths: rigBudgets["guest"].paths, since: 1 << 62}
		r.allow("guest", 50_000_000_000+r.rand.Int64N(500_000_000_000))
		r.calm = time.Now().Add(6 * time.Second) // all have heard of it by then
		r.limits["guest"].since = r.calm.UnixNano()
		return
	}
	if time.Now().After(r.calm) {
		r.oracle.check(r)
		delete(r.limits, "guest")
		fmt.Fprintln(r.admin.input, "guest=-")
		r.hear(r.admin, "done")
		r.say("guest goes")
	}
}

// finish ends all processes in order and compares the accounts with what was charged.
func (r *rig) finish() {
	time.Sleep(3 * time.Second)
	for _, p := range r.processes {
		fmt.Fprintln(p.input, "quit")
	}
	for _, p := range r.processes {
		r.hear(p, "ready")
		r.hear(p, "closed")
		require.NoError(r.t, p.cmd.Wait())
	}
	charged := r.oracle.check(r)
	counted, over := map[string]decimal.Decimal{}, map[string]decimal.Decimal{}
	for _, row := range r.query(`SELECT b.name || '|' || a.spent || '|' || a.reserved || '|' || a.over || '|' || a."limit" FROM budget_accounts a JOIN budgets b ON b.id = a.budget_id`) {
		part := strings.Split(row, "|")
		var n [4]decimal.Decimal
		for i := range n {
			n[i] = decimal.RequireFromString(part[i+1])
		}
		counted[part[0]] = counted[part[0]].Add(n[0]).Add(n[1])
		over[part[0]] = over[part[0]].Add(n[2])
	}
	for name, n := range charged {
		is := decimal.New(n, -12)
		r.require(name == "guest" || is.LessThanOrEqual(counted[name]), "%s: %s were charged, and %s are counted", name, is, counted[name])
		if b := r.limits[name]; name != "guest" && !b.hourly {
			r.require(counted[name].LessThanOrEqual(decimal.New(b.most, -12)), "%s: %s are counted of %d", name, counted[name], b.most)
		}
		r.t.Logf("%-8s %18s charged, %5s %% of what is counted", name, is, share(is, counted[name]))
	}
	var calls int
	r.oracle.each(r, func(*line, int64) { calls++ })
	r.t.Logf("%d calls by %d processes in %s, %d nodes were fenced", calls, r.made, time.Since(r.began).Round(time.Second), len(r.fenced))
	r.require(len(r.fenced) > 0, "nobody was ever fenced")
}

func share(n, of decimal.Decimal) string {
	if of.IsZero() {
		return "-"
	}
	return n.Div(of).Shift(2).StringFixed(2)
}
