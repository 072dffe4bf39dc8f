// Command bench measures orgkit and holds the figures against bars.
//
//	cd examples/bench
//	go run . -only store
//	go run . -only store -full
//
// -only names the groups to run, separated by commas; without it all run. -full adds the bars that
// take minutes. A table for people comes first, then one line "bar NAME VALUE" per bar. A bar that is
// missed is a measurement, not an error: the program ends with 0 unless it could not measure.
//
// It is a module of its own, so that the libraries it compares with never enter a host's module graph.
//
// # The databases
//
// Both are as a host gets them: SQLite with the default options of package sqlite (WAL,
// synchronous=FULL), its file in the directory for temporary files; PostgreSQL as .ci/postgres starts it,
// without a setting changed. With ORGKIT_POSTGRES, the DSN of a user who may create databases, it is that
// server instead. Where there is none the bars of PostgreSQL are skipped, and a line says so. Where
// temporary files are kept in memory (tmpfs), nothing is written to a disk and TMPDIR should say better.
//
// # Group store
//
//   - store.memory_insert_us, store.memory_get_us: an Update with one Insert and a View with one Get, in
//     microseconds, in a memory store that holds 100,000 records with the columns and keys of a team. What the
//     same costs where their settings, a slice and a map, are empty stands above the table.
//   - store.sqlite_get_us, store.postgres_get_us: a View with one Get among 10,000 such records.
//   - store.log_sqlite_rows_s, store.log_postgres_rows_s: rows a second of Log.AppendMany, which skips
//     duplicates and says which rows were new, in batches of 10,000 rows of 16 columns, an Update each.
//     All rows are new: what a few duplicates cost stands above the table.
//   - store.change_ms_sqlite, store.change_ms_postgres: the median of Manager.UpdateTeam by the platform,
//     in milliseconds: one Guard.Change with its event. What the same costs without a team's settings and
//     budget, as a bare Guard.Change, stands above the table.
//   - store.list_1m_ms (with -full): page 1 and page 10,000, of 100 records each, of an organization's
//     1,000,000 records with the columns and keys of an API key, newest first; the slowest of the
//     four on both databases, in milliseconds.
//
// # Group rbac
//
// One workload of questions is asked of orgkit, by handle (rbac.Principal) and by strings (Guard.Allows), and
// of Casbin with one Enforcer per organization, of Casbin's cached enforcer and of cedar-go with one policy
// set per organization, each set up as favourably as it allows: 5 roles, 4 teams which change every role by
// two permissions, 3 statements, 33 Casbin rules; 70 % allowed and 20 % denied whatever the call is like,
// 10 % by address or anomaly score. Every answer of everybody is checked. The table of them stands above that
// of the bars.
//
//   - rbac.handle_ns, rbac.handle_allocs, rbac.string_ns: a question, 4,096 of them, 1 organization.
//   - rbac.string_cold_ns, rbac.handle_100k_ns: 65,536 different questions, 1,000 organizations with 100
//     users each, so that most of what is looked at is in no cache of the processor. How long a look into
//     memory takes on the machine at that moment stands above the table.
//   - rbac.condition_ns: what one live condition more adds to a statement with one, the dearest kind.
//   - rbac.miss_us: the median of the first questions of profiles, in microseconds: the subject is resolved,
//     the profile compiled, and Casbin asked.
//   - rbac.user_bytes, rbac.org_bytes: what memory grows by when 20 organizations are loaded from SQLite and
//     each of their 20 profiles asked for all 74 actions on 12 models.
//   - rbac.change_local_us: from the commit of a change of a role or a membership to the first answer that
//     rests on it, in an organization of 1,000 users on the memory store; the 99th of a hundred.
//   - rbac.change_remote_ms, rbac.change_polled_ms: the same in another process on one PostgreSQL, which
//     asks every 0.1 ms: with notifications and without.
//   - rbac.who_can_us: Guard.WhoCan by the platform, with its own permission check, the best round.
//   - rbac.vs_casbin, rbac.vs_cedar: their time over that by handle. Casbin's matcher is in the order that its
//     documentation has; how much a tuned one gains stands in the table.
//   - rbac.load_1m_s, rbac.handle_1m_ns (with -full): 1,000 organizations with 1,000 users each, loaded from
//     a memory store.
//
// Figures in nanoseconds are those of the best round, since any disturbance is larger than they are.
//
// # Group audit
//
// One log of 64,000 events of 27 types by 200 actors, spread over 90 days, is in SQLite and in PostgreSQL: half of it
// of one organization, the rest of 100 others. What each figure is made of stands above the table.
//
//   - audit.append_sqlite_us: what the event adds to the median of an update of a record, in the same unit; both by
//     turns, as in production with checkpoints. The pages that are written are counted, the calls of the driver timed.
//   - audit.append_postgres_pct: how many updates a second of records of 1,024 organizations, by 16 connections, are
//     lost when each has its event, in percent: what the statement costs that goes with COMMIT. Windows of 256 updates take
//     turns, there and back; in them nobody puts events in order, and their space is free again as autovacuum leaves it. The
//     figure is the mean of the middle half of the rounds. With -full there are three times as many, and beside them stands
//     what any other second statement costs, and what is lost in all where this process puts events in order and signs for
//     them meanwhile, with client and server on one machine.
//   - audit.hot_org_s: 256 callers record events of one organization that belong to no change, until all are in order.
//   - audit.query_p99_ms, audit.children_p99_ms: pages of 100 events of the largest organization, by 16 filters whose
//     values vary, and of all 100 others together, by seven: of the slowest filter on the slower database what 99 of a hundred
//     calls do not exceed, when it has been asked for all these values once, so that they are in memory; and without -full the
//     slowest of thirty, when a third of the values was asked for. What the first calls took stands beside it. With -full there
//     are 10,000,000 events: the database multiplies them itself.
//   - audit.verify_s: events verified a second by two goroutines, from entries in memory; from JSON lines and by
//     Log.Verify above the table.
//   - audit.bytes_live: the pages of all tables of the log on SQLite, as they were written, over the events. VACUUM
//     gains what stands beside it.
//   - audit.bytes_archived: the lines of an export of 10,000 events of one organization by gzip -9, and the manifest,
//     over the events.
//
// # Group billing
//
// Five hard budgets lie on the path of every call: of a key, a member, a team, a glob of models and an organization.
//
//   - billing.reserve_settle_ns, billing.reserve_settle_allocs: Purse.Reserve and Hold.Settle; the best round.
//   - billing.vs_decimal: the same budgets as decimals under one lock, in the same run, over that.
//   - billing.db_tx_per_1000, billing.db_tx_idle: what PostgreSQL counts while one path has some hundred thousand
//     admissions a second, and when nobody calls any more.
//   - billing.usable_pct: two ledgers over one SQLite file, four callers each, spend 60 USD by 0.0003 until everybody has
//     been refused forty times.
//   - billing.priority_wait_ratio: 8 slots, calls of 5 ms, twice as many of them as fit, of which one in four has priority,
//     for 5 seconds; everybody waits a second at most. The 99th of a hundred waits of those over that of the others, whether
//     they are served in the end or not.
//   - billing.usable_killed_pct (with -full): four processes on one PostgreSQL, with journals and otherwise the default
//     options, spend 100 USD by 0.0003, 16 calls of 2 ms at once each. While they do, one is killed each second and
//     another started. What was charged stands in memory that survives them; a call that was under way costs its
//     estimate. It ends when nobody has had anything for 12 seconds.
//   - billing.cluster_admits_s (with -full): four processes on one PostgreSQL for 10 seconds, everything flushed, and every
//     account exact afterwards.
//
// What one transaction for each reservation costs stands above the table.
//
// # Group gate
//
// gate.Admit and Admission.Settle whole, on the memory store: the state of everything, a decision, three rate limits and the
// same five budgets. No events are kept of the calls but for a figure above the table: nothing writes them as fast.
//
//   - gate.admit_handle_ns, gate.admit_allocs: by a gate.Key; the best round.
//   - gate.admit_secret_ns: by the secrets of 100,000 keys in an order that no cache foresees.
//
// # Group usage
//
// Calls of one organization with 20 teams, 8 models and three tags each; every sum and figure is held against the events.
//
//   - usage.ingest_sqlite_s, usage.ingest_postgres_s: Metering.Ingest of 10,000 events of 1,000 users, ten a second, all new, in
//     one unit with what they add up to. What it comes to where half are there already stands above the table.
//   - usage.analytics_30d_ms: Metering.Analytics with all metrics of last_30_days, ending at a hundred different moments, of
//     200,000 events in 31 days; with -full of 10,000,000.
//   - usage.event_to_report_ms: from Metering.Record until another process sees the event in its analytics, the median of 20.
//   - usage.bytes_per_event: the pages of all tables of events and sums over the events that were ingested ten a second; 10
//     million in 30 days are four. The fewer there are, the more the sums weigh beside them: how much each table takes,
//     then and after the 31 days were written, stands above.
//
// # Group gateway
//
// Package proxy in front of a reverse proxy, 256 connections of clients, an upstream that answers at once, and all of them in
// this process; the organization is in SQLite, with two rate limits, three hard budgets and an event of each call.
//
//   - gateway.share_p50_us, gateway.share_p99_us: of a request what does not pass in the proxy behind it: reading the body,
//     admission, writing the answer and settling it.
//   - gateway.rps: through all of it.
//   - gateway.vs_plain_proxy: those over those of the proxy alone; rounds of half a second, one after the other.
//   - gateway.memory_growth_pct: with -full.
//
// # Group scim
//
// Requests to package scim's handler, in this process, by the token of one organization: 5,000 users, all of them in one group;
// with -full 100,000. Of the two databases the slower counts. The limit on requests is out of the way.
//
//   - scim.username_eq_p99_ms: GET /Users by userName eq, of somebody and of nobody.
//   - scim.patch_member_ms: PATCH that adds one member to the group of all or removes one. Above the table the same with a
//     group of 100, and the group without its members.
//   - scim.page100_ms: pages of 100 users one after another, by index and by cursor. What a page costs that does not follow
//     another, and by a filter that no index serves, stands above.
//   - scim.writes_memory_s, scim.writes_postgres_s: users made, changed, added to the group of all and removed from it, by 16
//     callers, in a second.
//   - scim.bulk10k_s: ten bulk requests of 1,000 users, each made in a unit of its own; without -full two of them, times five.
//
// # Group api
//
// The handler of the native API, without a connection: personal token, decision, answer in JSON.
//
//   - api.get_us: GET of a team with settings and a budget, by a member of it, on SQLite; what it takes on PostgreSQL stands
//     above the table.
//   - api.list_1m_ms: page 1 and page 10,000, of 100 keys each, of an organization's 1,000,000 keys, by its owner; the slowest
//     of the four on both databases. The database multiplies one key that the service has made.
//
// # Reading the figures
//
// A figure is the median of several rounds, a round many calls where one call is short. Beside it the table
// has the best round: where the two lie far apart the machine was busy, and the run says little.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
)

