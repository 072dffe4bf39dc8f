package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/postgres"
	"github.com/orgkit/orgkit/store/sqlite"
)

// changeScale is an organization in which re-reading everybody would be seen.
var changeScale = loadScale{1, 1000, 1}

// changer turns a permission of one user on and off.
type changer struct {
	*orgkit
	principal *rbac.Principal
	action    rbac.Action
	turn      []func(ctx context.Context, on bool) error // each way of doing so
}

const turned = "webhooks.test" // which no role of the workload but admin's holds

func newChanger(ctx context.Context, o *orgkit) (*changer, error) {
	org := o.w.orgs[0]
	user := org.users[2] // a developer
	team := org.teams[user.team].id
	p, err := o.Principal(ctx, org.id, team, user.id)
	if err != nil {
		return nil, err
	}
	c := &changer{orgkit: o, principal: p, action: o.Action(turned)}
	with := func(on bool, permissions ...string) []string {
		if on {
			return append(permissions, turned)
		}
		return permissions
	}
	c.turn = []func(context.Context, bool) error{
		func(ctx context.Context, on bool) error { // what a role means, for everybody who holds it
			permissions := with(on, o.w.roles[2].permissions...)
			_, err := o.UpdateRole(ctx, org.id, "developer", rbac.RoleUpdate{Permissions: &permissions})
			return err
		},
		func(ctx context.Context, on bool) error { // what one member holds
			return o.Change(ctx, rbac.Op{Action: "members.update", OrgID: org.id}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
				held, err := rbac.Held(ctx, tx, org.id, user.id)
				if err != nil {
					return audit.Change{}, err
				}
				held[0].Add = with(on)
				return audit.Change{}, rbac.Assignments.Update(ctx, tx, &held[0])
			})
		},
	}
	return c, nil
}

// run turns the permission on or off and returns when that was committed.
func (c *changer) run(ctx context.Context, turn func(context.Context, bool) error, on bool) (committed time.Time, err error) {
	ctx = audit.WithActor(ctx, audit.PlatformAdmin())
	err = c.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		tx.AfterCommit(func() { committed = time.Now() })
		return turn(ctx, on)
	})
	return committed, err
}

// local measures from the commit of a change to the first answer that rests on it.
func (c *changer) local(ctx context.Context, n int) (s sample, err error) {
	call := rbac.Call{Resource: "webhook:1"}
	for i := range n {
		turn, on := c.turn[i/2%len(c.turn)], i%2 == 0
		committed, err := c.run(ctx, turn, on)
		if err != nil {
			return nil, err
		}
		answer, err := c.principal.Allows(ctx, c.action, &call)
		if err != nil {
			return nil, err
		}
		s.add(time.Since(committed), 1)
		if answer.Allowed != on {
			return nil, errors.New("the change is not seen by the next check")
		}
	}
	return s[n/10:], nil // the first of them make what the others find
}

func benchChanges(ctx context.Context, b *bench) error {
	b.begin("rbac: changes")
	w := newWorkload(changeScale)
	o, err := loadOrgkit(ctx, w)
	if err != nil {
		return err
	}
	defer o.close()
	c, err := newChanger(ctx, o)
	if err != nil {
		return err
	}
	s, err := c.local(ctx, 2000)
	if err != nil {
		return err
	}
	b.values["rbac.change_local_us"] = figure{micros(s.p99()), micros(s.best())}
	if err := b.localOn(ctx, "sqlite", w); err != nil {
		return err
	}
	return b.benchRemote(ctx, w)
}

// localOn notes the same for a store with SQL.
func (b *bench) localOn(ctx context.Context, name string, w *workload) error {
	s, err := sqlite.Open(ctx, b.dir+"/changes.db", nil)
	if err != nil {
		return err
	}
	o, err := newOrgkit(ctx, w, s)
	if err != nil {
		return err
	}
	defer o.close()
	c, err := newChanger(ctx, o)
	if err != nil {
		return err
	}
	took, err := c.local(ctx, 500)
	b.note("%s: from commit to visible in this process p99 %.0f us", name, micros(took.p99()))
	return err
}

