package orgs_test

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// TestKilledProcessLeavesNoHalfChange kills a process at random moments while it changes things, again and
// again on one database. A reader that shares nothing with it but the database, neither memory nor code,
// finds records, events and revisions that agree, while it runs and afterwards, and all that was answered.
func TestKilledProcessLeavesNoHalfChange(t *testing.T) {
	series, rounds := 4, 25 // several databases: each look is at all of one
	if testing.Short() || fewer > 1 {
		series, rounds = 1, 20
	}
	shared(t, func(t *testing.T, fresh func() string) {
		kinds := map[string]int{}
		for range series {
			database := fresh()
			a := &answers{events: map[string]int{}, least: rbac.Revision{}}
			for round := range rounds {
				// Of four rounds the first is looked at while the child runs and afterwards, the third afterwards. A
				// file that nobody has open when its writer is killed is recovered by whoever opens it next: there by
				// the reader, in the others by the next child.
				killed(t, database, a, round%4 == 0, round%2 == 0)
			}
			newOutsider(t, database).finally(a)
			for event, n := range a.events {
				kind, _, _ := strings.Cut(event, " ")
				kinds[kind] += n
			}
			s, err := openDatabase(t.Context(), database, nil)
			require.NoError(t, err)
			w := orgstest.New(t, s, nil)
			org, _ := w.Org("after")
			w.Team(org, "after", orgs.TeamSettings{})
			proves(t, s)
			require.NoError(t, s.Close())
		}
		t.Logf("answered: %v", kinds)
		if series > 1 {
			require.GreaterOrEqual(t, len(kinds), 15, "of 18 kinds of change")
		}
	})
}

// proves signs every log that is there and reads it all again: whatever was killed, the trees are those of the events.
func proves(t *testing.T, s *store.Store) {
	o := inOrder().Audit
	log := audit.New(s, &o)
	verifiers, err := audit.Verifiers(o.Verifiers...)
	require.NoError(t, err)
	orgIDs := []string{""}
	require.NoError(t, s.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		for scope, err := range rbac.Scopes.All(ctx, tx, store.Query{}) {
			if err != nil {
				return err
			}
			orgIDs = append(orgIDs, scope.ID)
		}
		return nil
	}))
	for _, id := range orgIDs {
		_, err := log.Checkpoint(t.Context(), id)
		require.NoError(t, err)
		r, err := log.Verify(t.Context(), id, verifiers)
		require.NoError(t, err)
		require.Equal(t, audit.Intact, r.Verdict, "%s: %v", id, r)
	}
}

// killed is one round: a child that is killed, and looks at what it leaves.
func killed(t *testing.T, database string, a *answers, during, after bool) {
	c := startChild(t, "crash", database)
	var reader *outsider
	if during {
		reader = newOutsider(t, database)
		reader.check(nil)
	}
	// The moment is counted in changes, so that it is as random on a slow machine: some of them, and then a part
	// of the time that one takes.
	some, began := rand.IntN(10), time.Now()
	for range some {
		a.note(t, c.hear())
	}
	time.AfterFunc(rand.N(2*time.Since(began)/time.Duration(some+1)+5*time.Millisecond), func() { c.cmd.Process.Kill() })
	for line := range c.lines {
		a.note(t, line)
	}
	c.kill()
	require.Empty(t, c.errors.String(), "the child ended by itself")
	if after && reader == nil {
		reader = newOutsider(t, database)
	}
	if after {
		reader.finally(a)
	}
}

// answers is what children have said to be done.
type answers struct {
	events map[string]int // by type and resource
	least  rbac.Revision
}

func (a *answers) note(t *testing.T, line string) {
	parts := strings.Split(line, " ")
	require.Len(t, parts, 3, line)
	a.events[parts[0]+" "+parts[1]]++
	if parts[2] == "" { // a user belongs to no organization
		return
	}
	rev, err := rbac.ParseRevision("revision", parts[2])
	require.NoError(t, err)
	for id, n := range rev {
		a.least[id] = max(n, a.least[id])
	}
}

