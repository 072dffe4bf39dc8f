package rest

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/httpapi"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/seal"
)

type auditConfigView struct {
	Base
	OrganizationID string            `json:"organization_id"`
	Enabled        bool              `json:"enabled"`
	RetentionDays  int               `json:"retention_days"`
	HoldFrom       *string           `json:"hold_from"`
	EventsToLog    []string          `json:"events_to_log"`
	Decisions      audit.Decisions   `json:"decisions"`
	Destinations   []destinationView `json:"export_destinations"`
	Compliance     complianceView    `json:"compliance"`
	Undelivered    bool              `json:"prune_undelivered"`
	Warnings       []store.Warning   `json:"warnings,omitempty"` // in the answer to a change
}

type complianceView struct {
	Standards           []string `json:"standards"`
	DataResidency       *string  `json:"data_residency"`
	EncryptionAtRest    bool     `json:"encryption_at_rest"`
	EncryptionInTransit bool     `json:"encryption_in_transit"`
}

// destinationView has the fields of its type only.
type destinationView struct {
	ID           string       `json:"id"`
	Type         string       `json:"type"`
	Region       string       `json:"region"`
	Status       audit.Status `json:"status"`
	StatusReason *string      `json:"status_reason"`
	CheckedAt    *string      `json:"checked_at" doc:"when it was tried last"`
	SentAt       *string      `json:"sent_at" doc:"when it took events last"`
	RetryAt      *string      `json:"retry_at" doc:"before then nothing is sent, as it has not taken what was"`
	Next         int64        `json:"next_sequence" doc:"of the first event that it has not got"`

	Bucket     string  `json:"bucket,omitempty"`
	Prefix     *string `json:"prefix,omitempty"`
	Encryption string  `json:"encryption,omitempty"`
	Endpoint   string  `json:"endpoint,omitempty"`
	Format     string  `json:"format,omitempty"`

	APIKeySet                *bool   `json:"api_key_set,omitempty"`
	APIKeyUpdatedAt          *string `json:"api_key_updated_at,omitempty"`
	AccessKeyIDSet           *bool   `json:"access_key_id_set,omitempty"`
	AccessKeyIDUpdatedAt     *string `json:"access_key_id_updated_at,omitempty"`
	SecretAccessKeySet       *bool   `json:"secret_access_key_set,omitempty"`
	SecretAccessKeyUpdatedAt *string `json:"secret_access_key_updated_at,omitempty"`
}

func renderAuditConfig(c orgs.AuditSettings) auditConfigView {
	v := auditConfigView{Base: baseOf(c.Meta), OrganizationID: c.ID, Enabled: c.Enabled, RetentionDays: c.RetentionDays, HoldFrom: exactOf(c.HoldFrom),
		EventsToLog: filled(c.EventsToLog), Decisions: c.Decisions, Destinations: make([]destinationView, len(c.Destinations)),
		Compliance: complianceView{filled(c.Compliance.Standards), optional(c.Compliance.DataResidency), c.Compliance.EncryptionAtRest, c.Compliance.EncryptionInTransit}, Undelivered: c.PruneUndelivered}
	for i, d := range c.Destinations {
		v.Destinations[i] = renderDestination(d, c.Deliveries[d.ID])
	}
	return v
}

// unknownRegion is shown where no region was given, and taken back as none.
const unknownRegion = "unknown"

func renderDestination(d audit.Destination, to audit.Delivery) destinationView {
	v := destinationView{ID: d.ID, Type: d.Type, Region: or(optional(d.Region), unknownRegion), Status: to.Status, StatusReason: optional(to.Reason),
		CheckedAt: httpapi.StampOf(to.CheckedAt), SentAt: httpapi.StampOf(to.SentAt), RetryAt: httpapi.StampOf(to.RetryAt), Next: to.Next,
		Bucket: d.Bucket, Encryption: d.Encryption, Endpoint: d.Endpoint, Format: d.Format}
	if d.Type == audit.S3 {
		v.Prefix = &d.Prefix
	}
	for _, field := range d.SecretFields() {
		at, is := d.SecretsAt[field]
		var when *string
		if is {
			when = httpapi.StampOf(&at)
		}
		switch field {
		case "api_key":
			v.APIKeySet, v.APIKeyUpdatedAt = &is, when
		case "access_key_id":
			v.AccessKeyIDSet, v.AccessKeyIDUpdatedAt = &is, when
		case "secret_access_key":
			v.SecretAccessKeySet, v.SecretAccessKeyUpdatedAt = &is, when
		}
	}
	return v
}