// group is a set of bars that are measured together. A new one is a file and a line here.
type group struct {
	name string
	bars []bar
	run  func(ctx context.Context, b *bench) error
}

var groups = []group{
	{"store", storeBars, benchStore},
	{"rbac", rbacBars, benchRBAC},
	{"audit", auditBars, benchAudit},
	{"billing", billingBars, benchBilling},
	{"gate", gateBars, benchGate},
	{"usage", usageBars, benchUsage},
	{"gateway", gatewayBars, benchGateway},
	{"scim", scimBars, benchSCIM},
	{"api", apiBars, benchAPI},
}

// bar is a figure with a limit.
type bar struct {
	name  string
	what  string
	limit float64
	least bool // the figure must be at least the limit; else at most
	full  bool // only measured with -full
}

func (b bar) met(value float64) bool {
	if b.least {
		return value >= b.limit
	}
	return value <= b.limit
}

func (b bar) sign() string {
	if b.least {
		return ">="
	}
	return "<="
}

// bench is one run of the program.
type bench struct {
	full   bool
	dir    string // for files of the group that runs, removed with it
	server server
	values map[string]figure
	notes  []string
}

// figure is what was measured for a bar.
type figure struct {
	value float64 // of the median round
	best  float64
}

// set notes the figure of a bar, in the unit that of turns nanoseconds into.
func (b *bench) set(name string, s sample, of func(ns float64) float64) {
	b.values[name] = figure{of(s.median()), of(s.best())}
}