// crashProgram makes changes that write several records, as fast as it can, until it is killed. Each that
// was answered is said: the type of its event, what it is about, and the revision.
func crashProgram(ctx context.Context, m *orgs.Manager, input *bufio.Scanner) error {
	const workers = 2 // on PostgreSQL the kill finds two units open
	ctx = audit.WithActor(ctx, audit.PlatformAdmin())
	walks := make([]*walk, workers)
	for i := range walks {
		walks[i] = &walk{Manager: m, ctx: ctx}
	}
	if err := resume(ctx, m, walks); err != nil {
		return err
	}
	say("ready")
	ended := make(chan error, workers+1)
	for _, w := range walks {
		go func() {
			for {
				if err := w.step(); err != nil {
					ended <- err
					return
				}
			}
		}()
	}
	go func() {
		for input.Scan() {
		}
		ended <- nil // the parent is gone
	}()
	return <-ended
}

// outsider reads a database past this library, on one connection.
type outsider struct {
	t      *testing.T
	db     *sql.DB
	server bool // and not a file
}

func newOutsider(t *testing.T, database string) *outsider {
	l := &outsider{t: t}
	var err error
	if strings.HasPrefix(database, "postgres") {
		l.server = true
		l.db, err = sql.Open("pgx", database)
	} else {
		l.db, err = sql.Open("sqlite", "file:"+database+"?_pragma=busy_timeout(10000)&_pragma=temp_store(2)")
	}
	require.NoError(t, err)
	l.db.SetMaxOpenConns(1)
	t.Cleanup(func() { l.db.Close() })
	return l
}

// settled waits until the server has noticed that the child is gone: with its last session its last lock goes.
func (l *outsider) settled() {
	if !l.server {
		return // the system has let go of the file with the process
	}
	require.Eventually(l.t, func() bool {
		var sessions, prepared int
		require.NoError(l.t, l.db.QueryRow(`SELECT (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
			AND backend_type = 'client backend' AND pid <> pg_backend_pid()), (SELECT count(*) FROM pg_prepared_xacts)`).Scan(&sessions, &prepared))
		return sessions+prepared == 0
	}, 20*time.Second, 2*time.Millisecond, "sessions of the child are left, with what they have locked")
}

// finally looks at what a killed child has left.
func (l *outsider) finally(a *answers) {
	l.settled()
	l.check(a)
	if !l.server {
		require.Equal(l.t, []string{"ok"}, l.column(l.db, "PRAGMA integrity_check"))
	}
	require.NoError(l.t, l.db.Close())
}

type queryer interface {
	Query(query string, args ...any) (*sql.Rows, error)
}

func (l *outsider) column(q queryer, query string) (values []string) {
	l.t.Helper()
	rows, err := q.Query(query)
	require.NoError(l.t, err, query)
	defer rows.Close()
	for rows.Next() {
		var v string
		require.NoError(l.t, rows.Scan(&v))
		values = append(values, v)
	}
	require.NoError(l.t, rows.Err())
	return values
}

// check looks at everything in one snapshot: that it agrees, and that what was answered is in it.
func (l *outsider) check(a *answers) {
	l.t.Helper()
	o := &sql.TxOptions{}
	if l.server {
		o.Isolation = sql.LevelRepeatableRead
	}
	tx, err := l.db.BeginTx(l.t.Context(), o)
	require.NoError(l.t, err)
	defer tx.Rollback() // and with it the tables of this look
	l.spell(tx)
	for _, text := range strings.Split(logTables, ";") {
		_, err := tx.Exec(text)
		require.NoError(l.t, err, text)
	}
	for what, query := range faults {
		if wrong := l.column(tx, query); len(wrong) > 0 {
			l.t.Errorf("%s: %v", what, wrong)
		}
	}
	if l.t.Failed() {
		l.t.FailNow()
	}
	if a == nil {
		return
	}
	events := map[string]int{}
	for _, event := range l.column(tx, "SELECT type || ' ' || resource FROM log") {
		events[event]++
	}
	for event, n := range a.events {
		require.GreaterOrEqual(l.t, events[event], n, "%s was answered and is lost", event)
	}
	reached := strings.Join(l.column(tx, "SELECT id || ':' || revision FROM scopes"), ",")
	for id, n := range a.least {
		_, rest, ok := strings.Cut(reached, id+":")
		require.True(l.t, ok, "%s is lost", id)
		var is int64
		_, err := fmt.Sscan(strings.SplitN(rest, ",", 2)[0], &is)
		require.NoError(l.t, err)
		require.GreaterOrEqual(l.t, is, n, "revision of %s", id)
	}
}

