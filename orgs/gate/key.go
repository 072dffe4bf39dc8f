package gate

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unique"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// Key is an API key that was looked up once for many calls. It sees everything that becomes of the key, and can be kept for
// as long as its secret is. It is safe for concurrent use.
type Key struct {
	gate *Gate
	hash orgs.KeyHash
	now  atomic.Pointer[known]

	reading   chan struct{}   // full while one goroutine reads what has changed
	principal *rbac.Principal // belongs to that one
	of        [2]string       // of the principal: its organization and subject
}

// Key looks a key up by its secret. A secret that is not good is a *[Denied].
func (g *Gate) Key(ctx context.Context, secret string) (*Key, error) {
	k := g.key(secret)
	n, err := k.known(ctx, g.m.Store().Now())
	if err != nil {
		return nil, g.unasked(n, nil, err)
	}
	return k, nil
}

// Caller is whose key it is, as it was used last.
func (k *Key) Caller() orgs.Caller {
	if n := k.now.Load(); n != nil {
		return *n.caller
	}
	return orgs.Caller{}
}

// known is all that is known of a key, for as long as nothing has changed. What every call looks at comes first, the lane to
// the first model that was asked for included, and fills two lines of memory that are fetched together: among many keys each
// line is a wait.
type known struct {
	hash    orgs.KeyHash
	basis   rbac.Basis  // that it was read under
	until   int64       // nanoseconds since 1970 by the clock of the store: it is read again then
	first   lane        // where it is opened
	used    atomic.Bool // which was noted
	opening atomic.Bool
	rules   *rules                // its own; of most keys plain
	org     unique.Handle[string] // id: all keys of an organization have the same text
	caller  *orgs.Caller

	more      atomic.Pointer[map[*way]*lane] // to other models; nil: none
	principal *rbac.Principal
	self      string // the key as a resource
	key       *Key
	_         [88]byte // each begins where a pair of lines does
}

// rules are what few keys have.
type rules struct {
	stopped   error             // by which its organization, team or project is
	strict    bool              // addresses and clients are tested
	confined  bool              // its project or the role of its person may be
	narrow    bool              // the key itself is for some models, features or operations only
	aliases   map[string]string // of models
	required  []string          // tags
	priority  int
	pool      string // the team whose dedicated capacity its calls take
	providers []string
}

// plain are the rules of a key without any.
var plain = &rules{}

func (r *rules) none() bool {
	return r.stopped == nil && !r.strict && !r.confined && !r.narrow && len(r.aliases)+len(r.required)+len(r.providers) == 0 && r.priority == 0 && r.pool == ""
}

// nobody is what is known of a key that could not be read.
var nobody = &known{caller: new(orgs.Caller), rules: plain}

// readEvery is how often a key is read again though nothing was heard of it. It is also how exactly it is known when it was
// used last.
const readEvery = time.Minute

// known is what is known of the key at that time. With an error it says whose the key is, as far as that is known.
func (k *Key) known(ctx context.Context, at time.Time) (*known, error) {
	if n := k.now.Load(); n != nil && n.stands(at) {
		return n, nil
	}
	return k.read(ctx, at)
}

// known is what is known of the key of a call.
func (g *Gate) known(ctx context.Context, c *Call, at time.Time) (*known, error) {
	if c.Key != nil {
		return c.Key.known(ctx, at)
	}
	return g.bySecret(ctx, c.Secret, at)
}

func (n *known) stands(at time.Time) bool {
	return n.basis.Stands() && at.UnixNano() < n.until
}