// setBest is set for what is so short that any disturbance is larger than it: the figure is that of the best
// round.
func (b *bench) setBest(name string, s sample, of func(ns float64) float64) {
	b.values[name] = exactly(of(s.best()))
}

// exactly is a figure that has no rounds.
func exactly(v float64) figure { return figure{v, v} }

// note is a line above the table.
func (b *bench) note(format string, args ...any) {
	b.notes = append(b.notes, fmt.Sprintf(format, args...))
}

// begin says what is measured next, on standard error: standard output holds results only. The garbage of
// what was measured before is cleared away.
func (b *bench) begin(what string) {
	fmt.Fprintln(os.Stderr, "measuring", what)
	runtime.GC()
}

func main() {
	only := flag.String("only", "", "run these `groups` only, separated by commas: "+strings.Join(names(), ", "))
	full := flag.Bool("full", false, "measure the bars too that take minutes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if config := os.Getenv(watchVariable); config != "" { // the other process of group rbac
		if err := watch(ctx, config, os.Stdout); err != nil && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	if dsn := os.Getenv(spendVariable); dsn != "" { // one of those of group billing
		if err := spend(ctx, dsn); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	if dsn := os.Getenv(riskVariable); dsn != "" { // another of those
		if err := risk(ctx, dsn, os.Getenv(riskDir)); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	if err := run(ctx, os.Stdout, *only, *full, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

func names() (all []string) {
	for _, g := range groups {
		all = append(all, g.name)
	}
	return all
}

func run(ctx context.Context, out io.Writer, only string, full bool, rest []string) error {
	if len(rest) > 0 {
		return fmt.Errorf("unknown argument %q", rest[0])
	}
	chosen, err := choose(only)
	if err != nil {
		return err
	}
	b := &bench{full: full, values: map[string]figure{}}
	if err := b.measure(ctx, chosen); err != nil {
		return err
	}
	return b.print(out, chosen)
}

func choose(only string) (chosen []group, err error) {
	if only == "" {
		return groups, nil
	}
	for name := range strings.SplitSeq(only, ",") {
		i := slices.Index(names(), name)
		if i < 0 {
			return nil, fmt.Errorf("no group is named %q; there are: %s", name, strings.Join(names(), ", "))
		}
		chosen = append(chosen, groups[i])
	}
	return chosen, nil
}

// measure runs the groups. All that they opened has ended when it returns.
func (b *bench) measure(ctx context.Context, chosen []group) (err error) {
	if b.dir, err = os.MkdirTemp("", "orgkit-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.server.stop(context.WithoutCancel(ctx)), os.RemoveAll(b.dir)) }()
	for _, g := range chosen {
		if err := b.group(ctx, g); err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
	}
	return nil
}

// group runs one. What it has stored is gone when it returns: all together take several gigabytes.
func (b *bench) group(ctx context.Context, g group) (err error) {
	all := b.dir
	defer func() { b.dir = all }()
	if b.dir, err = os.MkdirTemp(all, g.name+"-"); err != nil {
		return err
	}
	if err := g.run(ctx, b); err != nil {
		return errors.Join(err, b.server.last())
	}
	return errors.Join(b.server.drop(ctx), os.RemoveAll(b.dir))
}

func (b *bench) print(out io.Writer, chosen []group) error {
	for _, note := range b.notes {
		fmt.Fprintln(out, note)
	}
	fmt.Fprintln(out)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "BAR\tVALUE\tLIMIT\tMET\tBEST ROUND\tWHAT")
	var lines []string
	for _, g := range chosen {
		for _, bar := range g.bars {
			if bar.full && !b.full {
				continue
			}
			value, best, met := "-", "-", "skipped"
			if f, measured := b.values[bar.name]; measured {
				value, best, met = number(f.value), number(f.best), "no"
				if bar.met(f.value) {
					met = "yes"
				}
				lines = append(lines, "bar "+bar.name+" "+value)
			}
			fmt.Fprintf(table, "%s\t%s\t%s %s\t%s\t%s\t%s\n", bar.name, value, bar.sign(), number(bar.limit), met, best, bar.what)
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\n%s\n", strings.Join(lines, "\n"))
	return err
}

func number(v float64) string {
	if v >= 1000 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