// watched tells a child what to look at.
type watched struct {
	DSN, Org, Team, Subject string
	NoFeed                  bool
}

// watchVariable makes this program a child that watches.
const watchVariable = "ORGKIT_BENCH_WATCH"

// watch is another process: it writes a line with the time whenever the answer has changed.
func watch(ctx context.Context, config string, out io.Writer) error {
	var w watched
	if err := json.Unmarshal([]byte(config), &w); err != nil {
		return err
	}
	s, err := postgres.Open(ctx, w.DSN, &postgres.Options{NoFeed: w.NoFeed})
	if err != nil {
		return err
	}
	defer s.Close()
	g, err := rbac.NewGuard(s, &rbac.Options{Actions: loadActions})
	if err != nil {
		return err
	}
	defer g.Close()
	p, err := g.Principal(ctx, w.Org, w.Team, w.Subject)
	if err != nil {
		return err
	}
	action, call, was := g.Action(turned), rbac.Call{Resource: "webhook:1"}, false
	fmt.Fprintln(out, "ready")
	for ctx.Err() == nil {
		answer, err := p.Allows(ctx, action, &call)
		if err != nil {
			return err
		}
		if answer.Allowed != was {
			was = answer.Allowed
			fmt.Fprintln(out, time.Now().UnixNano())
		}
		time.Sleep(100 * time.Microsecond)
	}
	return nil
}

// benchRemote measures from the commit of a change in this process to the first answer in another one.
func (b *bench) benchRemote(ctx context.Context, w *workload) error {
	dsn, err := b.server.database(ctx)
	if err != nil || dsn == "" {
		return err
	}
	s, err := postgres.Open(ctx, dsn, nil)
	if err != nil {
		return err
	}
	o, err := newOrgkit(ctx, w, s)
	if err != nil {
		return err
	}
	defer o.close()
	c, err := newChanger(ctx, o)
	if err != nil {
		return err
	}
	for _, m := range []struct {
		bar    string
		n      int
		noFeed bool
	}{{"rbac.change_remote_ms", 200, false}, {"rbac.change_polled_ms", 24, true}} {
		org := w.orgs[0]
		user := org.users[2]
		took, err := c.remote(ctx, m.n, watched{dsn, org.id, org.teams[user.team].id, user.id, m.noFeed})
		if err != nil {
			return fmt.Errorf("%s: %w", m.bar, err)
		}
		b.values[m.bar] = figure{millis(took.p99()), millis(took.best())}
	}
	return nil
}

func (c *changer) remote(ctx context.Context, n int, w watched) (s sample, err error) {
	config, err := json.Marshal(w)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	child := exec.CommandContext(ctx, self)
	child.Env, child.Stderr = append(os.Environ(), watchVariable+"="+string(config)), os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		cancel()
		return nil, err
	}
	if err := child.Start(); err != nil {
		cancel()
		return nil, err
	}
	defer func() {
		cancel()
		_ = child.Wait() // it was killed
	}()
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "ready" {
		return nil, errors.New("the other process does not come up")
	}
	for i := range n {
		time.Sleep(rand.N(20 * time.Millisecond))
		if w.NoFeed {
			time.Sleep(rand.N(200 * time.Millisecond)) // anywhere between two comparisons
		}
		committed, err := c.run(ctx, c.turn[i/2%len(c.turn)], i%2 == 0)
		if err != nil {
			return nil, err
		}
		if !lines.Scan() {
			return nil, errors.New("the other process has ended")
		}
		seen, err := strconv.ParseInt(strings.TrimSpace(lines.Text()), 10, 64)
		if err != nil {
			return nil, err
		}
		s.add(time.Unix(0, seen).Sub(committed), 1)
	}
	return s, nil
}
