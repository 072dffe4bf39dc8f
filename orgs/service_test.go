package orgs_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/audit"
	"github.com/orgkit/orgkit/audit/export"
	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// method is a row of the table: how one method of orgs.Service is called, and what of the rules for all of
// them is otherwise for it. Then because says why.
type method struct {
	name  string // of the method; what follows a slash tells its rows apart
	call  call
	wrong call                                        // the same with an input that cannot be
	first func(ctx context.Context, f *fixture) error // what the platform has done before

	reads bool
	by    party // who may; the owner

	member  answer // to an ordinary member of the organization; denied
	guest   answer // to one who holds a role without permissions; what a member hears
	foreign answer // to the owner of another organization, who names this one; hidden
	nobody  answer // to a context without an actor; noActor

	nested bool // something inside of the organization is named beside it
	global bool // it belongs to no organization: its event is in the log of the platform
	stirs  bool // though it belongs to none, the organization of the fixture has to look at it again
	makes  bool // an organization, in whose own log the event is; the one above is changed
	rows   int  // changes that are asked for; 1
	units  int  // in which they are stored; 1
	more   int  // events beside that of the change

	because string
}

type call func(ctx context.Context, f *fixture) (any, error)

// party is somebody who calls.
type party string

const (
	byOwner    party = ""
	byPlatform party = "platform"
	byMember   party = "member"
	byInvitee  party = "invitee"
)

// answer is what somebody hears who may not.
type answer string

const (
	usual   answer = ""
	denied  answer = "denied"    // *rbac.Denied, and one event of it
	hidden  answer = "not found" // as of what does not exist, and no event
	allowed answer = "allowed"   // there is nothing to refuse
	noActor answer = "no actor"
)

func (a answer) or(other answer) answer {
	if a == usual {
		return other
	}
	return a
}

// methods is the table.
func methods() []method {
	return slices.Concat(userMethods, organizationMethods, treeMethods, teamMethods, projectMethods, memberMethods,
		invitationMethods, keyMethods, roleMethods, policyMethods, webhookMethods, provisioningMethods, usageMethods, billingMethods, invoiceMethods, allowanceMethods, otherMethods)
}

func TestEveryMethodOfTheServiceIsInTheTable(t *testing.T) {
	rows := map[string]bool{}
	for _, m := range methods() {
		name, _, _ := strings.Cut(m.name, "/")
		rows[name] = true
		require.Equal(t, m.reads, m.wrong == nil, "%s: what changes something has a wrong input", m.name)
		special := m.member != usual || m.guest != usual || m.foreign != usual || m.nobody != usual || m.more != 0
		require.Equal(t, special, m.because != "", "%s: what is otherwise has its reason", m.name)
	}
	service := map[string]bool{}
	for i := range reflect.TypeFor[orgs.Service]().NumMethod() {
		service[reflect.TypeFor[orgs.Service]().Method(i).Name] = true
	}
	for name := range service {
		require.True(t, rows[name], "%s has no row", name)
	}
	for name := range rows {
		require.True(t, service[name], "%s has a row and is no method of the service", name)
	}
}

// outside are the methods of *orgs.Manager that are not of the service, and why they ask for no permission.
var outside = map[string]string{
	"IngestUsage": "the platform's alone, and no record is changed", "Store": "what the host gave", "Metering": "the data path, which has decided", "Catalogue": "what the host gave",
	"Change": "the guard itself", "Read": "the guard itself", "ReadFound": "the guard itself", "Visible": "the guard itself", "Together": "the guard itself",
	"Audit": "the log, for the host itself", "Below": "the guard itself", "View": "the guard itself", "Watch": "the guard itself", "Attend": "the guard itself", "Petition": "the guard itself, whose caller says who may", "Close": "the host's",
	"Allows": "the data path, which asks for others", "Decide": "the data path, which asks for others",
	"Principal": "the data path, which asks for others", "Action": "looks up a word",
	"OrgID": "resolves a name for whoever belongs there", "OrgPlace": "resolves a name for whoever belongs there",
	"TeamPlace": "resolves a name for whoever belongs there", "ProjectPlace": "resolves a name for whoever belongs there",
	"ApprovalOrg": "resolves a name for whoever belongs there", "ExpireApprovals": "the host's, now and then", "EnforceAuditRetention": "the host's, now and then",
	"ExpireInvitations": "the host's, now and then", "Sweep": "the host's, now and then", "Maintain": "the host's, once", "DisableWebhook": "the platform's alone",
	"ResumeDue": "the host's, now and then", "FireAlerts": "the host's, now and then", "MakeInvoices": "the host's, now and then",
	"Mails": "what the host gave", "PruneSessions": "the host's, now and then", "AuthenticatePending": "turns a secret into an actor, for its second factor",
	"Provision": "the identity provider's alone", "Provisioned": "the identity provider's alone", "AuthenticateSCIM": "turns a secret into an actor",
	"WarnOfCertificates": "the host's, now and then", "SSOConnection": "for who signs people in",
	"SSOSigns": "for who signs people in", "SignInAsserted": "for who signs people in", "AdmitAsserted": "for who signs people in", "TryAsserted": "asks for sso.update, and needs what a provider says", "SSOFailed": "for who signs people in",
	"Elapsed": "reads a clock", "Recount": "the host's, who keeps the nodes", "Fenced": "the host's, who keeps the nodes", "PruneRateWindows": "the host's, now and then",
	"Once": "runs what is of the service", "Answered": "tells the actor what they were told", "PruneAnswers": "the host's, now and then",
	"WhatIf": "runs what is of the service", "Narrowing": "runs what is of the service", "LintPermissions": "looks at words",
	"Purse": "the data path, which has decided", "Hold": "the data path, which has decided", "ReserveUpTo": "the data path, which has decided", "SettleHold": "the data path, which has decided",
	"Flush": "writes what was decided already", "Reclaim": "the host's, now and then", "Nodes": "what the limiter has",
	"Reserve": "the data path, which has decided", "Settle": "the data path, which has decided", "SettleUsage": "the data path, which has decided", "Used": "the data path, which has decided", "Refused": "the data path, which has decided",
}

