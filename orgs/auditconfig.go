package orgs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/seal"
)

// NewAuditConfig is the input of [Manager.SetAuditConfig]. What is absent has its default, but a legal hold and
// secrets stay as they are until they are taken away by name.
type NewAuditConfig struct {
	Enabled       *bool // nil is true
	RetentionDays *int
	HoldFrom      *time.Time // nil keeps the hold
	LiftHold      bool
	EventsToLog   []string // nil is all families
	Decisions     audit.Decisions
	Destinations  []NewDestination
	Compliance    audit.Compliance
}

// NewDestination is a destination as it is asked for. Without an id it is the one that sends to the same place, if
// there is one.
type NewDestination struct {
	audit.Destination
	// Secrets by field: what is not there is kept, nil is taken away.
	Secrets map[string]*seal.Secret
}

// SetAuditConfig replaces what the organization logs, for how long and where it is sent. What is logged counts from the
// next event on. It needs audit.update.
func (m *Manager) SetAuditConfig(ctx context.Context, org string, in NewAuditConfig) (c audit.Config, warnings []store.Warning, err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return c, nil, err
	}
	err = m.Change(ctx, rbac.Op{Action: "audit.update", OrgID: orgID}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		before, err := auditConfig(ctx, tx, orgID)
		if err != nil {
			return audit.Change{}, err
		}
		if c, err = in.over(tx, before); err != nil {
			return audit.Change{}, err
		}
		if warnings, err = c.Validate(&m.opt.AuditRules); err != nil {
			return audit.Change{}, err
		}
		if c.Compliance.EncryptionAtRest && !m.opt.Seal.Ready() {
			return audit.Change{}, noSealingKey("compliance.encryption_at_rest")
		}
		for i, d := range in.Destinations {
			if err := m.sealSecrets(tx.Now(), &c, i, d.Secrets, before); err != nil {
				return audit.Change{}, err
			}
		}
		if before.Version == 0 {
			c.Meta = store.Meta{ID: orgID}
			err = audit.Configs.Insert(ctx, tx, &c)
		} else {
			err = audit.Configs.Update(ctx, tx, &c)
		}
		return c.Changed(before), err
	})
	return c, warnings, err
}

// AuditConfig is what the organization logs. It needs audit.read.
func (m *Manager) AuditConfig(ctx context.Context, org string) (c audit.Config, err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return c, err
	}
	err = m.Read(ctx, rbac.Op{Action: "audit.read", OrgID: orgID}, func(ctx context.Context, tx *store.Tx) error {
		c, err = auditConfig(ctx, tx, orgID)
		return err
	})
	return c, err
}

// auditConfig is the configuration that was set, or the default, which is as old as the organization.
func auditConfig(ctx context.Context, tx *store.Tx, orgID string) (audit.Config, error) {
	c, err := audit.Configs.Get(ctx, tx, orgID)
	if !errors.Is(err, store.ErrNotFound) {
		return c, err
	}
	o, err := organizations.Get(ctx, tx, orgID)
	c = audit.DefaultConfig(orgID)
	c.CreatedAt, c.UpdatedAt = o.CreatedAt, o.CreatedAt
	return c, err
}

// over is the configuration that the input makes of the one before, without its secrets.
func (in NewAuditConfig) over(tx *store.Tx, before audit.Config) (audit.Config, error) {
	c := audit.DefaultConfig(before.ID)
	c.Meta, c.HoldFrom, c.Compliance, c.Sealed = before.Meta, before.HoldFrom, in.Compliance, map[string]string{}
	c.Compliance.Standards = append([]string{}, in.Compliance.Standards...)
	set(&c.Enabled, in.Enabled)
	set(&c.RetentionDays, in.RetentionDays)
	if in.Decisions != (audit.Decisions{}) {
		c.Decisions = in.Decisions
	}
	if in.EventsToLog != nil {
		c.EventsToLog = in.EventsToLog
	}
	if in.HoldFrom != nil || in.LiftHold {
		c.HoldFrom = micros(in.HoldFrom)
	}
	named := map[string]bool{}
	for _, d := range in.Destinations {
		named[d.ID] = true
	}
	for i, d := range in.Destinations {
		fresh := d.Destination
		fresh.SecretsAt, fresh.Status, fresh.Reason, fresh.CheckedAt = nil, audit.Unverified, "", nil
		old, known := find(before.Destinations, func(o audit.Destination) bool {
			return o.ID == d.ID || d.ID == "" && !named[o.ID] && o.SameTarget(fresh)
		})
		switch {
		case !known && d.ID != "" || known && old.Type != fresh.Type:
			return c, store.Invalid(fmt.Sprintf("export_destinations[%d].id", i), "unknown", "is the id of no destination of this type")
		case !known:
			fresh.ID = tx.NewID("dst")
		default:
			fresh.ID = old.ID
		}
		if _, twice := find(c.Destinations, func(o audit.Destination) bool { return o.ID == fresh.ID }); twice {
			return c, store.Invalid(fmt.Sprintf("export_destinations[%d].id", i), "duplicate", "is there already")
		}
		c.Destinations = append(c.Destinations, fresh)
	}
	return c, nil
}

func find[T any](list []T, is func(T) bool) (found T, ok bool) {
	if i := slices.IndexFunc(list, is); i >= 0 {
		return list[i], true
	}
	return found, false
}

func noSealingKey(field string) error {
	return store.Invalid(field, "no_sealing_key", "needs a key to seal secrets with, which the host has not set up")
}

const maxSecret = 4096