// logTables are filled by spell.
const logTables = `
CREATE INDEX log_resource ON log (resource);
CREATE TEMP TABLE tally AS SELECT type, resource, count(*) AS n FROM log GROUP BY type, resource;
CREATE INDEX tally_resource ON tally (resource)`

// spell writes the log out as a table, of events that have their place and of those that wait for it. What is left
// out because a word is missing is found by a count.
func (l *outsider) spell(tx *sql.Tx) {
	l.t.Helper()
	_, err := tx.Exec("CREATE TEMP TABLE log (id TEXT, org TEXT, team TEXT, type TEXT, resource TEXT, was TEXT, becomes TEXT, parent TEXT)")
	require.NoError(l.t, err)
	var values []string
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	note := func(id, org, team, typ, resource string, personal []byte) {
		texts := split(l.t, personal[1:])
		field := func(of int, name string) string {
			var rec map[string]any
			if len(texts[of]) > 0 {
				require.NoError(l.t, json.Unmarshal(texts[of], &rec))
			}
			if s, is := rec[name].(string); is {
				return quote(s)
			}
			return "NULL"
		}
		was, becomes, parent := "NULL", "NULL", "NULL"
		switch typ {
		case "organization.transferred":
			was, becomes = field(4, "owner"), field(5, "owner")
		case "organization.created":
			parent = field(5, "parent_id")
		}
		values = append(values, "("+strings.Join([]string{quote(id), quote(org), quote(team), quote(typ), quote(resource), was, becomes, parent}, ", ")+")")
	}
	rows, err := tx.Query(`SELECT org.word, team.word, kind.word, e.body FROM audit_events e
		JOIN log_words org ON org.id = e.org_id JOIN log_words team ON team.id = e.team_id JOIN log_words kind ON kind.id = e.kind`)
	require.NoError(l.t, err)
	for rows.Next() {
		var org, team, kind string
		var body []byte
		require.NoError(l.t, rows.Scan(&org, &team, &kind, &body))
		typ, outcome, _ := strings.Cut(kind, "\n")
		require.Equal(l.t, "success", outcome)
		texts, rest := unpack(l.t, body, 6) // the event, the actor, for whom, the resource, its slug, the request
		note(texts[0], org, team, typ, texts[3], expand(l.t, rest[1+int(rest[0]):]))
	}
	require.NoError(l.t, rows.Err())
	rows, err = tx.Query("SELECT event FROM audit_pending")
	require.NoError(l.t, err)
	for rows.Next() {
		var event []byte
		require.NoError(l.t, rows.Scan(&event))
		texts, rest := unpack(l.t, event[1+8:], 14) // behind a version and the time: the organization, and the texts of the header
		require.Equal(l.t, "success", texts[12])
		note(texts[1], texts[0], texts[2], texts[3], texts[10], expand(l.t, rest[1+int(rest[0]):]))
	}
	require.NoError(l.t, rows.Err())
	for some := range slices.Chunk(values, 500) {
		_, err := tx.Exec("INSERT INTO log VALUES " + strings.Join(some, ", "))
		require.NoError(l.t, err)
	}
}