func TestNothingElseOfTheManagerIsOpen(t *testing.T) {
	service, tx := reflect.TypeFor[orgs.Service](), reflect.TypeFor[*store.Tx]()
	manager := reflect.TypeFor[*orgs.Manager]()
	for i := range manager.NumMethod() {
		m := manager.Method(i)
		inUnit := false // of a caller who has asked
		for j := range m.Type.NumIn() {
			inUnit = inUnit || m.Type.In(j) == tx
		}
		if _, of := service.MethodByName(m.Name); !of && !inUnit {
			require.Contains(t, outside, m.Name, "it is no method of the service, nor takes a unit")
		}
	}
}

// eachMethod runs a check for every row, on every store. When anything in the fixture was changed, or a check
// has failed, it is brought back to what it was.
func eachMethod(t *testing.T, check func(t *testing.T, m method, f *fixture)) {
	for _, name := range []string{"memory", "twice", "sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			s, rec, _ := recorded(t, name)
			f := newFixture(t, s, rec)
			fresh, ok := rec.state(t), true
			for _, m := range methods() {
				if rec.changed || !ok {
					rec.restore(t, fresh)
					f.World = orgstest.New(t, s, inOrder())
				}
				if m.first != nil {
					require.NoError(t, m.first(f.Platform(), f))
				}
				ok = t.Run(m.name, func(t *testing.T) { check(t, m, f) })
			}
		})
	}
}

func TestWhoMayNotChangesNothing(t *testing.T) {
	eachMethod(t, func(t *testing.T, m method, f *fixture) {
		f.hears(t, m, m.nobody.or(noActor), t.Context(), f)
		f.hears(t, m, m.member.or(denied), f.As(f.member), f)
		f.hears(t, m, m.guest.or(m.member.or(denied)), f.As(f.guest), f)
	})
}

// hears calls the method for somebody who may not, and holds what they hear against the rule.
func (f *fixture) hears(t *testing.T, m method, want answer, ctx context.Context, named *fixture) (value any, err error) {
	t.Helper()
	if want == allowed {
		if m.reads {
			value, err = m.call(ctx, named)
			require.NoError(t, err)
		}
		return value, err
	}
	before := f.rec.state(t)
	value, err = m.call(ctx, named)
	left := before.to(f.rec.state(t))
	require.Empty(t, left.records, "nothing is stored")
	require.Empty(t, left.raised)
	switch want {
	case hidden:
		require.ErrorIs(t, err, store.ErrNotFound)
		require.Empty(t, left.events)
	case noActor:
		require.ErrorIs(t, err, rbac.ErrNoActor)
		require.Empty(t, left.events)
	case denied:
		require.ErrorIs(t, err, rbac.ErrDenied)
		var d *rbac.Denied
		require.ErrorAs(t, err, &d)
		require.Len(t, left.events, max(m.units, 1), "one event of each refusal")
		for _, e := range left.events {
			require.Equal(t, []any{"authorization.denied", audit.Denied}, []any{e.Type, e.Outcome})
			require.Equal(t, m.home(f), e.OrgID, "in the log of the organization")
		}
	}
	return value, err
}

// home is the organization in whose log a refusal is.
func (m method) home(f *fixture) string {
	if m.global {
		return ""
	}
	return f.id.Org
}

func TestAnotherTenantsIDIsNotFound(t *testing.T) {
	eachMethod(t, func(t *testing.T, m method, f *fixture) {
		ctx, none := f.As(f.stranger), f.missing()
		want := m.foreign.or(hidden)
		value, err := f.hears(t, m, want, ctx, f)
		if want == hidden {
			_, missing := f.hears(t, m, want, ctx, none)
			require.EqualError(t, err, missing.Error(), "as of what does not exist")
		}
		text, broken := json.Marshal(value)
		require.NoError(t, broken)
		if m.reads {
			require.NotContains(t, string(text), f.id.Org)
		}
	})
}