func exactOf(t *time.Time) *string {
	if t == nil {
		return nil
	}
	s := exact(*t)
	return &s
}

type auditConfigBody struct {
	Enabled       *bool             `json:"enabled,omitempty"`             // absent: true
	RetentionDays *int              `json:"retention_days,omitempty"`      // absent: 365
	HoldFrom      *string           `json:"hold_from,omitempty"`           // absent: as it is; null: no hold
	EventsToLog   []string          `json:"events_to_log,omitempty"`       // absent: all families
	Decisions     *decisionsBody    `json:"decisions,omitempty"`           // absent: denied
	Destinations  []destinationBody `json:"export_destinations,omitempty"` // absent: none
	Compliance    *complianceBody   `json:"compliance,omitempty"`
	Undelivered   bool              `json:"prune_undelivered,omitempty"` // events may go that a destination has not got
	ServerWritten

	liftHold bool
}

type decisionsBody struct {
	Record   string `json:"record,omitempty" enum:"off,denied,sampled,full"` // absent: denied
	PerMille int    `json:"sample_per_mille,omitempty"`                      // absent: 10
}

type complianceBody struct {
	Standards           []string `json:"standards,omitempty"`
	DataResidency       string   `json:"data_residency,omitempty"`
	EncryptionAtRest    bool     `json:"encryption_at_rest,omitempty"`
	EncryptionInTransit bool     `json:"encryption_in_transit,omitempty"`
}

type destinationBody struct {
	ID         string `json:"id,omitempty"` // absent: that of the destination that sends to the same place
	Type       string `json:"type"`
	Bucket     string `json:"bucket,omitempty"`
	Prefix     string `json:"prefix,omitempty"`
	Encryption string `json:"encryption,omitempty"`
	Endpoint   string `json:"endpoint,omitempty"`
	Format     string `json:"format,omitempty"`
	Region     string `json:"region,omitempty"`

	// Absent: as it is; null: none.
	APIKey          *seal.Secret `json:"api_key,omitempty"`
	AccessKeyID     *seal.Secret `json:"access_key_id,omitempty"`
	SecretAccessKey *seal.Secret `json:"secret_access_key,omitempty"`
	ServerWrittenOfDestination

	null fields
}

// nulls keeps which fields are null and mean something by that.
func (b *auditConfigBody) nulls(has fields) {
	b.liftHold = string(has["hold_from"]) == "null"
	var list []fields
	_ = json.Unmarshal(has["export_destinations"], &list) // it was read before
	for i := range b.Destinations {
		b.Destinations[i].null = list[i]
	}
}

func (b *auditConfigBody) input() (in orgs.NewAuditConfig, err error) {
	in = orgs.NewAuditConfig{Enabled: b.Enabled, RetentionDays: b.RetentionDays, LiftHold: b.liftHold, EventsToLog: b.EventsToLog, PruneUndelivered: b.Undelivered}
	if b.HoldFrom != nil {
		at, err := time.Parse(time.RFC3339, *b.HoldFrom)
		if err != nil {
			return in, store.Invalid("hold_from", "time", "must be an RFC 3339 time")
		}
		in.HoldFrom = &at
	}
	if d := b.Decisions; d != nil {
		in.Decisions = audit.Decisions{Record: d.Record, PerMille: d.PerMille}
	}
	if c := b.Compliance; c != nil {
		in.Compliance = audit.Compliance{Standards: c.Standards, DataResidency: c.DataResidency, EncryptionAtRest: c.EncryptionAtRest, EncryptionInTransit: c.EncryptionInTransit}
	}
	for _, d := range b.Destinations {
		in.Destinations = append(in.Destinations, d.input())
	}
	return in, nil
}