// sealSecrets gives the i-th destination the secrets that it has from now on, and its status.
func (m *Manager) sealSecrets(now time.Time, c *audit.Config, i int, secrets map[string]*seal.Secret, before audit.Config) error {
	d := &c.Destinations[i]
	old, _ := find(before.Destinations, func(o audit.Destination) bool { return o.ID == d.ID })
	at := fmt.Sprintf("export_destinations[%d].", i)
	for _, field := range slices.Sorted(maps.Keys(secrets)) {
		if !slices.Contains(d.SecretFields(), field) {
			return store.Invalid(at+field, "unknown", "is no secret of %s", d.Type)
		}
	}
	d.SecretsAt = map[string]time.Time{}
	for _, field := range d.SecretFields() {
		key := d.SecretKey(field)
		place := seal.Place{OrgID: c.ID, Record: d.ID, Field: d.Type + "." + field}
		kept, has := before.Sealed[key]
		secret, given := secrets[field]
		switch {
		case given && secret != nil:
			if err := checkSecret(at+field, secret.Reveal()); err != nil {
				return err
			}
			if !m.opt.Seal.Ready() {
				return noSealingKey(at + field)
			}
			if was, err := m.opt.Seal.Open(seal.Sealed(kept), place); err == nil && was.Equal(*secret) {
				c.Sealed[key], d.SecretsAt[field] = kept, old.SecretsAt[field]
				continue
			}
			sealed, err := m.opt.Seal.Seal(*secret, place)
			if err != nil {
				return err
			}
			c.Sealed[key], d.SecretsAt[field] = string(sealed), now
		case !given && has:
			// Whoever may write the endpoint could have the secret sent to themselves.
			if d.Endpoint != old.Endpoint {
				return store.Invalid(at+field, "required", "must be given again, or removed by null, for another endpoint")
			}
			c.Sealed[key], d.SecretsAt[field] = kept, old.SecretsAt[field]
		}
	}
	if n := len(d.SecretsAt); d.Type == audit.S3 && n == 1 {
		return store.Invalid(at+"secret_access_key", "required", "access_key_id and secret_access_key come together")
	}
	if d.SameTarget(old) && d.Region == old.Region && d.Encryption == old.Encryption && d.Format == old.Format &&
		maps.EqualFunc(d.SecretsAt, old.SecretsAt, time.Time.Equal) {
		d.Status, d.Reason, d.CheckedAt = old.Status, old.Reason, old.CheckedAt
	}
	return nil
}

// checkSecret takes what can stand in a header.
func checkSecret(field, secret string) error {
	if len(secret) < 1 || len(secret) > maxSecret {
		return store.Invalid(field, "range", "must have 1 to %d characters", maxSecret)
	}
	if strings.ContainsFunc(secret, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return store.Invalid(field, "pattern", "must be ASCII without spaces")
	}
	return nil
}

// errNothingOld ends a change where there is nothing to prune.
var errNothingOld = errors.New("nothing to prune")

// EnforceAuditRetention prunes the events that organizations need not keep any longer, each time with an event that says
// so, and says how many. Where there is a key it signs what no checkpoint covers. An organization that fails does not keep the others waiting. It is the platform's, to be called
// now and then, and not inside of a unit.
func (m *Manager) EnforceAuditRetention(ctx context.Context) (pruned int64, err error) {
	var orgIDs []string
	err = m.Read(ctx, rbac.Op{Action: "audit.prune"}, func(ctx context.Context, tx *store.Tx) error {
		orgIDs = nil
		for o, err := range organizations.All(ctx, tx, store.Query{}) {
			if err != nil {
				return err
			}
			orgIDs = append(orgIDs, o.ID)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	ctx = audit.WithActor(ctx, audit.System("retention"))
	var failed []error
	for _, id := range orgIDs {
		n, err := m.enforceRetention(ctx, id)
		pruned += n
		if err == nil { // of a process that ended in between nobody else has signed
			if _, err = m.Audit().Checkpoint(ctx, id); errors.Is(err, audit.ErrNoSigner) || errors.Is(err, store.ErrNotFound) {
				err = nil
			}
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("retention of %s: %w", id, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return pruned, errors.Join(failed...)
}

// keptFrom is the time from which the events of an organization have to be kept.
func keptFrom(ctx context.Context, tx *store.Tx, orgID string) (time.Time, error) {
	c, err := auditConfig(ctx, tx, orgID)
	if err != nil {
		return time.Time{}, err
	}
	return audit.KeptFrom(ctx, tx, c)
}

func (m *Manager) enforceRetention(ctx context.Context, orgID string) (n int64, err error) {
	var from time.Time
	err = m.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		from, err = keptFrom(ctx, tx, orgID)
		return err
	})
	if err != nil {
		return 0, err
	}
	old, err := m.Audit().List(ctx, orgID, audit.Filter{End: from.Add(-time.Microsecond), Ascending: true, Limit: 1})
	if err != nil || len(old.Items) == 0 {
		return 0, err
	}
	op := rbac.Op{Action: "audit.prune", OrgID: orgID, Platform: true, Gone: true}
	err = m.Change(ctx, op, func(ctx context.Context, tx *store.Tx) (change audit.Change, err error) {
		from, err := keptFrom(ctx, tx, orgID) // it is locked now: a hold may have come
		if err != nil {
			return change, err
		}
		if change, n, err = m.Audit().Prune(ctx, tx, orgID, from); err == nil && n == 0 {
			err = errNothingOld
		}
		return change, err
	})
	if err != nil && !errors.Is(err, errNothingOld) {
		return 0, err
	}
	_, err = m.Audit().Shrink(ctx, orgID) // also what an earlier call has left
	return n, err
}