func TestAnotherTenantsIDIsNotFoundInOnesOwnOrganization(t *testing.T) {
	eachMethod(t, func(t *testing.T, m method, f *fixture) {
		if !m.nested {
			return
		}
		ctx, mixed, none := f.As(f.stranger), *f, f.missing()
		mixed.id.Org, none.id.Org = f.id.Rival, f.id.Rival
		answers := map[string]string{}
		for name, n := range map[string]*fixture{"there": &mixed, "missing": none} {
			_ = f.rec.leavesNothing(t, func() error {
				value, err := m.call(ctx, n)
				require.True(t, m.reads || err != nil, "nothing is changed")
				if err != nil {
					value = nil
				}
				text, broken := json.Marshal(value)
				require.NoError(t, broken)
				answers[name] = fmt.Sprintf("%s %v", text, err)
				return nil
			})
		}
		require.Equal(t, answers["missing"], answers["there"], "as of what does not exist")
	})
}

var errDisk = errors.New("the disk is full")

func TestAChangeIsStoredWithItsEventOrNotAtAll(t *testing.T) {
	eachMethod(t, func(t *testing.T, m method, f *fixture) {
		ctx := f.party(m.by)
		if m.reads {
			return
		}
		err := f.rec.leavesNothing(t, func() error {
			_, err := m.wrong(ctx, f)
			return err
		})
		require.Error(t, err, "the input is wrong")
		require.NotErrorIs(t, err, rbac.ErrDenied)

		f.rec.failing(errDisk)
		err = f.rec.leavesNothing(t, func() error {
			_, err := m.call(ctx, f)
			return err
		})
		f.rec.failing(nil)
		require.ErrorIs(t, err, errDisk)

		before := f.rec.state(t)
		f.rec.take()
		_, err = m.call(ctx, f)
		require.NoError(t, err)
		m.holds(t, f, before.to(f.rec.state(t)))
	})
}

// holds tests what a change that took place has left.
func (m method) holds(t *testing.T, f *fixture, left change) {
	t.Helper()
	require.NotEmpty(t, left.records, "something is stored")
	units := f.rec.take()
	require.Len(t, units, max(m.units, 1), "in one unit")
	events := 0
	for _, unit := range units {
		for _, w := range unit {
			if w.kind == "audit_events" {
				events++
			}
		}
		require.Contains(t, unit, write{kind: "audit_events"}, "each with its event")
	}
	require.Equal(t, len(left.events), events)
	require.Len(t, left.events, max(m.rows, 1)+m.more, "one event of each change")

	raised := map[string]int64{}
	for _, e := range left.events {
		require.Equal(t, audit.Success, e.Outcome)
		require.Equal(t, f.actor(m.by), e.ActorID)
		require.NotEmpty(t, e.Action)
		if noun, _, _ := strings.Cut(e.Type, "."); noun != "audit" { // which is logged whatever families are
			require.True(t, emitted[e.Category] != nil, "%s: the family %s is in the table of those that are emitted", e.Type, e.Category)
		}
		require.True(t, export.Maps(e.Type), "%s has its place in the formats of sinks", e.Type)
		switch {
		case m.makes:
			require.NotContains(t, []string{"", f.id.Org, f.id.Rival}, e.OrgID, "its own log begins with it")
			if !m.global {
				raised[f.id.Org]++
			}
		case e.OrgID != "":
			require.Equal(t, f.id.Org, e.OrgID, "in the log of the organization")
			raised[f.id.Org]++
		default:
			require.True(t, m.global, "in the log of the organization")
		}
	}
	if m.stirs {
		raised[f.id.Org]++
	}
	require.Equal(t, raised, left.raised, "the revision is raised by one for each")
}

func TestReadingWritesNothing(t *testing.T) {
	access := map[string][]string{ // what is written all the same
		"AuditLog":         {"audit_events"},
		"AuditLogBelow":    {"audit_events"},
		"AuditProof":       {"audit_events"},
		"AuditCounts":      {"audit_events"},
		"AuditCountsBelow": {"audit_events"},
		"AccessLog":        {"audit_events"},
		"Analytics":        {"audit_events"},
		"CurrentUsage":     {"audit_events"},
		"DailyUsage":       {"audit_events"},
		"Consumption":      {"audit_events"},
		"CostCenters":      {"audit_events"},
		"Authenticate":     {"api_key_uses", "audit_events"},
	}
	eachMethod(t, func(t *testing.T, m method, f *fixture) {
		if !m.reads {
			return
		}
		before := f.rec.state(t)
		f.rec.take()
		_, err := m.call(f.party(m.by), f)
		require.NoError(t, err)
		var kinds []string
		for _, unit := range f.rec.take() {
			for _, w := range unit {
				kinds = append(kinds, w.kind)
			}
		}
		require.Equal(t, access[m.name], kinds)
		left := before.to(f.rec.state(t))
		require.Empty(t, left.raised)
		for _, e := range left.events {
			typ := "audit.read"
			switch m.name {
			case "Authenticate":
				typ = orgs.KeyUsedType
			case "Analytics", "Consumption", "CostCenters", "CurrentUsage", "DailyUsage":
				typ = "analytics.read"
			}
			require.Equal(t, []string{f.id.Org, typ}, []string{e.OrgID, e.Type})
		}
	})
}