func (k *Key) read(ctx context.Context, at time.Time) (*known, error) {
	s := k.gate.m.Store()
	if s.InUnit(ctx) {
		return nobody, billing.ErrInUnit
	}
	select {
	case k.reading <- struct{}{}:
	case <-ctx.Done():
		return nobody, ctx.Err()
	}
	defer func() { <-k.reading }()
	if n := k.now.Load(); n != nil && n.stands(at) { // somebody was faster
		return n, nil
	}
	for {
		n := &known{key: k, hash: k.hash, caller: new(orgs.Caller), principal: k.principal, rules: plain, until: at.Add(readEvery).UnixNano()}
		if n.principal != nil {
			var err error
			if n.basis, err = n.principal.Basis(ctx); errors.Is(err, store.ErrNotFound) { // it holds nothing any more; why, its record says
				k.principal = nil
				continue
			} else if err != nil {
				return n, err
			}
		}
		err := s.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) { // after the basis: what is read is no older
			*n.caller, err = orgs.KeyCaller(ctx, tx, k.hash)
			return err
		})
		if err == nil && n.principal == nil {
			if err = n.caller.Stopped(); err == nil {
				key := &n.caller.Key // which stays in its team and project for good
				k.of = [2]string{key.OrgID, n.caller.Subject()}
				if k.principal, err = k.gate.m.Principal(ctx, key.OrgID, key.Context(), k.of[1]); err == nil {
					continue
				}
			}
		}
		if err == nil && k.of != [2]string{n.caller.Key.OrgID, n.caller.Subject()} { // the person of a token is at home elsewhere now
			k.principal = nil
			continue
		}
		if err != nil {
			k.now.Store(nil)
			k.gate.keys.forget(k)
			return n, err
		}
		n.complete()
		k.now.Store(n)
		k.gate.keys.keep(n)
		return n, nil
	}
}

func (n *known) complete() {
	c := n.caller
	if !c.Until.IsZero() && c.Until.Before(time.Unix(0, n.until)) {
		n.until = c.Until.UnixNano()
	}
	n.self, n.org = "api_key:"+c.Key.ID, unique.Make(c.Key.OrgID)
	of := &c.Key.Restrictions
	r := &rules{stopped: c.Stopped(), required: c.Tags, priority: int(c.Priority), aliases: c.Aliases,
		strict: c.Scope.AllowedIPsData || of.NameClients(), confined: c.Project != nil || c.Role != nil, narrow: of.NameUses()}
	if t := c.Team; t != nil {
		r.priority = max(r.priority, t.Priority())
		if t.Dedicated() {
			r.pool = t.ID
		}
		if b := t.Settings.Budget; b != nil && b.RequireProjectTag != nil && *b.RequireProjectTag && !slices.Contains(r.required, "project") {
			r.required = append(slices.Clip(r.required), "project")
		}
		if t.Settings.Models != nil {
			r.providers = t.Settings.Models.PreferredProviders
		}
	}
	if !r.none() {
		n.rules = r
	}
}

// orgTags are the tags of the organization in one text, as many as a tag of a call holds.
func (n *known) orgTags() (all string) {
	for _, tag := range n.caller.OrgTags {
		if with := strings.TrimPrefix(all+","+tag, ","); len(with) <= orgs.MaxTagValue {
			all = with
		}
	}
	return all
}

// admits tests everything of the key and its organization that stands before a decision.
func (n *known) admits(c *Call) error {
	if n.rules.stopped != nil {
		return n.rules.stopped
	}
	if !n.rules.strict {
		return nil
	}
	who := n.caller
	if who.Scope.AllowedIPsData && !who.Scope.Admits(c.IP) {
		return &Denied{Code: "ip_denied", Message: "the organization does not allow this address", Remedy: []string{"call from an address that the organization allows"},
			cause: &rbac.Denied{Code: "ip_denied", Action: "api_keys.use", Resource: n.self, TeamID: who.Key.Context()}}
	}
	if allowed := who.Key.Restrictions.AllowedIPs; len(allowed) > 0 && !rbac.InRanges(c.IP, allowed) {
		return &Denied{Code: "ip_denied", Message: "the key is not allowed from this address", Remedy: []string{"call from " + strings.Join(allowed, " or ")}, cause: orgs.ErrKeyAddress}
	}
	if !who.Key.Restrictions.AdmitsClient(c.Origin, c.Referrer, c.UserAgent) {
		return restricted("permission_denied", "the key is not for this client", "call from a domain, page or program that the key is for")
	}
	return nil
}

// admitsUse tests what the key itself is for: operations, and of a call, which has a lane, models, features and objects. They
// only narrow what is decided.
func (n *known) admitsUse(ln *lane, op string, c *Call) *Denied {
	if !n.rules.narrow {
		return nil
	}
	r := &n.caller.Key.Restrictions
	switch {
	case !r.AdmitsOperation(op):
		return restricted("permission_denied", "the key is not for this operation", "use a key that is for "+op)
	case ln == nil:
		return nil
	case !n.admitsModel(ln):
		return restricted("model_not_allowed", "the key is not for this model", "use another model, or another key")
	}
	if f := r.AdmitsFeatures(c.Features); f != "" {
		return restricted("feature_disabled", "the key is not for this feature: "+f, "use another key")
	}
	if r.AdmitsObjects(c.Objects) != "" {
		return restricted("object_not_allowed", "the key is not for something that the call is to use", "use another key")
	}
	return nil
}