func (b *destinationBody) input() orgs.NewDestination {
	d := orgs.NewDestination{Secrets: map[string]*seal.Secret{}, Destination: audit.Destination{ID: b.ID, Type: b.Type, Bucket: b.Bucket, Prefix: b.Prefix,
		Encryption: b.Encryption, Endpoint: b.Endpoint, Format: b.Format, Region: b.Region}}
	if b.Region == unknownRegion {
		d.Region = ""
	}
	for field, secret := range map[string]*seal.Secret{"api_key": b.APIKey, "access_key_id": b.AccessKeyID, "secret_access_key": b.SecretAccessKey} {
		if secret != nil || string(b.null[field]) == "null" {
			d.Secrets[field] = secret
		}
	}
	return d
}

type verifyQuery struct {
	Verify bool `query:"verify" doc:"try new and changed destinations first; one that does not take what is sent is an error"`
}

func (a *api) auditConfig() {
	const path = "/v1/organizations/{org}/audit"
	add[none, none](a, http.MethodGet, path, "What is logged, for how long, and where it is sent", func(ctx context.Context, _ *none) (*answer[auditConfigView], error) {
		c, err := a.AuditConfig(ctx, param(ctx, "org"))
		return one(c.Version, renderAuditConfig(c), err)
	})
	add[verifyQuery, auditConfigBody](a, http.MethodPut, path, "Set what is logged, for how long, and where it is sent", func(ctx context.Context, q *verifyQuery) (*answer[auditConfigView], error) {
		at, body, err := placed[auditConfigBody](ctx, a)
		if err != nil {
			return nil, err
		}
		in, err := body.input()
		if err != nil {
			return nil, err
		}
		in.Verify = q.Verify
		c, warnings, err := a.SetAuditConfig(ctx, at.OrgID, in)
		view := renderAuditConfig(c)
		view.Warnings = warnings
		return one(c.Version, view, err)
	})
	add[verifyQuery, auditConfigBody](a, http.MethodPatch, path, "Change what is logged, for how long, and where it is sent", func(ctx context.Context, q *verifyQuery) (*answer[auditConfigView], error) {
		var warnings []store.Warning
		c, err := patch(ctx, a, editing[orgs.AuditSettings, auditConfigBody]{
			get:     func(ctx context.Context) (orgs.AuditSettings, error) { return a.AuditConfig(ctx, param(ctx, "org")) },
			version: func(c orgs.AuditSettings) int64 { return c.Version },
			view:    func(_ context.Context, c orgs.AuditSettings) (any, error) { return renderAuditConfig(c), nil },
			body:    auditConfigAs,
			put: func(ctx context.Context, c orgs.AuditSettings, b auditConfigBody, _ fields) (orgs.AuditSettings, error) {
				in, err := b.input()
				if err != nil {
					return c, err
				}
				in.Verify, in.LiftHold = q.Verify, b.HoldFrom == nil // the body is the whole of it
				c, warnings, err = a.SetAuditConfig(ctx, c.ID, in)
				return c, err
			}})
		view := renderAuditConfig(c)
		view.Warnings = warnings
		return one(c.Version, view, err)
	})
	add[none, none](a, http.MethodPost, path+"/destinations/{destination}/retry", "Try a destination now that does not take what is sent",
		func(ctx context.Context, _ *none) (*answer[destinationView], error) {
			d, to, err := a.RetryDestination(ctx, param(ctx, "org"), param(ctx, "destination"))
			if err != nil {
				return nil, err
			}
			return ok(renderDestination(d, to))
		})
}

// auditConfigAs is the body by which a configuration could be set as it is: with the ids of its destinations, so that
// their secrets stay.
func auditConfigAs(c orgs.AuditSettings) auditConfigBody {
	b := auditConfigBody{Enabled: &c.Enabled, RetentionDays: &c.RetentionDays, HoldFrom: exactOf(c.HoldFrom), EventsToLog: c.EventsToLog,
		Decisions:  &decisionsBody{c.Decisions.Record, c.Decisions.PerMille},
		Compliance: &complianceBody{c.Compliance.Standards, c.Compliance.DataResidency, c.Compliance.EncryptionAtRest, c.Compliance.EncryptionInTransit}, Undelivered: c.PruneUndelivered}
	for _, d := range c.Destinations {
		b.Destinations = append(b.Destinations, destinationBody{ID: d.ID, Type: d.Type, Bucket: d.Bucket, Prefix: d.Prefix, Encryption: d.Encryption,
			Endpoint: d.Endpoint, Format: d.Format, Region: d.Region})
	}
	return b
}