// split reads texts behind their lengths, as far as they go.
func split(t *testing.T, b []byte) (texts [][]byte) {
	for len(b) > 0 {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > uint64(len(b)-size) {
			break
		}
		texts = append(texts, b[size:size+int(n)])
		b = b[size+int(n):]
	}
	require.NotEmpty(t, texts)
	return texts
}

// unpack reads n packed texts; behind them come the salt and what is personal.
func unpack(t *testing.T, b []byte, n int) (texts []string, rest []byte) {
	const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
	prefixes := []string{"", "evt_", "usr_", "key_", "org_", "team_", "proj_", "role_", "pol_", "bud_", "inv_", "tok_", "mem_"}
	for range n {
		form, below := b[0]>>5, int(b[0]&31)
		prefix := ""
		switch b = b[1:]; {
		case form == 0:
			require.Less(t, below, 31)
			texts, b = append(texts, string(b[:below])), b[below:]
			continue
		case below == 31: // spelled out behind its length
			prefix, b = string(b[1:1+b[0]]), b[1+b[0]:]
		default:
			require.Less(t, below, len(prefixes))
			prefix = prefixes[below]
		}
		switch form {
		case 1: // 26 characters, the first of three bits
			v, text := new(big.Int).SetBytes(b[:16]), make([]byte, 26)
			for i := range text {
				text[i] = alphabet[new(big.Int).Rsh(v, uint(5*(25-i))).Uint64()&31]
			}
			texts, b = append(texts, prefix+string(text)), b[16:]
		case 4: // 24 of base 32
			texts, b = append(texts, prefix+strings.ToLower(base32.StdEncoding.EncodeToString(b[:15]))), b[15:]
		default:
			require.Fail(t, "a text of another form")
		}
	}
	return texts, b
}

// expand reads what is personal: runs of bytes, and places in the phrases and what came before from where to copy.
func expand(t *testing.T, b []byte) []byte {
	phrases, err := os.ReadFile("../audit/phrases.txt")
	require.NoError(t, err)
	out := slices.Clone(phrases)
	for len(b) > 0 {
		n := int(b[0])
		b = b[1:]
		if n < 128 {
			out, b = append(out, b[:n+1]...), b[n+1:]
			continue
		}
		back, size := binary.Uvarint(b)
		b = b[size:]
		for range n - 128 + 4 {
			out = append(out, out[len(out)-int(back)])
		}
	}
	return out[len(phrases):]
}

// pairs finds ids that do not have one record and one event of its creation, or neither record nor less than
// one event of its end.
func pairs(table, created, deleted string) string {
	return fmt.Sprintf(`SELECT id FROM (SELECT id, 1 AS n FROM %s UNION ALL SELECT resource, n FROM tally WHERE type = '%s'
		UNION ALL SELECT resource, -n FROM tally WHERE type = '%s') x GROUP BY id HAVING sum(n) <> 0`, table, deleted, created)
}

// versions finds records whose version is another one than their events make.
func versions(table string, events ...string) string {
	return fmt.Sprintf(`SELECT r.id FROM %s r LEFT JOIN tally e ON e.resource = r.id AND e.type IN ('%s')
		GROUP BY r.id, r.version HAVING r.version <> 1 + COALESCE(sum(e.n), 0)`, table, strings.Join(events, "', '"))
}