// admitsModel says whether the key itself is for the model of a lane.
func (n *known) admitsModel(ln *lane) bool {
	name := strings.TrimPrefix(cmp.Or(ln.asked, ln.resource), rbac.ModelPattern(""))
	return !n.rules.narrow || n.caller.Key.Restrictions.AdmitsModel(ln.model.ID, name)
}

func restricted(code, message, remedy string) *Denied {
	return &Denied{Code: code, Message: message, Remedy: []string{remedy}, cause: orgs.ErrKeyRestricted}
}

// path is where calls of the key spend.
func (n *known) path(model string) billing.Path {
	k := &n.caller.Key
	return billing.Path{OrgID: k.OrgID, TeamID: k.TeamID, ProjectID: k.ProjectID, UserID: n.caller.Actor.Person(), KeyID: k.ID, Model: model}
}

// note notes that the key was used. What fails must not fail the call.
func (n *known) note(ctx context.Context, m *orgs.Manager, c *Call) {
	if !n.used.Load() && n.used.CompareAndSwap(false, true) {
		n.noteFirst(ctx, m, c)
	}
}

// noteFirst is the rest of note, whose copy of the caller would be on the stack of every call.
func (n *known) noteFirst(ctx context.Context, m *orgs.Manager, c *Call) { _ = m.Used(ctx, n.by(c)) }

// maxKeys is how many keys are kept in memory at most. Of those that are more, some are read again when they are used.
const maxKeys = 1 << 18

// keys are those that were used, by the first bytes of their hashes: of two that have the same ones, the later is read again
// each time that it is used.
type keys [1 << shardBits]struct {
	mu     sync.RWMutex
	byHash index
	_      [8]byte // no two share a cache line
}

const shardBits = 6

// place is where in the keys one of that hash is.
func place(h *orgs.KeyHash) (shard int, in uint64) {
	in = binary.LittleEndian.Uint64(h[:])
	return int(in & (1<<shardBits - 1)), in
}

// bySecret is what is known of the key of a secret at that time, as [Key.known] says it. Who finds that what was known last
// still stands need not look at the key.
func (g *Gate) bySecret(ctx context.Context, secret string, at time.Time) (*known, error) {
	h := orgs.HashKey(secret)
	n := g.keys.get(&h)
	if n != nil && n.stands(at) {
		return n, nil
	}
	return g.keyOf(h, n).known(ctx, at)
}

// key is the key of a secret, of which nothing is known yet if it is new.
func (g *Gate) key(secret string) *Key {
	h := orgs.HashKey(secret)
	return g.keyOf(h, g.keys.get(&h))
}

func (g *Gate) keyOf(h orgs.KeyHash, n *known) *Key {
	if n != nil {
		return n.key
	}
	return &Key{gate: g, hash: h, reading: make(chan struct{}, 1)}
}

// get is what was known last of the key with that hash, nil for nothing.
func (all *keys) get(h *orgs.KeyHash) *known {
	shard, in := place(h)
	s := &all[shard]
	s.mu.RLock()
	n := s.byHash.get(in)
	s.mu.RUnlock()
	if n == nil || n.hash != *h {
		return nil
	}
	return n
}

// keep keeps what is known of a key that was found. A second key of the same secret is as good, and one of them is kept.
func (all *keys) keep(n *known) {
	shard, in := place(&n.hash)
	s := &all[shard]
	s.mu.Lock()
	defer s.mu.Unlock()
	if had := s.byHash.get(in); had != nil {
		if had.key == n.key {
			s.byHash.put(in, n)
		}
		return
	}
	for s.byHash.used >= maxKeys/len(all) {
		s.byHash.remove(s.byHash.random())
	}
	s.byHash.put(in, n)
}

// forget forgets a key that is good no more.
func (all *keys) forget(k *Key) {
	shard, in := place(&k.hash)
	s := &all[shard]
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.byHash.get(in); n != nil && n.key == k {
		s.byHash.remove(in)
	}
}
