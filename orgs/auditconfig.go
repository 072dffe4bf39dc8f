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

	PruneUndelivered bool

	// Verify tries the destinations that are new or changed before anything is stored: one that does not take what is
	// sent is an error that names it. Else they are tried by a job afterwards, and the answer says that nobody has.
	Verify bool
}

// NewDestination is a destination as it is asked for. Without an id it is the one that sends to the same place, if
// there is one.
type NewDestination struct {
	audit.Destination
	// Secrets by field: what is not there is kept, nil is taken away.
	Secrets map[string]*seal.Secret
}

// AuditSettings are an audit configuration, and how its destinations fare.
type AuditSettings struct {
	audit.Config
	Deliveries map[string]audit.Delivery // by the id of the destination
}

// Exports send the audit log to its destinations; package audit/export does.
type Exports interface {
	// Probe tries whether a destination of the configuration takes what is sent, with the secrets that the
	// configuration has for it. The reason why it does not is for the organization to read; "" is that it does.
	Probe(ctx context.Context, c audit.Config, d audit.Destination) (reason string)
}

// SetAuditConfig replaces what the organization logs, for how long and where it is sent. What is logged counts from the
// next event on. It needs audit.update.
func (m *Manager) SetAuditConfig(ctx context.Context, org string, in NewAuditConfig) (s AuditSettings, warnings []store.Warning, err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return s, nil, err
	}
	var tried *tried
	if in.Verify {
		if tried, err = m.tryDestinations(ctx, orgID, in); err != nil {
			return s, nil, err
		}
	}
	err = m.changeAuditConfig(ctx, orgID, in, func(ctx context.Context, tx *store.Tx, before, c audit.Config, warned []store.Warning) error {
		s, warnings = AuditSettings{Config: c}, warned
		if tried != nil && tried.version != before.Version {
			return store.ErrConflict
		}
		s.Deliveries, err = m.deliver(ctx, tx, before, c, tried)
		return err
	})
	return s, warnings, err
}

// changeAuditConfig changes the configuration, and then does what else belongs to that.
func (m *Manager) changeAuditConfig(ctx context.Context, orgID string, in NewAuditConfig,
	then func(ctx context.Context, tx *store.Tx, before, c audit.Config, warnings []store.Warning) error) error {
	return m.Change(ctx, rbac.Op{Action: "audit.update", OrgID: orgID}, func(ctx context.Context, tx *store.Tx) (audit.Change, error) {
		before, err := auditConfig(ctx, tx, orgID)
		if err != nil {
			return audit.Change{}, err
		}
		c, err := in.over(tx, before)
		if err != nil {
			return audit.Change{}, err
		}
		warnings, err := c.Validate(&m.opt.AuditRules)
		if err != nil {
			return audit.Change{}, err
		}
		if c.Compliance.EncryptionAtRest && !(m.opt.Seal.Ready() && m.Audit().Seals()) {
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
		if err == nil {
			err = then(ctx, tx, before, c, warnings)
		}
		return c.Changed(before), err
	})
}

// AuditConfig is what the organization logs, for how long and where it is sent. It needs audit.read.
func (m *Manager) AuditConfig(ctx context.Context, org string) (s AuditSettings, err error) {
	orgID, err := m.OrgID(ctx, org)
	if err != nil {
		return s, err
	}
	err = m.Read(ctx, rbac.Op{Action: "audit.read", OrgID: orgID}, func(ctx context.Context, tx *store.Tx) (err error) {
		s = AuditSettings{Deliveries: map[string]audit.Delivery{}}
		if s.Config, err = auditConfig(ctx, tx, orgID); err != nil {
			return err
		}
		list, err := audit.DeliveriesOf(ctx, tx, orgID)
		for _, d := range list {
			s.Deliveries[d.ID] = d
		}
		return err
	})
	return s, err
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
	c.PruneUndelivered = in.PruneUndelivered
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
		fresh.SecretsAt = nil
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
	return store.Invalid(field, "no_sealing_key", "needs a key to seal with, which the host has not set up")
}

const maxSecret = 4096

// sealSecrets gives the i-th destination the secrets that it has from now on.
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
		place := d.SecretPlace(c.ID, field)
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
