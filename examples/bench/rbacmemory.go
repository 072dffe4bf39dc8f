package main

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"time"

	"github.com/orgkit/orgkit/store/sqlite"
)

// benchMisses measures the first question of each profile, which compiles it and asks Casbin.
func benchMisses(ctx context.Context, b *bench) error {
	b.begin("rbac: first checks")
	w := newWorkload(loadScale{60, 100, 600})
	o, err := loadOrgkit(ctx, w)
	if err != nil {
		return err
	}
	defer o.close()
	read, use := o.Action("reports.read"), o.Action("models.use")
	var first, again sample
	for _, org := range w.orgs {
		if _, err := o.Principal(ctx, org.id, org.teams[3].id, org.users[99].id); err != nil { // loads the organization
			return err
		}
		for i := range 19 { // the profile of the last user is made by that
			u := org.users[i]
			call := o.call(&loadQuery{resource: "report:1"})
			begin := time.Now()
			p, err := o.Principal(ctx, org.id, org.teams[u.team].id, u.id)
			if err != nil {
				return err
			}
			if _, err := p.Allows(ctx, read, &call); err != nil {
				return err
			}
			first.add(time.Since(begin), 1)
			call.Resource = "model:gpt-4o"
			begin = time.Now()
			if _, err := p.Allows(ctx, use, &call); err != nil {
				return err
			}
			again.add(time.Since(begin), 1)
		}
	}
	b.set("rbac.miss_us", first, micros)
	b.note("the first question of a profile takes %.1f us, a further action of it %.1f us: both ask Casbin", micros(first.median()), micros(again.median()))
	return nil
}

// benchMemoryUse measures what memory holds beside the store: on SQLite, so that nothing is shared with it.
func benchMemoryUse(ctx context.Context, b *bench) error {
	b.begin("rbac: memory")
	few, err := memoryUse(ctx, b, "few.db", loadScale{20, 20, 1})
	if err != nil {
		return err
	}
	many, err := memoryUse(ctx, b, "many.db", loadScale{20, 1020, 1})
	if err != nil {
		return err
	}
	user := (many - few) / 20_000
	b.values["rbac.user_bytes"] = exactly(user)
	b.values["rbac.org_bytes"] = exactly(few/20 - 20*user)
	return nil
}

// memoryUse is how much larger the heap becomes when every profile is asked for every action.
func memoryUse(ctx context.Context, b *bench, file string, scale loadScale) (float64, error) {
	s, err := sqlite.Open(ctx, filepath.Join(b.dir, file), nil)
	if err != nil {
		return 0, err
	}
	w := newWorkload(scale)
	o, err := newOrgkit(ctx, w, s)
	if err != nil {
		return 0, err
	}
	defer o.close()
	warm := newWorkload(loadScale{1, 100, 1}) // what all organizations share is not counted
	one, err := loadOrgkit(ctx, warm)
	if err != nil {
		return 0, err
	}
	defer one.close()
	if err := one.askAll(ctx); err != nil {
		return 0, err
	}
	before := heap()
	if err := o.askAll(ctx); err != nil {
		return 0, err
	}
	strangers := heap()
	for i := range 100_000 {
		_, _ = o.Principal(ctx, w.orgs[i%len(w.orgs)].id, "", "stranger_"+time.Unix(int64(i), 0).String())
	}
	after := heap()
	b.note("%d users in %d orgs hold %.1f MB; 100,000 strangers add %.0f bytes each", scale.orgs*scale.users, scale.orgs,
		(strangers-before)/1e6, max(0, after-strangers)/100_000)
	runtime.KeepAlive(o)
	return after - before, nil
}

// askAll asks every user of the first twenty, who have all profiles, for every action.
func (o *orgkit) askAll(ctx context.Context) error {
	for _, org := range o.w.orgs {
		for _, u := range org.users[:20] {
			p, err := o.Principal(ctx, org.id, org.teams[u.team].id, u.id)
			if err != nil {
				return err
			}
			for _, action := range o.w.actions {
				for _, m := range loadModels {
					call := o.call(&loadQuery{resource: "model:" + m})
					if _, err := p.Allows(ctx, o.Action(action), &call); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// heap is what is reachable.
func heap() float64 {
	var m runtime.MemStats
	for range 3 { // what pools keep goes in two
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// memoryWait is how long the processor waits for a place in memory that is in none of its own caches: what
// figures of cold memory are multiples of. It differs between machines and moments.
func memoryWait() float64 {
	const places, apart = 1 << 19, 8 // 64 bytes apart: 32 MB
	next := make([]int32, places*apart*2)
	order := rand.Perm(places)
	for i, place := range order {
		next[place*apart*2] = int32(order[(i+1)%places] * apart * 2)
	}
	var s sample
	at := int32(0)
	for range 5 {
		begin := time.Now()
		for range places {
			at = next[at]
		}
		s.add(time.Since(begin), places)
	}
	runtime.KeepAlive(at)
	return s.best()
}