// faults are what half a change would leave behind: each query names the ids that are wrong.
var faults = map[string]string{
	"event without its words": `SELECT 'log' WHERE (SELECT count(*) FROM audit_events) + (SELECT count(*) FROM audit_pending) <> (SELECT count(*) FROM log)`,
	"event and its place in the tree": `SELECT 'block' FROM audit_events e LEFT JOIN audit_tree b ON b.org_id = e.org_id AND b.n = e.seq / 16 AND b.at = e.at
			WHERE e.seq % 16 = 15 AND b.at IS NULL
		UNION SELECT 'more' WHERE (SELECT count(*) FROM audit_events WHERE seq % 16 = 15) <> (SELECT count(*) FROM audit_tree)
		UNION SELECT 'gap' FROM audit_events GROUP BY org_id HAVING count(*) <> max(seq) + 1`,
	"organization and its event":    pairs("organizations", "organization.created", ""),
	"user and its events":           pairs("users", "user.created", "user.deleted"),
	"team and its events":           pairs("teams", "team.created", "team.deleted"),
	"invitation and its event":      pairs("invitations", "member.invited", ""),
	"key and its event":             pairs("api_keys", "api_key.created", ""),
	"organization and its versions": versions("organizations", "organization.updated", "organization.deleted", "organization.restored", "organization.moved"),
	"team and its versions":         versions("teams", "team.archived", "team.unarchived"),

	// Guard.Change: one event, one step. An organization's own creation is no step of it, but one of its parent.
	"revision and the changes of its organization": `SELECT s.id FROM scopes s
		LEFT JOIN (SELECT org, count(*) AS n FROM log GROUP BY org) own ON own.org = s.id
		LEFT JOIN (SELECT parent, count(*) AS n FROM log WHERE type = 'organization.created' GROUP BY parent) below ON below.parent = s.id
		WHERE s.revision <> COALESCE(own.n, 0) - 1 + COALESCE(below.n, 0)`,
	// Beside its steps a scope is written with its organization.
	"scope and its organization": `SELECT o.id FROM organizations o LEFT JOIN scopes s ON s.id = o.id AND s.state = o.state
		AND s.parent_id = o.parent_id AND s.version = s.revision + o.version WHERE s.id IS NULL
		UNION SELECT id FROM scopes WHERE id NOT IN (SELECT id FROM organizations) OR parent_id <> '' AND parent_id NOT IN (SELECT id FROM scopes)`,
	"organization and its deletion": `SELECT id FROM organizations WHERE (state = 'deleted') <> (deleted_at IS NOT NULL) OR (state = 'deleted') <> (state_before <> '')`,
	"organization and its two roles": `SELECT o.id FROM organizations o LEFT JOIN roles r ON r.org_id = o.id AND r.is_system GROUP BY o.id HAVING count(r.id) <> 2
		UNION SELECT id FROM roles WHERE org_id NOT IN (SELECT id FROM organizations)`,
	"organization and its owner": `SELECT o.id FROM organizations o LEFT JOIN roles r ON r.org_id = o.id AND r.slug = 'org_admin'
		LEFT JOIN assignments a ON a.role_id = r.id AND a.org_id = o.id AND a.team_id = '' AND a.kind = 'member' GROUP BY o.id HAVING count(a.id) <> 1`,
	"organization and its slug": `SELECT o.id FROM organizations o LEFT JOIN org_slugs s ON s.org_id = o.id AND s.slug = o.slug
		AND (s.until IS NULL) = (o.state <> 'deleted') WHERE s.id IS NULL
		UNION SELECT org_id FROM org_slugs WHERE until IS NULL GROUP BY org_id HAVING count(*) > 1`,
	"organization and the slugs that it had": `SELECT s.org_id FROM (SELECT org_id, count(*) AS n FROM org_slugs GROUP BY org_id) s
		LEFT JOIN tally e ON e.resource = s.org_id AND e.type = 'organization.updated' WHERE s.n <> 1 + COALESCE(e.n, 0)`,

	"team, its restriction and its budget": `SELECT t.id FROM teams t LEFT JOIN restrictions r ON r.id = t.id AND r.org_id = t.org_id
		AND r.state = t.state AND r.version = t.version LEFT JOIN budgets b ON b.scope = 'team' AND b.scope_id = t.id AND b.version = t.version
		GROUP BY t.id HAVING count(r.id) <> 1 OR count(b.id) <> 1
		UNION SELECT id FROM restrictions WHERE id NOT IN (SELECT id FROM teams) UNION SELECT id FROM budgets WHERE scope_id NOT IN (SELECT id FROM teams)`,

	"key and its assignment": `SELECT k.id FROM api_keys k LEFT JOIN assignments a ON a.subject = k.id AND a.kind = 'key' AND a.org_id = k.org_id
		AND a.team_id = k.team_id AND a.bound = k.user_id AND a.version = k.version AND a.acts_as_team = k.inherit_team
		AND (a.state = 'suspended') = (k.disabled OR k.revoked_at IS NOT NULL) WHERE a.id IS NULL
		UNION SELECT subject FROM assignments WHERE kind = 'key' GROUP BY subject HAVING count(*) <> 1
		UNION SELECT subject FROM assignments WHERE kind = 'key' AND subject NOT IN (SELECT id FROM api_keys)`,
	"key and its changes": `SELECT k.id FROM api_keys k LEFT JOIN tally e ON e.resource = k.id AND e.type LIKE 'api_key.%'
		GROUP BY k.id, k.version HAVING k.version < sum(e.n)`,
	"keys that were made together": `SELECT name FROM api_keys GROUP BY name HAVING count(*) <> 2`,
	"key that works and its person": `SELECT k.id FROM api_keys k LEFT JOIN assignments a ON a.subject = k.user_id AND a.org_id = k.org_id AND a.team_id = k.team_id
		WHERE NOT k.disabled AND k.revoked_at IS NULL AND (a.id IS NULL OR k.team_id NOT IN (SELECT id FROM teams))`,

	"membership of nobody, nowhere or by no role": `SELECT a.id FROM assignments a LEFT JOIN roles r ON r.id = a.role_id AND r.org_id = a.org_id
		LEFT JOIN assignments o ON o.subject = a.subject AND o.org_id = a.org_id AND o.team_id = '' WHERE a.kind = 'member'
		AND (r.id IS NULL OR o.id IS NULL OR a.subject NOT IN (SELECT id FROM users) OR a.team_id <> '' AND a.team_id NOT IN (SELECT id FROM teams))`,
	"membership and its changes": `SELECT a.id FROM assignments a LEFT JOIN (
		SELECT org, team, resource AS subject FROM log WHERE type = 'member.role_changed'
		UNION ALL SELECT org, '', was FROM log WHERE type = 'organization.transferred'
		UNION ALL SELECT org, '', becomes FROM log WHERE type = 'organization.transferred') e
		ON e.org = a.org_id AND e.team = a.team_id AND e.subject = a.subject
		WHERE a.kind = 'member' GROUP BY a.id, a.version HAVING a.version <> 1 + count(e.org)`,
	// Nobody joins twice here.
	"membership that began or ended": `SELECT a.id FROM assignments a JOIN log e ON e.resource = a.subject AND e.type = 'member.removed'
		AND e.org = a.org_id AND e.team IN ('', a.team_id)
		UNION SELECT a.id FROM assignments a LEFT JOIN log e ON e.resource = a.subject AND e.type = 'member.joined' AND e.team = a.team_id
		WHERE a.kind = 'member' AND a.team_id <> '' AND e.id IS NULL
		UNION SELECT e.id FROM log e LEFT JOIN assignments a ON a.subject = e.resource AND a.org_id = e.org AND a.team_id = e.team
		LEFT JOIN log r ON r.resource = e.resource AND r.type = 'member.removed' AND r.org = e.org AND r.team IN ('', e.team)
		LEFT JOIN log d ON d.resource = e.team AND d.type = 'team.deleted'
		WHERE e.type = 'member.joined' AND a.id IS NULL AND r.id IS NULL AND d.id IS NULL`,
	"invitations and their answers": `SELECT team FROM (SELECT team_id AS team, 1 AS n FROM invitations WHERE status = 'accepted'
		UNION ALL SELECT team, -1 FROM log WHERE type = 'member.joined') x GROUP BY team HAVING sum(n) <> 0
		UNION SELECT id FROM invitations WHERE (pending IS NOT NULL) <> (status = 'pending') OR pending IS NOT NULL AND team_id NOT IN (SELECT id FROM teams)`,
}
